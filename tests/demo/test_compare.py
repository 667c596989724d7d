"""A card that is missing, wrong or too much is noticed."""

from __future__ import annotations

from typing import Any

from cds.demo.compare import differences
from cds.demo.stories import ExpectedCard

WANTED = ExpectedCard("warning", "Low", ("trough.low",), ("Order", "Keep"), "Order")


def card(**changes: Any) -> dict[str, Any]:
    return {
        "summary": "Low",
        "indicator": "warning",
        "extension": {"org.imatinib-tdm.evaluation": {"rules": [{"id": "trough.low"}]}},
        "suggestions": [{"label": "Order", "isRecommended": True}, {"label": "Keep"}],
        **changes,
    }


def found(*cards: dict[str, Any]) -> list[str]:
    return differences([WANTED], {"cards": list(cards)})


def test_the_expected_answer_has_no_differences() -> None:
    assert found(card()) == []
    assert differences([], {"cards": []}) == []


def test_a_missing_card_is_named() -> None:
    assert found() == ["missing: the warning card of trough.low"]


def test_a_card_that_nobody_expected_is_named() -> None:
    assert differences([], {"cards": [card()]}) == ["not expected: the card of trough.low"]


def test_another_urgency_offer_or_recommendation_is_a_difference() -> None:
    assert found(card(indicator="info")) == ["trough.low: info instead of warning"]
    assert found(card(suggestions=[{"label": "Keep"}])) == [
        "trough.low: offers ['Keep'] instead of ['Order', 'Keep']",
        "trough.low: recommends None instead of 'Order'",
    ]
