"""Dates that nobody entered, and dates before the drug, are no dates; the rest is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from cds.fhir.no_dates import _kept, _without, without_placeholders
from tests.fhir.factories import DRUG, SNOMED, coded, dosage, lab, level, quantity, request
from tests.fhir.test_mutations import OTHERS, SHAPES, damaged

Read = Callable[..., PatientRecord]

PLACEHOLDERS = [
    "1970-01-01",
    "1970-01-01T00:00:00Z",
    "1970-01-01T01:00:00+01:00",
    "1969-12-31T19:00:00-05:00",
    "1900-01-01",
    "1753-01-01",
    "0001-01-01T00:00:00Z",
    "0000-00-00",
]


def _said(record: PatientRecord) -> list[tuple[str, str | None]]:
    return [(found.code, found.field) for found in record.problems]


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_an_order_with_a_placeholder_is_read_without_its_date(written: str, read: Read) -> None:
    record = read(request(authoredOn=written))

    (order,) = record.orders
    assert order.authored is None
    assert [regimen.daily_mg for regimen in order.regimens] == [400]
    (said,) = record.problems
    assert (said.code, said.field, said.impact) == ("date-not-entered", "authoredOn", Impact.LIMITS)
    assert written in said.message


def test_a_start_that_nobody_entered_leaves_the_date_of_the_order(read: Read) -> None:
    bounded = dosage(boundsPeriod={"start": "1970-01-01"}, frequency=1, period=1, periodUnit="d")
    record = read(request(dosageInstruction=[bounded]))

    (order,) = record.orders
    assert order.authored is not None
    assert order.regimens[0].starts == order.authored
    assert _said(record) == [
        ("date-not-entered", "dosageInstruction.timing.repeat.boundsPeriod.start")
    ]


def test_an_end_that_nobody_entered_is_no_end(read: Read) -> None:
    bounded = dosage(
        boundsPeriod={"start": "2024-01-01", "end": "1900-01-01"},
        frequency=1,
        period=1,
        periodUnit="d",
    )
    (order,) = read(request(dosageInstruction=[bounded])).orders

    assert order.regimens[0].ends is None


def test_a_time_of_intake_that_nobody_entered_is_left_out() -> None:
    timed = request(dosageInstruction=[{"timing": {"event": ["1970-01-01", "2024-05-01"]}}])

    kept, said = without_placeholders(timed, DRUG)

    assert kept["dosageInstruction"] == [{"timing": {"event": ["2024-05-01"]}}]
    assert [found.field for found in said] == ["dosageInstruction.timing.event"]


def test_a_statement_has_no_start_by_a_placeholder(read: Read) -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "active",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": request()["medicationCodeableConcept"],
        "effectivePeriod": {"start": "1970-01-01"},
        "dosage": [dosage()],
    }
    record = read(statement)

    assert record.orders[0].regimens[0].starts is None
    assert _said(record) == [("date-not-entered", "effectivePeriod.start")]


def test_a_level_with_a_placeholder_keeps_its_value_and_has_no_time(read: Read) -> None:
    record = read(level(effectiveDateTime="1970-01-01T00:00:00Z"))

    assert (record.levels[0].ng_ml, record.levels[0].sampled) == (850, None)
    assert {code for code, _ in _said(record)} == {"date-not-entered", "level-time-unknown"}


def test_a_dispense_with_a_placeholder_was_not_handed_over_on_that_day(read: Read) -> None:
    dispense = {
        "resourceType": "MedicationDispense",
        "id": "d",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": request()["medicationCodeableConcept"],
        "daysSupply": quantity(30, "d"),
        "whenHandedOver": "1900-01-01",
    }
    record = read(dispense)

    assert record.supplies == ()
    assert {code for code, _ in _said(record)} == {"date-not-entered", "supply-not-handed-over"}


def test_of_another_resource_the_placeholder_is_a_note(read: Read) -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": coded(SNOMED, "420120006"),
        "onsetDateTime": "1970-01-01",
    }
    record = read(condition, lab("777-3", 210, "10*9/L", effectiveDateTime="1900-01-01"))

    assert record.conditions[0].onset is None
    assert record.labs == ()
    notes = {found.reference: found.impact for found in record.problems if "date" in found.code}
    assert notes == {"Condition/c": Impact.NOTICE, "Observation/o1": Impact.NOTICE}


def test_the_year_1970_alone_and_another_day_of_it_are_dates(read: Read) -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": coded(SNOMED, "420120006"),
    }
    for written in ("1970", "1970-01", "1970-01-02"):
        record = read(condition | {"onsetDateTime": written})
        assert record.conditions[0].onset is not None
        assert record.problems == ()


@pytest.mark.parametrize(
    "resource", [request(authoredOn="1985-03-01"), level(issued="1997-12-31T08:00:00Z")]
)
def test_no_date_of_the_drug_is_older_than_the_drug(resource: dict[str, Any], read: Read) -> None:
    record = read(resource)

    (said,) = record.problems
    assert (said.code, said.impact) == ("date-before-drug", Impact.LIMITS)
    assert "first given to people in 1998" in said.message
    assert all(order.authored is None and order.regimens for order in record.orders)
    assert all(found.issued is None for found in record.levels)


def test_the_year_of_the_first_trial_can_be_true(read: Read) -> None:
    record = read(request(authoredOn="1998-06-22"))

    assert record.orders[0].authored is not None
    assert record.problems == ()


def test_a_drug_whose_beginning_is_not_known_may_have_any_date(read: Read) -> None:
    undated = replace(DRUG, first_given_year=None)

    assert read(request(authoredOn="1985-03-01"), drug=undated).problems == ()


def test_a_resource_with_true_dates_is_not_copied() -> None:
    resource = request()

    assert without_placeholders(resource, DRUG)[0] is resource


@given(
    damaged([*OTHERS, *SHAPES.values()]), st.sampled_from(["2024-05", "2024", "2024-02-01", "x"])
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_resource_is_left_alone_only_where_no_date_would_be_taken_out(
    resource: dict[str, Any], none: str
) -> None:
    found: list[tuple[str, str]] = []
    kept = _kept(resource, lambda written: written.startswith(none), "", found)

    assert _without(resource, lambda written: written.startswith(none)) == (kept, found)
