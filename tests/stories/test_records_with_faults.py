"""Records with a fault, and rare orders: what stands on the gravest card, over the real service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.stories.chart import NOW, Chart, at, behind, responding, treated

if TYPE_CHECKING:
    from flask.testing import FlaskClient

_DAILY = {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}
_200_MG = _DAILY | {"doseAndRate": [{"doseQuantity": {"value": 200, "unit": "mg"}}]}


def _platelets(value: float, unit: str) -> Chart:
    code = {"coding": [{"system": "http://loinc.org", "code": "777-3"}]}
    count = {"value": value, "unit": unit}
    return responding().keep(
        "labs",
        "Observation",
        status="final",
        code=code,
        effectiveDateTime=at(1),
        valueQuantity=count,
    )


def _said_to_take_half() -> Chart:
    return (
        behind()
        .level(640, 24, 3)
        .keep(
            "statements",
            "MedicationStatement",
            status="active",
            medicationCodeableConcept={"text": "imatinib 100 mg tablet"},
            effectivePeriod={"start": at(60)[:10]},
            dosage=[_200_MG],
        )
    )


def _long_in_deep_response() -> Chart:
    chart = treated(days=2200)
    for days in range(1000, 10, -90):
        chart.lab("is", 0.002, days)
    return chart


def _adjuvant() -> Chart:
    return treated("GIST, adjuvant treatment after resection, high risk")


CARDS: dict[str, tuple[Callable[[], Chart], str, str]] = {
    "a level of zero": (lambda: behind().level(0), "warning", "no measured amount"),
    "a negative level": (lambda: behind().level(-5), "warning", "cannot be true"),
    "milligrams as nanograms": (lambda: behind().level(0.72), "warning", "Implausibly small"),
    "a level of next week": (lambda: behind().level(640, None, -5), "warning", "in the future"),
    "platelets in lakhs": (lambda: _platelets(0.42, "lakh/cumm"), "critical", "Platelets 42"),
    "half the dose said to be taken": (_said_to_take_half, "warning", "said to take 200 mg"),
    "800 mg in adjuvant GIST": (lambda: _adjuvant().order(400, 2), "warning", "for this disease"),
    "ten times the dose": (lambda: responding().order(4000), "critical", "above 800 mg"),
    "800 mg with failing kidneys": (
        lambda: behind(mg=800).lab("crcl", 18, 3).order(800),
        "warning",
        "Creatinine clearance 18",
    ),
}


def _cards(client: FlaskClient, chart: Chart) -> list[dict[str, Any]]:
    service = "tdm-orders" if chart.drafts else "tdm-patient-view"
    answer = client.post(f"/cds-services/{service}", json=chart.request())
    assert answer.status_code == 200, answer.text
    cards: list[dict[str, Any]] = answer.get_json()["cards"]
    return cards


@pytest.mark.parametrize("name", CARDS)
def test_the_gravest_card_says_what_is_wrong(
    name: str, client_at: Callable[[datetime], FlaskClient]
) -> None:
    chart, indicator, words = CARDS[name]
    first = _cards(client_at(NOW), chart())[0]
    assert (first["indicator"], words in first["summary"]) == (indicator, True), first["summary"]


def test_an_order_that_nobody_dated_is_read_and_its_date_named(
    client_at: Callable[[datetime], FlaskClient],
) -> None:
    chart = behind().level(640).order(600, authoredOn="1970-01-01")
    details = "\n".join(card["detail"] for card in _cards(client_at(NOW), chart))
    assert "1970-01-01 stands for a date that was not entered" in details
    assert "could not be read" not in details


def test_a_low_trough_is_named_beside_a_switch_for_failure(
    client_at: Callable[[datetime], FlaskClient],
) -> None:
    chart = treated(days=380).lab("is", 45, 370).lab("is", 2.5, 20).level(640, 24, 6)
    chart.medicine("dasatinib 100 mg tablet", 100, draft=True)
    details = "\n".join(card["detail"] for card in _cards(client_at(NOW), chart))
    assert "too little drug may be the reason" in details


def test_no_first_level_is_asked_for_after_years_of_deep_response(
    client_at: Callable[[datetime], FlaskClient],
) -> None:
    summaries = [c["summary"] for c in _cards(client_at(NOW), _long_in_deep_response())]
    assert len(summaries) == 1
    assert "treatment-free remission" in summaries[0]
