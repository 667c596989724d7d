"""What the safety board counts is what the decision's own trace says."""

from __future__ import annotations

from collections import Counter

import pytest

from cds.store import Window


@pytest.mark.parametrize("name", ["cml-low-trough", "rifampicin-order", "level-unit-unreadable"])
def test_the_figures_follow_the_trace_of_the_decision(name, evaluation, services):
    window = Window.always()
    before = {r.rule: r for r in services.store.figures(window).rules}
    stored = services.store.decision(evaluation(name))
    assert stored is not None
    figures = {r.rule: r for r in services.store.figures(window).rules}
    outcomes = Counter()
    for trace in stored.body["decision"]["trace"]:
        outcomes[trace["outcome"]] += 1
        was, now = before.get(trace["rule"]), figures.get(trace["rule"])
        grown = {
            name: (getattr(now, name) if now else 0) - (getattr(was, name) if was else 0)
            for name in ("evaluated", "fired", "undecided", "shown")
        }
        assert grown["evaluated"] == (trace["outcome"] != "not-applicable")
        assert grown["fired"] == (trace["outcome"] == "fired")
        assert grown["undecided"] == (trace["outcome"] == "undecided")
        shown = [r for c in stored.body["response"]["cards"] for r in _rules(c)]
        assert grown["shown"] == (trace["rule"] in shown)
    assert {"fired", "undecided", "silent"} <= set(outcomes)


def test_what_could_not_be_read_is_counted_by_its_code(evaluation, services):
    evaluation("level-unit-unreadable")
    unread = services.store.figures(Window.always()).unread
    assert unread["level-unit-unreadable", "prevents"] >= 1


def _rules(card) -> list[str]:
    return [rule["id"] for rule in card["extension"]["org.imatinib-tdm.evaluation"]["rules"]]
