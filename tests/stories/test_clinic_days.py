"""Patients of an ordinary clinic day: what must be on the card, and what may not be offered."""

from __future__ import annotations

from typing import Any

import pytest

from cds.demo.compare import rules_of
from tests.stories.chart import Chart, at, responding, treated
from tests.stories.conftest import Ask


def spoken(cards: list[dict[str, Any]]) -> set[str]:
    return {rule for card in cards for rule in rules_of(card)}


def offers(cards: list[dict[str, Any]]) -> list[str]:
    return [s["label"] for card in cards for s in card.get("suggestions", [])]


def progressing() -> Chart:
    return treated("GIST, metastatic").lab("status", "Progressive disease", 10)


@pytest.mark.parametrize("ng_ml", [640, None])
def test_a_gist_is_not_given_up_without_a_word_on_the_level(ng_ml: int | None, ask: Ask) -> None:
    chart = progressing().order(400, status="stopped", id="order-0")
    chart.medicine("sunitinib", 50, draft=True)
    if ng_ml:
        chart.level(ng_ml)
    assert "trough.gist-progression-check-level" in spoken(ask(chart.request(), "eu"))


def test_a_gist_with_a_sufficient_level_is_given_up_in_silence(ask: Ask) -> None:
    chart = progressing().level(1500).order(400, status="stopped", id="order-0")
    assert ask(chart.medicine("sunitinib", 50, draft=True).request(), "eu") == []


@pytest.mark.parametrize(("label", "offered"), [("us", False), ("eu", True)])
def test_on_dialysis_the_us_label_leaves_no_higher_dose_to_offer(
    label: str, offered: bool, ask: Ask
) -> None:
    chart = treated("GIST, metastatic").diagnosis("Haemodialysis", days=90).order(400, 2)
    cards = ask(chart.request(), label)
    assert any(text.startswith("Order 600 mg") for text in offers(cards)) is offered
    said = "dialysis, read as severe renal impairment (our proposal, unverified)"
    assert any(said in card["detail"] for card in cards) is not offered


def test_an_inducer_on_the_list_is_named_beside_a_very_low_level(ask: Ask) -> None:
    chart = responding().medicine("Rifampicine 600 mg", 600, days=21).level(310)
    (lead, *_) = ask(chart.request(), "eu")
    assert rules_of(lead)[0] == "trough.below-target-inducer"
    assert "Rifampicine" in lead["summary"]


def test_a_dose_below_a_milligram_is_not_shown_as_none(ask: Ask) -> None:
    cards = ask(responding().order(0.4).request(), "us")
    low = next(card for card in cards if "dosing.low-dose-adult-cml" in rules_of(card))
    assert low["summary"].startswith("Imatinib 0.4 mg/day")


def test_nobody_is_shown_older_than_they_are(ask: Ask) -> None:
    chart = treated(age=15.8, supplied=False).supply(every=35)
    (card, *_) = [c for c in ask(chart.request(), "us") if "adherence.adolescent" in rules_of(c)]
    assert "age 15.9 years" in card["detail"]


def test_weeks_on_a_ward_are_no_missed_doses(ask: Ask) -> None:
    chart = responding(supplied=False).supply(first=210, last=70).supply(first=36)
    assert any(rule.startswith("adherence.cov") for rule in spoken(ask(chart.request(), "eu")))
    for days in range(66, 36, -1):
        chart.keep(
            "administrations",
            "MedicationAdministration",
            medicationCodeableConcept={"text": "imatinib 400 mg tablet"},
            effectiveDateTime=at(days),
            dosage={"dose": {"value": 400, "unit": "mg"}},
        )
    assert not any(rule.startswith("adherence.cov") for rule in spoken(ask(chart.request(), "eu")))


def test_a_peak_without_its_dose_on_record_does_not_lower_the_dose(ask: Ask) -> None:
    chart = responding().diagnosis("Periorbital oedema", "R60.0", 20).level(1100).level(1100, None)
    chart.kept["levels"][-1] |= {
        "effectiveDateTime": at(2, -2),
        "valueQuantity": {"value": 3200, "unit": "ng/mL"},
    }
    assert "trough.high-with-toxicity" not in spoken(ask(chart.request(), "eu"))


@pytest.mark.parametrize(
    ("product", "told"),
    [("imatinib 80 mg/mL oral solution", False), ("imatinib 100 mg tablet", True)],
)
def test_a_solution_is_not_rounded_to_tablets(product: str, told: bool, ask: Ask) -> None:
    chart = responding().order(360, medicationCodeableConcept={"text": product})
    assert ("dosing.not-makeable" in spoken(ask(chart.request(), "us"))) is told
