"""A level that was ordered or drawn and has no result yet: nobody is asked to order it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.demo.compare import rules_of
from tests.stories.chart import Chart, at, behind, responding

Cards = Callable[[Chart], list[dict[str, Any]]]
_LEVEL = {"coding": [{"system": "http://loinc.org", "code": "57844-3"}]}
_ORDER_IT = "Order an imatinib trough level"


def _awaited(chart: Chart, status: str = "registered", days: float = 1, **fields: Any) -> Chart:
    when = {"effectiveDateTime": at(days)}
    return chart.keep("levels", "Observation", code=_LEVEL, status=status, **(when | fields))


def _ordered(chart: Chart, days: float = 1, **fields: Any) -> Chart:
    request = {"code": _LEVEL, "status": "active", "intent": "order", "authoredOn": at(days)}
    return chart.keep("levels", "ServiceRequest", **(request | fields))


def _spoken(cards: list[dict[str, Any]]) -> list[str]:
    return [rule for card in cards for rule in rules_of(card)]


def test_without_any_level_the_chart_asks_for_a_first_one(cards_of: Cards) -> None:
    assert _spoken(cards_of(responding())) == ["trough.first-level-due"]


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(lambda: _awaited(responding()), id="registered"),
        pytest.param(lambda: _awaited(responding(), "preliminary"), id="preliminary, no value"),
        pytest.param(lambda: _ordered(responding()), id="ordered"),
        pytest.param(
            lambda: _ordered(responding(), code={"text": "Imatinib-Spiegel"}), id="ordered by name"
        ),
        pytest.param(
            lambda: _ordered(responding(), 100, occurrenceDateTime=at(-3)), id="ordered for later"
        ),
    ],
)
def test_the_first_level_is_not_asked_for_while_it_is_under_way(
    chart: Callable[[], Chart], cards_of: Cards
) -> None:
    assert cards_of(chart()) == []


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(lambda: _awaited(responding(), days=15), id="lost"),
        pytest.param(lambda: _awaited(responding(), effectiveDateTime=None), id="without a date"),
        pytest.param(lambda: _awaited(responding(), "cancelled"), id="cancelled"),
        pytest.param(
            lambda: _awaited(
                responding(), "preliminary", dataAbsentReason={"coding": [{"code": "error"}]}
            ),
            id="failed",
        ),
        pytest.param(lambda: _ordered(responding(), status="revoked"), id="revoked"),
        pytest.param(lambda: _ordered(responding(), status="draft"), id="never signed"),
        pytest.param(lambda: _ordered(responding(), intent="proposal"), id="only proposed"),
        pytest.param(lambda: _ordered(responding(), doNotPerform=True), id="not to be done"),
        pytest.param(
            lambda: _ordered(responding(), code={"text": "Norimatinib level"}), id="metabolite"
        ),
        pytest.param(
            lambda: _awaited(responding(), days=5).imatinib(600, days=3), id="before the change"
        ),
    ],
)
def test_what_will_not_come_or_tell_does_not_count(
    chart: Callable[[], Chart], cards_of: Cards
) -> None:
    assert "trough.first-level-due" in _spoken(cards_of(chart()))


def test_a_milestone_missed_names_the_level_under_way_instead_of_offering_it(
    cards_of: Cards,
) -> None:
    (asks,) = cards_of(behind())
    assert [offer["label"] for offer in asks["suggestions"]] == [_ORDER_IT]

    (waits,) = cards_of(_awaited(behind()))
    assert rules_of(waits) == rules_of(asks)
    assert "suggestions" not in waits
    assert (
        "**Level under way:** registered by the laboratory, 2026-11-19, no result yet."
        in (waits["detail"])
    )


def test_a_result_from_after_the_order_has_answered_it(cards_of: Cards) -> None:
    low = cards_of(_ordered(behind(), 3).level(720, days=2))[0]
    assert "Keep the present dose and repeat the trough level" in _labels(low)


def test_a_newer_sample_under_way_comes_before_another_dose(cards_of: Cards) -> None:
    low = cards_of(_ordered(behind(), 1).level(720, days=20))[0]
    assert "Keep the present dose until the level under way has its result" in _labels(low)
    assert "ordered for 2026-11-19" in low["detail"]


def test_a_level_being_ordered_with_the_dose_is_not_offered_again(cards_of: Cards) -> None:
    alone = cards_of(behind().order(400))
    chart = behind().order(400)
    level = {
        "resourceType": "ServiceRequest",
        "id": "draft-level",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "code": _LEVEL,
        "authoredOn": at(0),
    }
    chart.drafts.append(level)
    assert _ORDER_IT in {label for card in alone for label in _labels(card)}
    assert _ORDER_IT not in {label for card in cards_of(chart) for label in _labels(card)}


def test_a_level_drawn_before_an_inducer_does_not_replace_the_one_under_it(
    cards_of: Cards,
) -> None:
    inducer = _awaited(responding()).medicine("rifampicin 600 mg", 600, draft=True)
    assert _ORDER_IT in _labels(cards_of(inducer)[0])


def _labels(card: dict[str, Any]) -> list[str]:
    return [offer["label"] for offer in card.get("suggestions", ())]
