"""Results in the units of European laboratories, read by the shipped rulebook."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from cds.clinical.record import PatientRecord
from cds.clinical.terminology import Terminology
from cds.content import rules_dir
from cds.rulebook import load
from tests.fhir.factories import lab, quantity

Read = Callable[..., PatientRecord]
_CODE = {
    "hemoglobin": "718-7",
    "wbc": "6690-2",
    "platelets": "777-3",
    "anc": "751-8",
    "alt": "1742-6",
    "ck": "2157-6",
    "albumin": "1751-7",
    "bilirubin": "1975-2",
    "creatinine": "2160-0",
    "egfr": "98979-8",
    "tsh": "3016-3",
    "potassium": "2823-3",
    "magnesium": "19123-9",
    "phosphate": "2777-1",
}


@cache
def _terminology() -> Terminology:
    return load(rules_dir()).terminology


def _read(read: Read, key: str, value: float, unit: str, **more: Any) -> PatientRecord:
    stated = {"value": value, "unit": unit}
    result = lab(_CODE[key], 0, "", valueQuantity=stated, **more)
    return read(result, terminology=_terminology())


@pytest.mark.parametrize(
    ("key", "value", "unit", "expected"),
    [
        ("wbc", 4.2, "G/L", 4.2),
        ("wbc", 4.2, "G/l", 4.2),
        ("wbc", 4.2, "Gpt/l", 4.2),
        ("wbc", 4.2, "/nl", 4.2),
        ("wbc", 4.2, "Mrd./L", 4.2),
        ("wbc", 4.2, "E9/l", 4.2),
        ("wbc", 4.2, "10**9/L", 4.2),
        ("platelets", 182, "tys/µl", 182),
        ("platelets", 182, "Tsd./µl", 182),
        ("platelets", 182, "1000/µl", 182),
        ("platelets", 182, "miles/mm³", 182),
        ("anc", 900, "Zellen/µl", 0.9),
        ("alt", 0.55, "µkat/l", 33),
        ("alt", 550, "nkat/L", 33),
        ("ck", 412, "E/l", 412),
        ("ck", 0.4, "U/mL", 400),
        ("hemoglobin", 10.4, "g%", 104),
        ("hemoglobin", 10.4, "g/100 ml", 104),
        ("hemoglobin", 8.0, "mmol/L", 128.9),
        ("hemoglobin", 8.0, "mmol/L{Fe}", 128.9),
        ("albumin", 3.8, "g%", 38),
        ("bilirubin", 1.0, "mg%", 17.1),
        ("creatinine", 9.0, "mg/L", 79.6),
        ("egfr", 54, "ml/min/1,73m²", 54),
        ("tsh", 2.1, "µU/mL", 2.1),
        ("tsh", 2.1, "mU/L", 2.1),
        ("tsh", 2.1, "mE/L", 2.1),
        ("potassium", 4.4, "mEq/L", 4.4),
        ("potassium", 4.4, "mval/l", 4.4),
        ("magnesium", 1.6, "mEq/L", 0.8),
    ],
)
def test_a_unit_of_a_european_laboratory_is_read(
    key: str, value: float, unit: str, expected: float, read: Read
) -> None:
    record = _read(read, key, value, unit)
    (found,) = record.labs
    assert found.value == pytest.approx(expected, rel=1e-3)
    assert record.problems == ()


@pytest.mark.parametrize(
    ("key", "value", "unit"),
    [
        pytest.param("hemoglobin", 2.2, "mmol/L", id="haemoglobin of the whole molecule"),
        pytest.param("phosphate", 2.0, "mEq/L", id="the charge of phosphate varies"),
        pytest.param("albumin", 600, "umol/L", id="no agreed molar mass"),
        pytest.param("egfr", 54, "mL/min", id="not per standard body surface"),
        pytest.param("platelets", 182, "mil/mm3", id="thousand in Spain, million in the US"),
        pytest.param("albumin", 4.2, "/nL", id="a count of albumin"),
    ],
)
def test_a_unit_that_may_mean_two_things_is_asked_about(
    key: str, value: float, unit: str, read: Read
) -> None:
    record = _read(read, key, value, unit)
    assert record.labs == ()
    assert [problem.code for problem in record.problems] == ["lab-unit-unreadable"]


def test_giga_in_words_does_not_contradict_its_code(read: Read) -> None:
    stated = quantity(4.2, "10*9/L") | {"unit": "G/L"}
    record = read(lab(_CODE["wbc"], 0, "", valueQuantity=stated), terminology=_terminology())
    assert [found.value for found in record.labs] == [4.2]
    assert record.problems == ()


def test_grams_and_giga_stay_apart(read: Read) -> None:
    assert _read(read, "albumin", 42, "G/L").labs[0].value == 42
    counted = quantity(42, "10*9/L") | {"unit": "g/L"}
    record = read(lab(_CODE["wbc"], 0, "", valueQuantity=counted), terminology=_terminology())
    assert record.labs == ()


def test_haemoglobin_by_substance_has_a_code_of_its_own(read: Read) -> None:
    result = lab("59260-0", 8.0, "mmol/L")
    (found,) = read(result, terminology=_terminology()).labs
    assert (found.key, round(found.value or 0)) == ("hemoglobin", 129)
