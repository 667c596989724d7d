"""The guideline change drill, over HTTP: a server with two workers that is asked all the time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.content import examples_dir, rules_dir
from cds.demo.play import request_for_today
from cds.demo.stories import load_stories
from cds.rulebook import load
from cds.rulebook.cases import run_tests
from cds.rulebook.lint import lint
from tests.rulebook.running import Running, serving

pytestmark = pytest.mark.xdist_group("server")
RULE = "trough.cml-below-target"
OLD, NEW = "is below 1000 ng/mL", "is below 1100 ng/mL"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A copy of the shipped rulebook, as a site has one."""
    return Path(shutil.copytree(rules_dir(), tmp_path / "rules"))


@pytest.fixture
def server(tmp_path: Path, rules: Path) -> Iterator[Running]:
    story = next(s for s in load_stories(examples_dir()) if s.id == "cml-low-trough")
    order_sign = next(hook for hook in story.hooks if hook.hook == "order-sign")
    request = request_for_today(story, order_sign, datetime.now(UTC))
    with serving(tmp_path, rules, request, RULE) as running:
        yield running


def raise_target(rules: Path) -> None:
    """The number alone, as somebody in a hurry would change it."""
    table = rules / "tables" / "targets.yaml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("low_ng_ml: 1000", "low_ng_ml: 1100", 1), encoding="utf-8")


def mend_tests(rules: Path) -> int:
    """Change the tests that the new target fails, and those at its boundary; how many files."""
    mended: dict[Path, list[int]] = {}
    for result in run_tests(load(rules, with_tests=True)):
        if result.failure is not None:
            place = result.place
            mended.setdefault(rules.parent / place.file, []).append(place.line)
    for file, lines in mended.items():
        parts = re.split(r"(?m)^(?=  - name: )", file.read_text(encoding="utf-8"))
        line = 1
        for number, part in enumerate(parts):
            if line in lines:
                part = re.sub(r"ng_ml: 1000\b", "ng_ml: 1100", part)
                parts[number] = re.sub(r"\b1000 ng/mL", "1100 ng/mL", part)
            line += part.count("\n")
        file.write_text("".join(parts), encoding="utf-8")
    return len(mended)


def test_the_guideline_change_drill(server: Running, rules: Path) -> None:
    server.everywhere(lambda heard: OLD in heard.summary)
    first = server.heard[-1].revision
    assert first == load(rules).revision

    # The number alone: the rules' own tests fail, and nothing changes.
    raise_target(rules)
    server.until(lambda: "refused" in server.get("/rules"))
    assert RULE in server.get("/rules")
    code, said = server.command("status")
    assert code == 1
    assert "is refused; what served goes on serving" in said
    assert re.search(r"rules/trough/cml-below-target\.yaml:\d+:\d+: RB70[35] error: ", said)
    assert '"event": "rulebook-refused"' in server.log.read_text()
    server.everywhere(lambda heard: OLD in heard.summary and heard.revision == first, times=5)

    # With its tests mended, it serves in every worker.
    assert mend_tests(rules) > 3
    assert lint(rules) == ()
    second = load(rules).revision
    server.everywhere(lambda heard: NEW in heard.summary and heard.revision == second)
    assert server.command("status")[0] == 0

    # A broken file changes nothing.
    table = rules / "tables" / "targets.yaml"
    good = table.read_text(encoding="utf-8")
    table.write_text(good.replace("cml:", "cml: [", 1), encoding="utf-8")
    server.until(
        lambda: re.search(r"targets\.yaml:\d+:\d+: RB002", server.get("/rules")) is not None
    )
    server.everywhere(lambda heard: NEW in heard.summary and heard.revision == second, times=5)
    table.write_text(good, encoding="utf-8")
    server.until(lambda: "refused" not in server.get("/rules"))

    # Back, forward by name, and never without an answer.
    assert server.command("rollback")[0] == 0
    server.everywhere(lambda heard: OLD in heard.summary and heard.revision == first)
    assert "is set aside until it is edited again" in server.command("status")[1]
    assert server.command("activate", second[:12])[0] == 0
    server.everywhere(lambda heard: NEW in heard.summary and heard.revision == second)
    history = server.command("history")[1].splitlines()
    assert [line.split()[1:] for line in history] == [
        [first[:12], "directory"], [second[:12], "directory"],
        [first[:12], "rollback"], [second[:12], "activate"],
    ]  # fmt: skip
    assert server.failures == []
    assert {heard.status for heard in server.heard} == {200}
    assert {heard.revision for heard in server.heard} == {first, second}
