"""Timing codes without words: those of SNOMED CT that the rulebook knows, and a site's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from cds.clinical.record import PatientRecord
from cds.clinical.terminology import Terminology
from cds.content import rules_dir
from cds.rulebook import load
from cds.rulebook.content import read_directory
from cds.rulebook.rulebook import load_files
from tests.fhir.factories import RXNORM, SNOMED, coded, quantity, request

Read = Callable[..., PatientRecord]
_PHARMACY = "https://pharmacy.example.org/frequencies"


@cache
def _terminology() -> Terminology:
    return load(rules_dir()).terminology


def _dosage(code: dict[str, Any], mg: float = 200, **repeat: Any) -> dict[str, Any]:
    timing = {"code": code} | ({"repeat": repeat} if repeat else {})
    return {"timing": timing, "doseAndRate": [{"doseQuantity": quantity(mg, "mg")}]}


def _daily_mg(read: Read, terminology: Terminology, dosage: dict[str, Any]) -> float | None:
    (order,) = read(request(dosageInstruction=[dosage]), terminology=terminology).orders
    return order.regimens[0].daily_mg if order.regimens else None


@pytest.mark.parametrize(
    ("code", "daily_mg"),
    [
        ("229797004", 200),
        ("396125000", 200),
        ("229799001", 400),
        ("307470009", 400),
        ("229798009", 600),
        ("307469008", 600),
        ("307439001", 800),
        ("307468000", 800),
        ("396131002", 100),
    ],
)
def test_a_frequency_of_snomed_needs_no_words(code: str, daily_mg: float, read: Read) -> None:
    assert _daily_mg(read, _terminology(), _dosage(coded(SNOMED, code))) == daily_mg


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(coded(SNOMED, "396140003"), id="every eight to twelve hours"),
        pytest.param(coded("urn:x", "229797004"), id="the same digits in another system"),
        pytest.param(coded(SNOMED, "229797004", "twice daily"), id="words say otherwise"),
        pytest.param(
            {
                "coding": [
                    {"system": SNOMED, "code": "229797004"},
                    {"system": SNOMED, "code": "229799001"},
                ]
            },
            id="two codes that differ",
        ),
    ],
)
def test_what_does_not_say_one_frequency_is_asked_about(code: dict[str, Any], read: Read) -> None:
    assert _daily_mg(read, _terminology(), _dosage(code)) is None


def test_the_fully_specified_name_beside_the_code_agrees_with_it(read: Read) -> None:
    code = coded(SNOMED, "229797004", "Once daily (qualifier value)")
    assert _daily_mg(read, _terminology(), _dosage(code)) == 200


def test_a_code_that_contradicts_the_structured_timing_is_asked_about(read: Read) -> None:
    twice = _dosage(coded(SNOMED, "229799001"), frequency=1, period=1, periodUnit="d")
    assert _daily_mg(read, _terminology(), twice) is None


def test_another_medicine_is_dosed_by_the_same_codes(read: Read) -> None:
    order = request(
        medicationCodeableConcept=coded(RXNORM, "9384", "rifampicin"),
        dosageInstruction=[_dosage(coded(SNOMED, "229799001"), 300)],
    )
    (medicine,) = read(order, terminology=_terminology()).medicines
    assert medicine.daily_mg == 600


def test_a_site_says_what_its_own_codes_mean(read: Read) -> None:
    files = read_directory(rules_dir())
    files["site.yaml"] = (
        f'frequencies:\n  twice-daily:\n    codes: [{{system: "{_PHARMACY}", code: F02}}]\n'
    ).encode()
    own = load_files(files).terminology
    assert _daily_mg(read, own, _dosage(coded(_PHARMACY, "F02"))) == 400
    assert _daily_mg(read, _terminology(), _dosage(coded(_PHARMACY, "F02"))) is None
