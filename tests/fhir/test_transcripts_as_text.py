"""BCR::ABL1 sent as text: a number, a bound, a depth of response, or nothing found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from cds.clinical.labs import Lab
from cds.clinical.level import Comparator
from cds.clinical.record import PatientRecord
from cds.clinical.terminology import Terminology
from cds.content import rules_dir
from cds.rulebook import load
from tests.fhir.factories import SNOMED, coded, lab

Read = Callable[..., PatientRecord]


@cache
def _terminology() -> Terminology:
    return load(rules_dir()).terminology


def _read(read: Read, value: dict[str, Any], code: str = "69380-4") -> PatientRecord:
    result = lab(code, 0, "") | value
    del result["valueQuantity"]
    return read(result, terminology=_terminology())


def _one(read: Read, words: str) -> Lab:
    record = _read(read, {"valueString": words})
    assert record.problems == ()
    (found,) = record.labs
    return found


@pytest.mark.parametrize(
    ("words", "value", "comparator"),
    [
        ("0.01 %", 0.01, None),
        ("0,01 %", 0.01, None),
        ("0,012%", 0.012, None),
        ("12,5 % IS", 12.5, None),
        ("< 0.0032 %", 0.0032, Comparator.LESS),
        ("≤0.0032 % (IS)", 0.0032, Comparator.LESS_OR_EQUAL),
        ("> 10 %", 10, Comparator.GREATER),
        ("MR4.5", 0.0032, Comparator.LESS_OR_EQUAL),
        ("MR 4,5", 0.0032, Comparator.LESS_OR_EQUAL),
        ("MR4", 0.01, Comparator.LESS_OR_EQUAL),
        ("MMR", 0.1, Comparator.LESS_OR_EQUAL),
        ("MR5.0", 0.0032, Comparator.LESS_OR_EQUAL),
        ("Not detected (MR4.5)", 0.0032, Comparator.LESS_OR_EQUAL),
        ("undetectable, MR4", 0.01, Comparator.LESS_OR_EQUAL),
        ("0.0028 % (MR4.5)", 0.0028, None),
        ("MR4.5; 0.0028 %", 0.0028, None),
    ],
)
def test_a_number_or_a_depth_in_words_is_read(
    words: str, value: float, comparator: Comparator | None, read: Read
) -> None:
    found = _one(read, words)
    assert (found.key, found.value, found.comparator, found.coded) == (
        "bcr_abl_is",
        value,
        comparator,
        None,
    )


@pytest.mark.parametrize(
    "words",
    ["undetectable", "Not detected", "nicht nachweisbar", "non détecté", "negative", "NEGATIV"],
)
def test_what_was_not_detected_is_an_answer_and_no_number(words: str, read: Read) -> None:
    found = _one(read, words)
    assert (found.value, found.coded) == (None, "not-detected")


def test_not_detected_is_known_by_its_code(read: Read) -> None:
    record = _read(read, {"valueCodeableConcept": coded(SNOMED, "260415000", "Not detected")})
    assert [found.coded for found in record.labs] == ["not-detected"]


@pytest.mark.parametrize(
    "words",
    [
        "1,234 %",
        "0.01",
        "detected, not quantifiable",
        "MR4.5 lost",
        "0.02 % (MR4.5)",
        "not detected (10 %)",
        "no MMR",
        "see report",
    ],
)
def test_words_that_may_mean_another_thing_are_asked_about(words: str, read: Read) -> None:
    record = _read(read, {"valueString": words})
    assert record.labs == ()
    assert [problem.code for problem in record.problems] == ["lab-value-unreadable"]


def test_other_results_are_not_read_from_text(read: Read) -> None:
    record = _read(read, {"valueString": "55 %"}, code="10230-1")
    assert record.labs == ()
