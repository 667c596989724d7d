"""`rules status`: what serves, and how the directory stands to it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cds.rulebook.live import LiveRulebook, LiveStatus, rollback
from cds.rulebook.shelf import Shelf
from cds.rulebook.standing import standing
from tests.rulebook.build import LOW, files

TODAY = date(2026, 6, 1)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    for name, content in files().items():
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "rules"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "state")


def words(shelf: Shelf, rules: Path) -> str:
    return "\n".join(standing(shelf, rules, TODAY).words())


def test_before_any_server_started(shelf: Shelf, rules: Path) -> None:
    assert words(shelf, rules).startswith("nothing has served yet")


def test_the_directory_serves(shelf: Shelf, rules: Path) -> None:
    live = LiveRulebook(rules, shelf, lambda: NOW)
    assert words(shelf, rules) == (
        f"{live.current.revision[:12]} serves since 2026-06-01T00:00:00+00:00 (directory)\n"
        "the directory holds the same"
    )


def test_an_edit_that_passes_and_one_that_is_refused(shelf: Shelf, rules: Path) -> None:
    LiveRulebook(rules, shelf, lambda: NOW)
    (rules / "trough/low.yaml").write_text(f"{LOW}# read\n")
    assert "passes: a running server takes it within seconds" in words(shelf, rules)
    (rules / "trough/low.yaml").write_text(LOW.replace("{below: $low}", "{bellow: $low}"))
    said = words(shelf, rules)
    assert "is refused; what served goes on serving:\n  rules/trough/low.yaml:16:" in said
    assert "did you mean 'below'?" in said


def test_a_directory_that_cannot_be_read_is_refused(shelf: Shelf, rules: Path) -> None:
    LiveRulebook(rules, shelf, lambda: NOW)
    (rules / "rulebook.yaml").unlink()
    found = standing(shelf, rules, TODAY)
    assert found.remarks
    assert "is refused" in "\n".join(found.words())


def test_a_directory_that_was_set_aside(shelf: Shelf, rules: Path) -> None:
    live = LiveRulebook(rules, shelf, lambda: NOW)
    (rules / "trough/low.yaml").write_text(f"{LOW}# read\n")
    assert any([live.poll(), live.poll()])
    rollback(shelf, rules, NOW)
    assert "is set aside until it is edited again" in words(shelf, rules)


def test_the_server_tells_each_change_once(shelf: Shelf, rules: Path) -> None:
    told: list[LiveStatus] = []
    live = LiveRulebook(rules, shelf, lambda: NOW, tell=told.append)
    (rules / "trough/low.yaml").write_text(LOW.replace("{below: $low}", "{bellow: $low}"))
    for _ in range(4):
        live.poll()
    (rules / "trough/low.yaml").write_text(f"{LOW}# read\n")
    for _ in range(4):
        live.poll()
    assert [status.refused is not None for status in told] == [True, False]
    assert told[0].words()[1].endswith("what served goes on serving:")
    assert told[0].words()[2].startswith("  rules/trough/low.yaml:16:")
    assert told[1].words()[0].endswith("(directory)")
