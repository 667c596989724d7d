"""An order that is changed or ended under its own id: its history stays what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.demo.compare import rules_of
from tests.stories.chart import Chart, treated

Cards = Callable[[Chart], list[dict[str, Any]]]


def behind() -> Chart:
    """A year on 400 mg, 2.5 % at its end, and a low trough."""
    return treated(days=400).lab("is", 30, 390).lab("is", 2.5, 20).level(620)


def spoken(cards: list[dict[str, Any]]) -> list[str]:
    return [rule for card in cards for rule in rules_of(card)]


@pytest.mark.parametrize("identity", ["order-0", "a-new-one"])
def test_a_rise_is_judged_by_what_was_taken_before(identity: str, cards_of: Cards) -> None:
    said = spoken(cards_of(behind().order(600, id=identity)))
    assert said == ["response.failure-12-months"]


@pytest.mark.parametrize("identity", ["order-0", "a-new-one"])
def test_an_end_is_judged_by_what_was_taken_before(identity: str, cards_of: Cards) -> None:
    chart = behind().order(400, status="stopped", id=identity)
    said = spoken(cards_of(chart.medicine("dasatinib", 100, draft=True)))
    assert "response.low-level-before-switch" in said
    assert "sampling.regimen-unknown" not in said


def test_no_suggestion_deletes_the_order_that_is_followed(cards_of: Cards) -> None:
    (card, *_) = cards_of(treated().order(600, 2, id="order-0"))
    assert "dosing.above-absolute-maximum" in rules_of(card)
    assert card.get("suggestions", []) == []


def test_a_hold_of_an_order_that_is_being_changed_is_a_hold(cards_of: Cards) -> None:
    cards = cards_of(treated().lab("anc", 0.7).order(600, id="order-0"))
    hold = next(
        suggestion
        for card in cards
        for suggestion in card.get("suggestions", [])
        if suggestion["label"] == "Hold imatinib"
    )
    (action,) = hold["actions"]
    assert (action["type"], action["resource"]["status"]) == ("update", "on-hold")
    assert action["resource"]["id"] == "order-0"
