"""Laboratory results and body measurements in the unit of their key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.level import Comparator
from cds.clinical.record import PatientRecord
from tests.fhir.factories import LOINC, SNOMED, coded, lab, quantity

Read = Callable[..., PatientRecord]


@pytest.mark.parametrize(
    ("code", "value", "unit", "key", "expected"),
    [
        ("26499-4", 1.2, "10*3/uL", "neutrophils", 1.2),
        ("26499-4", 1200, "/uL", "neutrophils", 1.2),
        ("1975-2", 1.0, "mg/dL", "bilirubin", 17.104),
        ("1975-2", 17.1, "umol/L", "bilirubin", 17.1),
        ("1742-6", 1, "ukat/L", "alt", 60.0),
        ("29463-7", 154, "[lb_av]", "weight", 69.853),
        ("8302-2", 1.7, "m", "height", 170.0),
        ("55135-8", 0.05, "%", "bcr-abl-is", 0.05),
        ("55135-8", 0.0005, "1", "bcr-abl-is", 0.05),
    ],
)
def test_a_result_is_read_in_the_canonical_unit(
    code: str, value: float, unit: str, key: str, expected: float, read: Read
) -> None:
    record = read(lab(code, value, unit))
    (found,) = record.labs
    assert found.key == key
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert record.problems == ()


def test_a_spelling_without_a_code_is_enough(read: Read) -> None:
    record = read(lab("777-3", 0, "", valueQuantity={"value": 150, "unit": "K/µL"}))
    assert record.labs[0].value == 150


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"value": 5}, "lab-unit-unreadable"),
        ({"value": 5, "unit": "furlong"}, "lab-unit-unreadable"),
        ({"value": 5, "unit": "mg/dL"}, "lab-unit-unreadable"),
        (quantity(5, "10*9/L") | {"unit": "/uL"}, "lab-unit-unreadable"),
        ({"unit": "10*9/L"}, "lab-value-unreadable"),
        (quantity(5, "10*9/L") | {"comparator": "about"}, "lab-value-unreadable"),
    ],
)
def test_a_result_in_doubt_is_left_out_and_said(
    value: dict[str, Any], code: str, read: Read
) -> None:
    record = read(lab("777-3", 0, "", valueQuantity=value))
    assert record.labs == ()
    assert [problem.code for problem in record.problems] == [code]
    assert "platelets" in record.problems[0].message


def test_a_height_that_nobody_has_is_a_slip_that_is_said(read: Read) -> None:
    record = read(lab("8302-2", 1.31, "cm"))
    assert record.labs == ()
    (said,) = record.problems
    assert said.code == "lab-value-implausible"
    assert "1.31 cm cannot be true" in said.message


def test_a_unit_code_is_not_outvoted_by_its_words(read: Read) -> None:
    record = read(lab("777-3", 0, "", valueQuantity=quantity(5, "10*9/L") | {"code": "furlong"}))
    assert record.labs == ()


def test_a_comparator_is_kept(read: Read) -> None:
    record = read(lab("777-3", 0, "", valueQuantity=quantity(5, "10*9/L") | {"comparator": "<"}))
    assert record.labs[0].comparator is Comparator.LESS


@pytest.mark.parametrize(
    ("ranges", "multiple"),
    [
        ([{"high": quantity(1.2, "mg/dL")}], 2.0),
        ([{"high": {"value": 1.2}}], 2.0),
        ([{"high": quantity(20.5, "umol/L")}], 2.002),
        ([{"high": quantity(1.2, "mg/dL"), "type": coded("urn:x", "normal")}], 2.0),
        ([{"high": quantity(1.2, "mg/dL"), "type": coded("urn:x", "critical")}], None),
        ([{"high": quantity(1.2, "mg/dL")}, {"high": quantity(2, "mg/dL")}], None),
        ([{"low": quantity(1.2, "mg/dL")}], None),
        ([{"text": "< 1.2"}], 2.0),
        ([{"text": "see the report"}], None),
        ([{"high": {"value": 1.2, "unit": "furlong"}}], 2.0),
        ([{"high": quantity(1.2, "mg/dL") | {"unit": "g/L"}}], None),
    ],
)
def test_the_upper_limit_of_normal_is_the_one_the_laboratory_states(
    ranges: list[dict[str, Any]], multiple: float | None, read: Read
) -> None:
    (found,) = read(lab("1975-2", 2.4, "mg/dL", referenceRange=ranges)).labs
    if multiple is None:
        assert found.multiple_of_upper_limit is None
    else:
        assert found.multiple_of_upper_limit == pytest.approx(multiple, rel=1e-3)


@pytest.mark.parametrize(
    "value",
    [
        {"valueCodeableConcept": coded(SNOMED, "10828004")},
        {"valueCodeableConcept": {"text": "Positive"}},
        {"valueString": "positive"},
        {"valueBoolean": True},
    ],
)
def test_a_coded_result_has_the_key_of_its_answer(value: dict[str, Any], read: Read) -> None:
    result = lab("2106-3", 0, "") | value
    del result["valueQuantity"]
    (found,) = read(result).labs
    assert (found.coded, found.value) == ("positive", None)


def test_an_answer_the_rulebook_does_not_know_is_said(read: Read) -> None:
    result = lab("82810-3", 0, "", valueCodeableConcept={"text": "perhaps"})
    del result["valueQuantity"]
    record = read(result)
    assert record.labs == ()
    assert [problem.code for problem in record.problems] == ["lab-value-unreadable"]


def test_components_are_results_of_their_own(read: Read) -> None:
    panel = lab("99999-9", 0, "", component=[
        {"code": coded(LOINC, "26499-4"), "valueQuantity": quantity(1.2, "10*9/L")},
        {"code": coded(LOINC, "777-3"), "valueQuantity": quantity(150, "10*9/L")},
        {"code": coded(LOINC, "1742-6"), "dataAbsentReason": {"text": "clotted"}},
    ])  # fmt: skip
    del panel["valueQuantity"]
    assert {found.key: found.value for found in read(panel).labs} == {
        "neutrophils": 1.2,
        "platelets": 150.0,
    }


def test_a_result_without_a_time_is_left_out_and_said(read: Read) -> None:
    untimed = lab("777-3", 150, "10*9/L", issued="2024-05-20T08:00:00Z")
    del untimed["effectiveDateTime"]
    record = read(untimed)
    assert record.labs == ()
    assert [problem.code for problem in record.problems] == ["lab-time-unknown"]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "registered", "unknown"])
def test_a_result_that_does_not_count_is_left_out_and_said(status: str, read: Read) -> None:
    record = read(lab("777-3", 150, "10*9/L", status=status))
    assert record.labs == ()
    assert [problem.code for problem in record.problems] == ["lab-status-unusable"]


def test_a_correction_under_the_same_identifier_replaces_a_result(read: Read) -> None:
    same = {"identifier": [{"value": "7"}]}
    first = lab("777-3", 15, "10*9/L", id="a", issued="2024-05-20T08:00:00Z", **same)
    second = lab("777-3", 150, "10*9/L", id="b", issued="2024-05-20T09:00:00Z", **same)
    assert [found.value for found in read(second, first).labs] == [150]


def test_a_result_nobody_asks_about_is_no_problem(read: Read) -> None:
    record = read(lab("99999-9", 1, "furlong"))
    assert (record.labs, record.problems) == ((), ())


def test_results_are_ordered_by_time(read: Read) -> None:
    days = [f"2024-05-{day:02}" for day in (20, 3, 11)]
    results = [
        lab("777-3", i, "10*9/L", id=f"o{i}", effectiveDateTime=day) for i, day in enumerate(days)
    ]
    assert [found.value for found in read(*results).labs] == [1, 2, 0]


@pytest.mark.parametrize(
    ("written", "multiple"),
    [
        ("0 - 40 U/L", 5.0),
        ("7–40", 5.0),
        ("<40 U/L", 5.0),
        ("up to 40", 5.0),
        ("0,2 - 40", None),
        ("0 - 40 mg/dL", None),
        ("40 - 50 if fasting, else 60", None),
        ("see report", None),
    ],
)
def test_a_normal_range_in_plain_words_is_read_and_any_other_is_not(
    written: str, multiple: float | None, read: Read
) -> None:
    (found,) = read(lab("1742-6", 200, "U/L", referenceRange=[{"text": written}])).labs
    assert found.multiple_of_upper_limit == multiple


def test_giga_per_litre_is_a_count_for_cells_and_a_mass_for_proteins(read: Read) -> None:
    (found,) = read(lab("26499-4", 0, "", valueQuantity={"value": 0.9, "unit": "G/L"})).labs
    assert found.value == 0.9
