"""Reloading: a good edit takes over, a bad one changes nothing, and everything can be undone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds.rulebook import Rulebook, RulebookError
from cds.rulebook.live import LiveRulebook, activate, rollback
from cds.rulebook.shelf import Shelf, ShelfError
from tests.rulebook.build import CML, LOW, LOW_LEVEL, SETTING, TARGETS, files, scene

START = datetime(2026, 6, 1, tzinfo=UTC)


class Site:
    """A rulebook directory, a shelf, and processes that follow them."""

    def __init__(self, path: Path) -> None:
        self.rules, self.state = path / "rules", path / "state"
        for name, content in files().items():
            self.write(name, content.decode())
        self.minutes = itertools.count()

    def clock(self) -> datetime:
        return START + timedelta(minutes=next(self.minutes))

    def write(self, name: str, text: str) -> None:
        path = self.rules / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def process(self) -> LiveRulebook:
        return LiveRulebook(self.rules, Shelf(self.state), self.clock)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.state)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def settle(live: LiveRulebook) -> bool:
    """Look until the directory has come to rest; whether something changed."""
    return any([live.poll(), live.poll()])


def higher_target() -> Iterator[tuple[str, str]]:
    """The guideline change: 1100 instead of 1000, in the table and in the tests."""
    yield "tables/targets.yaml", TARGETS.replace("us: 1000", "us: 1100")
    rule = LOW.replace("trough_ng_ml: 1000", "trough_ng_ml: 1100")
    rule = rule.replace("trough_ng_ml: 999", "trough_ng_ml: 1099")
    yield "trough/low.yaml", rule.replace("below 1000 ng/mL", "below 1100 ng/mL")


def answer(book: Rulebook) -> str:
    (finding,) = book.evaluate(scene(CML, LOW_LEVEL), SETTING).findings
    return finding.summary


def test_an_edit_with_its_tests_takes_over(site: Site) -> None:
    live = site.process()
    before = live.current
    for name, text in higher_target():
        site.write(name, text)
    assert settle(live)
    assert answer(live.current) == "Trough 720 ng/mL is below 1100 ng/mL"
    assert live.current.revision != before.revision
    assert live.status.revision == live.current.revision
    assert live.status.refused is None


def test_a_request_keeps_the_rulebook_it_began_with(site: Site) -> None:
    live = site.process()
    held = live.current
    assert answer(held) == "Trough 720 ng/mL is below 1000 ng/mL"
    for name, text in higher_target():
        site.write(name, text)
    assert settle(live)
    assert answer(held) == "Trough 720 ng/mL is below 1000 ng/mL"


def test_the_guideline_change_drill(site: Site) -> None:
    live = site.process()
    (table, change), (rule, mended) = higher_target()
    first = live.current.revision

    site.write(table, change)  # the number alone: the rule's own tests refuse it
    assert not settle(live)
    refused = live.status.refused
    assert refused is not None
    assert {remark.code for remark in refused.remarks} == {"RB703", "RB705"}
    assert refused.remarks[0].place.file == "rules/trough/low.yaml"
    assert answer(live.current) == "Trough 720 ng/mL is below 1000 ng/mL"

    site.write(rule, mended)  # the tests too
    assert settle(live)
    second = live.current.revision
    assert answer(live.current) == "Trough 720 ng/mL is below 1100 ng/mL"

    site.write(rule, mended.replace("{below: $low}", "{bellow: $low}"))  # broken
    assert not settle(live)
    assert live.current.revision == second
    assert live.status.refused is not None
    assert str(live.status.refused.remarks[0]).startswith("rules/trough/low.yaml:16:")

    rollback(site.shelf, site.rules, site.clock())
    assert settle(live)
    assert live.current.revision == first
    assert answer(live.current) == "Trough 720 ng/mL is below 1000 ng/mL"


def test_an_edit_without_tests_is_refused(site: Site) -> None:
    live = site.process()
    site.write("trough/low.yaml", LOW[: LOW.index("tests:")])
    assert not settle(live)
    assert live.status.refused is not None
    assert "RB701" in {remark.code for remark in live.status.refused.remarks}


def test_a_comment_makes_a_new_revision_with_the_same_answers(site: Site) -> None:
    live = site.process()
    first, said = live.current.revision, answer(live.current)
    site.write("trough/low.yaml", f"{LOW}# read by the pharmacy\n")
    assert settle(live)
    assert live.current.revision != first
    assert answer(live.current) == said


def test_a_file_still_being_written_is_not_read(site: Site) -> None:
    live = site.process()
    settle(live)
    site.write("trough/low.yaml", LOW[:300])
    assert not live.poll()  # seen for the first time: wait until it has come to rest
    assert live.status.refused is None
    site.write("trough/low.yaml", f"{LOW}# saved\n")
    assert settle(live)
    assert live.status.refused is None


def test_a_refused_edit_is_forgotten_when_it_is_undone(site: Site) -> None:
    live = site.process()
    site.write("trough/low.yaml", "id: [")
    settle(live)
    assert live.status.refused is not None
    site.write("trough/low.yaml", LOW)
    settle(live)
    assert live.status.refused is None


def test_a_directory_that_disappears_changes_nothing(site: Site) -> None:
    live = site.process()
    (site.rules / "rulebook.yaml").unlink()
    assert not settle(live)
    assert live.status.refused is not None
    assert answer(live.current) == "Trough 720 ng/mL is below 1000 ng/mL"


def test_a_new_and_a_removed_rule_take_effect(site: Site) -> None:
    live = site.process()
    (site.rules / "dosing/limit.yaml").unlink()
    assert settle(live)
    assert "dosing.limit" not in {rule.id for rule in live.current.rules}
    site.write("dosing/limit.yaml", files()["dosing/limit.yaml"].decode())
    assert settle(live)
    assert "dosing.limit" in {rule.id for rule in live.current.rules}


def test_every_process_follows_and_only_the_first_checks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = site.process(), site.process()
    for name, text in higher_target():
        site.write(name, text)
    assert settle(first)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("checked twice")

    monkeypatch.setattr("cds.rulebook.live.accept", refuse)
    assert settle(second)
    assert second.current.revision == first.current.revision


def test_a_rollback_reaches_every_process_and_lasts_until_the_next_edit(site: Site) -> None:
    live, other = site.process(), site.process()
    first = live.current.revision
    for name, text in higher_target():
        site.write(name, text)
    assert settle(live)
    assert settle(other)
    rollback(site.shelf, site.rules, site.clock())
    assert settle(live)
    assert settle(other)
    assert {live.current.revision, other.current.revision, site.process().current.revision} == {
        first
    }
    assert live.status.why == "rollback"
    site.write("trough/low.yaml", dict(higher_target())["trough/low.yaml"] + "# again\n")
    assert settle(live)
    assert answer(live.current) == "Trough 720 ng/mL is below 1100 ng/mL"


def test_a_second_rollback_goes_forward_again(site: Site) -> None:
    live = site.process()
    for name, text in higher_target():
        site.write(name, text)
    settle(live)
    second = live.current.revision
    rollback(site.shelf, site.rules, site.clock())
    settle(live)
    rollback(site.shelf, site.rules, site.clock())
    settle(live)
    assert live.current.revision == second


def test_a_revision_is_activated_by_its_beginning(site: Site) -> None:
    live = site.process()
    first = live.current.revision
    for name, text in higher_target():
        site.write(name, text)
    settle(live)
    activate(site.shelf, site.rules, first[:10], site.clock())
    settle(live)
    assert (live.current.revision, live.status.why) == (first, "activate")
    assert [entry.revision for entry in site.shelf.history()] == [
        first, site.shelf.revisions()[1], first,
    ]  # fmt: skip


def test_an_unknown_revision_is_not_activated(site: Site) -> None:
    site.process()
    with pytest.raises(ShelfError, match="no revision begins with 'ffffffffffff'"):
        activate(site.shelf, site.rules, "ffffffffffff", site.clock())


def test_nothing_is_rolled_back_before_anything_changed(site: Site) -> None:
    site.process()
    with pytest.raises(ShelfError, match="nothing has served before"):
        rollback(site.shelf, site.rules, site.clock())


def test_a_revision_changed_on_the_shelf_is_not_trusted(site: Site) -> None:
    live = site.process()
    first = live.current.revision
    for name, text in higher_target():
        site.write(name, text)
    settle(live)
    kept = site.state / "revisions" / f"{first}.json"
    kept.write_text(kept.read_text().replace("us: 1000", "us: 4000"))
    rollback(site.shelf, site.rules, site.clock())
    assert not settle(live)
    assert "was changed on the shelf" in str(live.status.trouble)
    assert answer(live.current) == "Trough 720 ng/mL is below 1100 ng/mL"


def test_a_restart_with_a_broken_directory_serves_the_last_good_revision(site: Site) -> None:
    first = site.process().current.revision
    site.write("trough/low.yaml", "id: [")
    again = site.process()
    assert again.current.revision == first
    assert again.status.refused is not None


def test_a_first_start_with_a_broken_directory_is_refused(site: Site) -> None:
    site.write("trough/low.yaml", "id: [")
    with pytest.raises(RulebookError, match=r"rules/trough/low\.yaml:"):
        site.process()


def test_an_edit_with_which_the_service_does_not_work_is_refused(site: Site) -> None:
    def trial(book: Rulebook) -> None:
        book.table("targets", "us")["cml"]["high_ng_ml"]

    live = LiveRulebook(site.rules, site.shelf, site.clock, on_change=trial)
    first = live.current.revision
    site.write("trough/low.yaml", f"{LOW}# read\n")
    assert not settle(live)
    assert live.current.revision == first
    assert live.status.refused is not None
    (remark,) = live.status.refused.remarks
    assert (remark.code, remark.message) == (
        "RB801", "the trial run failed: KeyError: 'high_ng_ml'",
    )  # fmt: skip


def test_the_thread_follows_until_it_is_stopped(site: Site) -> None:
    arrived = threading.Event()
    live = LiveRulebook(site.rules, site.shelf, site.clock, on_change=lambda book: arrived.set())
    live.follow(0.01)
    for name, text in higher_target():
        site.write(name, text)
    assert arrived.wait(30)
    live.stop()
    assert answer(live.current) == "Trough 720 ng/mL is below 1100 ng/mL"


def test_requests_go_on_while_revisions_change(site: Site) -> None:
    live = site.process()
    stop, said = threading.Event(), set()
    problems: list[str] = []

    def requests() -> None:
        while not stop.is_set():
            verdict = live.current.evaluate(scene(CML, LOW_LEVEL), SETTING)
            if not verdict.agreed:
                problems.append(str(verdict.disagreement))
            said.update(finding.summary for finding in verdict.findings)

    threads = [threading.Thread(target=requests) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        for name, text in higher_target():
            site.write(name, text)
        assert settle(live)
        site.write("tables/targets.yaml", TARGETS)
        site.write("trough/low.yaml", LOW)
        assert settle(live)
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert said <= {"Trough 720 ng/mL is below 1000 ng/mL", "Trough 720 ng/mL is below 1100 ng/mL"}
