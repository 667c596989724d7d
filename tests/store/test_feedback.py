"""Feedback is kept once, joined with what it answers, and remembered for snoozing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cds.store import Store, Window
from tests.store.build import CARD, NOW, SUGGESTION, answer, card_row, entry, finding


def test_repeated_feedback_is_stored_once(store: Store):
    store.record(entry())

    first = store.add_feedback("north", "tdm-orders", [answer()], NOW)
    again = store.add_feedback("north", "tdm-orders", [answer(), answer()], NOW)

    assert [s.new for s in first + again] == [True, False, False]
    assert len(list(store.export_feedback())) == 1


def test_a_later_answer_to_the_same_card_is_another_entry(store: Store):
    store.record(entry())

    store.add_feedback("north", "tdm-orders", [answer()], NOW)
    store.add_feedback("north", "tdm-orders", [answer(outcome_at=NOW + timedelta(days=1))], NOW)

    assert len(list(store.export_feedback())) == 2


def test_export_joins_the_answer_with_user_rule_and_revision(store: Store):
    recorded = entry()
    store.record(recorded)

    store.add_feedback("north", "tdm-orders", [answer(comment="seen in clinic")], NOW)

    (exported,) = store.export_feedback()
    assert exported["user"] == "Practitioner/7"
    assert exported["rules"] == [{"id": "trough.cml-below-target", "revision": 2}]
    assert exported["evaluation"] == recorded.evaluation
    assert exported["overrideReason"] == {"system": "urn:reasons", "code": "will-monitor"}
    assert exported["userComment"] == "seen in clinic"
    assert exported["rulebook"] == "2026.11"


def test_feedback_on_an_unknown_card_is_kept_but_answers_nothing(store: Store):
    (stored,) = store.add_feedback("north", "tdm-orders", [answer()], NOW)

    assert (stored.new, stored.known) == (True, False)
    assert store.answers("north", "p-1") == ()


def test_feedback_of_another_client_does_not_answer_this_clients_card(store: Store):
    store.record(entry(client="north"))

    (stored,) = store.add_feedback("south", "tdm-orders", [answer()], NOW)

    assert not stored.known
    assert store.answers("north", "p-1") == ()
    assert store.answers("south", "p-1") == ()


def test_an_answer_is_remembered_per_rule_and_state(store: Store):
    findings = (finding(), finding("adherence.gap", subject="order", state="state-b"))
    store.record(entry(cards=(card_row(findings=findings),)))

    store.add_feedback("north", "tdm-orders", [answer()], NOW)

    remembered = {(a.rule, a.subject, a.state, a.severity) for a in store.answers("north", "p-1")}
    assert remembered == {
        ("trough.cml-below-target", None, "state-a", "warning"),
        ("adherence.gap", "order", "state-b", "warning"),
    }
    assert store.answers("north", "p-2") == ()


def test_an_answer_from_a_clock_that_runs_ahead_counts_from_now(store: Store):
    store.record(entry())

    store.add_feedback("north", "s", [answer(outcome_at=NOW + timedelta(days=300))], NOW)

    assert [a.at for a in store.answers("north", "p-1")] == [NOW]


def test_a_card_shown_many_times_counts_once_and_by_its_last_answer(store: Store):
    for _ in range(3):
        store.record(entry())
    store.record(entry(cards=(card_row(uuid="11111111-1111-4111-8111-111111111111"),)))
    accepted = answer(
        outcome="accepted", suggestions=(SUGGESTION,), outcome_at=NOW + timedelta(hours=1)
    )

    store.add_feedback("north", "s", [answer(), accepted], NOW + timedelta(hours=2))

    (figures,) = store.figures(Window.always()).rules
    assert figures.rule == "trough.cml-below-target"
    assert (figures.shown, figures.accepted, figures.overridden) == (2, 1, 0)
    assert figures.unanswered == 1


@pytest.mark.parametrize(
    "change", [{"card": CARD[::-1]}, {"outcome": "accepted"}, {"comment": "x"}]
)
def test_entries_that_differ_have_different_identities(change):
    assert answer(**change).identity("north") != answer().identity("north")
    assert answer().identity("south") != answer().identity("north")
