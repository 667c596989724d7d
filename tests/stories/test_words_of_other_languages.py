"""The same finding in German, French or Dutch words leads to the same card as in English."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.demo.compare import rules_of
from tests.stories.chart import Chart, at, responding, starting, treated

Cards = Callable[[Chart], list[dict[str, Any]]]
LOINC = "http://loinc.org"


def spoken(cards: list[dict[str, Any]]) -> set[str]:
    return {rule for card in cards for rule in rules_of(card)}


@pytest.mark.parametrize("words", ["Lidödeme", "Œdèmes palpébraux", "Perifeer oedeem"])
def test_a_high_level_is_read_together_with_oedema(words: str, cards_of: Cards) -> None:
    said = spoken(cards_of(responding().diagnosis(words, days=20).level(3300)))
    assert "trough.high-with-toxicity" in said
    assert "trough.high-without-toxicity" not in said


@pytest.mark.parametrize("words", ["Gilbert-Syndrom", "Morbus Meulengracht", "Maladie de Gilbert"])
def test_bilirubin_of_gilbert_syndrome_asks_for_direct_bilirubin(
    words: str, cards_of: Cards
) -> None:
    said = spoken(cards_of(responding().diagnosis(words, days=3000).lab("bilirubin", 3.4)))
    assert "toxicity.bilirubin-gilbert" in said
    assert "toxicity.bilirubin-hold" not in said


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("Progrediente Erkrankung (PD)", "trough.gist-below-target"),
        ("Progression tumorale", "trough.gist-below-target"),
        ("Progressieve ziekte (RECIST 1.1)", "trough.gist-below-target"),
        ("Stabiele ziekte", "trough.gist-between-thresholds"),
        ("Maladie stable", "trough.gist-between-thresholds"),
        ("Teilremission", "trough.gist-between-thresholds"),
        ("Stable disease (PD)", "trough.gist-below-target-state-unknown"),
    ],
)
def test_imaging_in_words_decides_what_a_level_means(
    words: str, rule: str, cards_of: Cards
) -> None:
    chart = treated("GIST, metastasiert").lab("status", words, 10).level(900)
    assert rule in spoken(cards_of(chart))


def test_a_gastrectomy_behind_the_patient_hides_no_tumour(cards_of: Cards) -> None:
    chart = treated("GIST Magen, Z.n. Gastrektomie 2024, adjuvante Therapie")
    assert "trough.gist-adjuvant-below-target" in spoken(cards_of(chart.level(700)))


@pytest.mark.parametrize(("answer", "pregnant"), [("POSITIVE", True), ("Negative", False)])
def test_a_pregnancy_test_in_urine_is_read(answer: str, pregnant: bool, cards_of: Cards) -> None:
    chart = responding(age=33, sex="female").keep(
        "labs",
        "Observation",
        code={"coding": [{"system": LOINC, "code": "2106-3"}]},
        status="final",
        effectiveDateTime=at(2),
        valueString=answer,
    )
    assert ("safety.pregnancy" in spoken(cards_of(chart))) is pregnant


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("1-0-0 zum Essen", False),
        ("1 comprimé au cours d'un repas", False),
        ("1 tablet bij het ontbijt", False),
        ("1-0-0", True),
    ],
)
def test_a_first_order_that_names_the_meal_is_not_told_to(
    text: str, asked: bool, cards_of: Cards
) -> None:
    dose = {"value": 400, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    repeat = {"frequency": 1, "period": 1, "periodUnit": "d"}
    chart = starting(mg=400)
    chart.drafts[0]["dosageInstruction"] = [
        {"text": text, "timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": dose}]}
    ]
    assert ("dosing.take-with-meal" in spoken(cards_of(chart))) is asked


def test_half_a_tablet_twice_a_day_is_no_contradiction(cards_of: Cards) -> None:
    chart = responding().order(200, 2)
    chart.drafts[0]["dosageInstruction"][0]["text"] = "1/2 tablet of 400 mg twice daily with food"
    assert "data.problems" not in spoken(cards_of(chart))
