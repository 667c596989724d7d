"""A transcript that was not detected meets a milestone and proves no deep response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.demo.compare import rules_of
from tests.stories.chart import Chart, treated

Cards = Callable[[Chart], list[dict[str, Any]]]


def _spoken(cards: list[dict[str, Any]]) -> set[str]:
    return {rule for card in cards for rule in rules_of(card)}


def _deep(*latest: float | str) -> Chart:
    """Measured at MR4 for three years, and then what the laboratory says now."""
    chart = treated(days=2300)
    for days in (1200, 1000, 800, 600, 400, 200):
        chart.lab("is", 0.003, days)
    for days, value in zip((80, 20), latest, strict=False):
        chart.lab("is", value, days)
    return chart


def test_it_meets_the_milestone_that_an_unreadable_result_leaves_open(cards_of: Cards) -> None:
    low = treated(days=400).lab("is", 4.0, 200).level(720, days=2)
    assert "trough.cml-below-target-responding" not in _spoken(cards_of(low))
    low.lab("is", "undetectable", 10)
    spoken = _spoken(cards_of(low))
    assert "trough.cml-below-target-responding" in spoken
    assert not {rule for rule in spoken if rule.startswith("response.")}


@pytest.mark.parametrize("nothing", ["not detected", 0.0])
def test_it_neither_ends_a_deep_response_nor_adds_to_it(
    nothing: float | str, cards_of: Cards
) -> None:
    (card,) = cards_of(_deep(nothing))
    assert rules_of(card) == ("response.treatment-free-remission",)
    assert "Deep response for 2.7 years" in card["summary"]
    assert "**Not detected:** BCR::ABL1" in card["detail"]
    assert "counts as major molecular response, not as a deeper one" in card["detail"]


def test_nothing_but_undetected_results_is_no_deep_response(cards_of: Cards) -> None:
    chart = treated(days=2300)
    for days in (1200, 900, 600, 300, 20):
        chart.lab("is", "not detected", days)
    assert _spoken(cards_of(chart)) == {"trough.first-level-due"}


def test_a_later_rise_is_a_loss_of_response_but_no_multiple(cards_of: Cards) -> None:
    spoken = _spoken(cards_of(_deep("not detected", 0.4)))
    assert "response.warning-12-months" in spoken or "response.mmr-lost" in spoken
    assert "adherence.response-lost" not in spoken


@pytest.mark.parametrize(("days", "overdue"), [(150, False), (195, True)])
def test_after_nothing_was_detected_the_longer_interval_holds(
    days: float, overdue: bool, cards_of: Cards
) -> None:
    chart = treated(days=1200).lab("is", 0.05, 900).lab("is", "not detected", days)
    assert ("response.pcr-overdue" in _spoken(cards_of(chart))) is overdue
