"""The figures of the safety board, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cds.store import Count, Counted, Database, Kind, Panel, PanelRule, Store, Window
from cds.store.migrate import downgrade, upgrade
from tests.store.build import NOW, SUGGESTION, answer, card_row, entry, finding

LOW, GAP = "trough.cml-below-target", "adherence.refill-late"
OTHER = "11111111-1111-4111-8111-111111111111"
ASKED = (PanelRule(LOW, 2, "active"), PanelRule(GAP, 1, "shadow"))


def counted(*counts: Count, asked: tuple[PanelRule, ...] = ASKED) -> Counted:
    return Counted(Panel.of(asked), counts)


def of(store: Store, rule: str, window: Window | None = None):
    return next(r for r in store.figures(window or Window.always()).rules if r.rule == rule)


def test_a_rule_that_stays_silent_is_counted_as_asked(store: Store):
    for _ in range(3):
        store.record(entry(counted=counted(), cards=()))
    figures = of(store, LOW)
    assert (figures.evaluated, figures.fired, figures.shown) == (3, 0, 0)


def test_what_a_rule_did_is_counted_by_its_revision(store: Store):
    newer = (PanelRule(LOW, 3, "active"),)
    store.record(entry(cards=(), counted=counted(Count(Kind.FIRED, LOW, 2))))
    store.record(entry(cards=(), counted=counted(Count(Kind.FIRED, LOW, 3), asked=newer)))
    store.record(entry(cards=(), counted=counted(asked=newer)))
    found = {r.revision: r for r in store.figures(Window.always()).rules if r.rule == LOW}
    assert (found[2].evaluated, found[2].fired) == (1, 1)
    assert (found[3].evaluated, found[3].fired) == (2, 1)


def test_undecided_suppressed_shadow_and_unread_are_told_apart(store: Store):
    counts = (
        Count(Kind.UNDECIDED, LOW, 2, "level.specimen", unread=True),
        Count(Kind.SHADOW, GAP, 1),
        Count(Kind.SUPPRESSED, LOW, 2, "answered"),
        Count(Kind.UNREAD, "level-unit-unreadable", detail="prevents"),
    )
    store.record(entry(cards=(), counted=counted(*counts)))
    store.record(entry(cards=(), counted=counted(Count(Kind.UNDECIDED, LOW, 2, "level.specimen"))))
    low, gap = of(store, LOW), of(store, GAP)
    assert (low.undecided, low.unread, low.suppressed, low.fired) == (2, 1, 1, 0)
    assert low.missing == {"level.specimen": 2}
    assert (gap.shadow, gap.fired) == (1, 0)
    assert store.figures(Window.always()).unread == {("level-unit-unreadable", "prevents"): 1}


def test_a_finding_about_several_subjects_counts_once_in_a_decision(store: Store):
    twice = (finding(subject="a"), finding(subject="b"))
    fired = Count(Kind.FIRED, LOW, 2)
    store.record(entry(cards=(card_row(findings=twice),), counted=counted(fired, fired)))
    assert (of(store, LOW).fired, of(store, LOW).shown) == (1, 1)


def test_orders_are_counted_when_they_are_signed_not_while_they_are_edited(store: Store):
    for hook in ("order-select", "order-select", "order-sign", "patient-view"):
        store.record(entry(hook=hook, counted=counted()))
    figures = store.figures(Window.always())
    assert (figures.decisions, figures.orders) == (4, 1)
    assert of(store, LOW).shown_on_orders == 1


def test_overrides_are_counted_by_their_reason(store: Store):
    store.record(entry(counted=counted()))
    store.record(entry(cards=(card_row(uuid=OTHER),), counted=counted()))
    answers = [answer(), answer(OTHER, reason_system=None, reason_code=None)]
    store.add_feedback("north", "tdm-orders", answers, NOW)
    assert of(store, LOW).reasons == {("urn:reasons", "will-monitor"): 1, ("", ""): 1}


def test_a_changed_mind_counts_as_the_last_answer(store: Store):
    store.record(entry(counted=counted()))
    later = answer(
        outcome="accepted", suggestions=(SUGGESTION,), outcome_at=NOW + timedelta(minutes=5)
    )
    store.add_feedback("north", "s", [later, answer()], NOW + timedelta(hours=1))
    low = of(store, LOW)
    assert (low.accepted, low.overridden, low.unanswered) == (1, 0, 0)


def test_an_answer_belongs_to_the_revision_that_was_answered(store: Store):
    store.record(entry())
    newer = card_row(findings=(finding(revision=3),))
    store.record(entry(at=NOW + timedelta(days=1), cards=(newer,)))
    store.add_feedback("north", "s", [answer()], NOW + timedelta(days=2))
    found = {r.revision: r.overridden for r in store.figures(Window.always()).rules}
    assert found == {2: 0, 3: 1}


def test_the_same_card_of_two_clients_is_two_cards_with_answers_of_their_own(store: Store):
    store.record(entry(client="north"))
    store.record(entry(client="south"))
    store.add_feedback("south", "s", [answer()], NOW)
    assert (of(store, LOW).shown, of(store, LOW).overridden) == (2, 1)
    only = Window(date.min, date.max, client="north")
    assert (of(store, LOW, only).shown, of(store, LOW, only).overridden) == (1, 0)


def test_a_window_counts_its_first_and_last_day(store: Store):
    for days in range(4):
        store.record(entry(at=NOW + timedelta(days=days), counted=counted(), cards=()))
    window = Window(NOW.date() + timedelta(days=1), NOW.date() + timedelta(days=2))
    assert of(store, LOW, window).evaluated == 2


def test_weeks_begin_on_monday_and_keep_their_order(store: Store):
    fired = Count(Kind.FIRED, LOW, 2)
    for days, counts in ((-7, ()), (0, (fired,)), (6, ()), (7, (fired,))):  # NOW is a Monday
        store.record(entry(at=NOW + timedelta(days=days), cards=(), counted=counted(*counts)))
    weeks = store.weeks(Window.always(), LOW)
    monday = NOW.date()
    assert [(w.begins - monday).days for w in weeks] == [-7, 0, 7]
    assert [(w.evaluated, w.fired) for w in weeks] == [(1, 0), (2, 1), (1, 1)]
    assert {w.rule for w in store.weeks(Window.always())} == {LOW}  # the other stayed silent
    assert [w.fired for w in store.weeks(Window.always(), GAP)] == [0, 0, 0]


def test_a_revision_is_marked_on_the_day_it_first_decided(store: Store):
    for days, revision in ((0, "1" * 64), (3, "3" * 64), (4, "1" * 64)):
        at = NOW + timedelta(days=days)
        store.record(entry(at=at, rulebook_revision=revision, counted=counted()))
    first = NOW.date()
    assert store.figures(Window.always()).revisions == (
        (first, "1" * 64),
        (first + timedelta(days=3), "3" * 64),
    )
    later = Window(first + timedelta(days=2), date.max)
    assert [name for _, name in store.figures(later).revisions] == ["3" * 64]


def test_comments_come_back_readable_with_the_rules_they_are_about(store: Store):
    store.record(entry())
    store.add_feedback("north", "s", [answer(comment="seen in clinic")], NOW)
    (comment,) = store.comments(Window.always(), 10)
    assert (comment.text, comment.rules) == ("seen in clinic", (LOW,))
    assert comment.reason == ("urn:reasons", "will-monitor")
    assert store.comments(Window(date.min, NOW.date() - timedelta(days=1)), 10) == []


def test_comments_stand_sealed_in_the_database(store: Store, database: Database):
    from sqlalchemy import text

    store.record(entry())
    store.add_feedback("north", "s", [answer(comment="seen in clinic")], NOW)
    with database.reading() as connection:
        for table in ("feedback", "tally", "panel", "answer"):
            rows = connection.execute(text(f"SELECT * FROM {table}")).all()
            assert "clinic" not in str(rows)


def test_a_panel_is_kept_once_whichever_process_meets_it(store: Store):
    other = Store(store.database, store.cipher)
    store.record(entry(counted=counted()))
    other.record(entry(counted=counted()))
    assert of(store, LOW).evaluated == 2


def test_a_decision_that_fails_leaves_its_panel_unknown(store: Store):
    from cds.store import DatabaseError

    with pytest.raises(DatabaseError):
        store.record(entry(cards=(card_row(), card_row()), counted=counted()))
    store.record(entry(counted=counted()))
    assert of(store, LOW).evaluated == 1


def test_cards_of_before_the_tallies_are_carried_over(store: Store, database: Database):
    store.record(entry())
    store.add_feedback("north", "s", [answer()], NOW)
    downgrade(database, "0002")
    upgrade(database)
    low = of(store, LOW)
    assert (low.shown, low.overridden, low.shown_on_orders) == (1, 1, 1)
    assert of(store, LOW, Window(NOW.date(), NOW.date())).shown == 1


def test_what_was_counted_before_an_upgrade_is_found_after_it(store: Store, database: Database):
    downgrade(database, "0004")
    fired = Count(Kind.FIRED, LOW, 2)
    undecided = Count(Kind.UNDECIDED, GAP, 1, "supply.days", unread=True)
    store.record(entry(counted=counted(fired, undecided)))
    store.add_feedback("north", "s", [answer()], NOW)
    window = Window(NOW.date(), NOW.date())

    def every(rule: str | None):
        return store.figures(window, rule), store.weeks(window, rule)

    before = [every(rule) for rule in (None, LOW, GAP)]
    upgrade(database)
    assert [every(rule) for rule in (None, LOW, GAP)] == before
    assert (of(store, LOW).fired, of(store, LOW).overridden, of(store, GAP).unread) == (1, 1, 1)
    store.record(entry(counted=counted(fired, undecided), cards=()))
    assert (of(store, LOW).fired, of(store, GAP).undecided) == (2, 2)


def test_decisions_are_counted_by_who_asked_whichever_hook_it_was(store: Store):
    for client, hook in (
        ("north", "order-sign"),
        ("north", "patient-view"),
        ("south", "order-sign"),
    ):
        store.record(entry(client=client, hook=hook, counted=counted(), cards=()))
    figures = store.figures(Window.always())
    assert figures.clients == {"north": 2, "south": 1}
    assert (figures.decisions, figures.orders) == (3, 2)
