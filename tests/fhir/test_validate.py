"""The gate: repaired where harmless, refused where not, and always said."""

from __future__ import annotations

from typing import Any

import pytest

from cds.fhir.elements import number
from cds.fhir.problems import ReadError
from cds.fhir.validate import read_resource
from tests.fhir.factories import PATIENT, coded, dosage, level, request


def test_a_valid_resource_passes_without_a_word() -> None:
    reading = read_resource(request())
    assert reading.resource == request()
    assert reading.problems == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"note": None},
        {"note": []},
        {"priority": ""},
        {"extension": [{}]},
        {"priority": " routine "},
        {"id": "under_score"},
        {"id": "e" * 90},
        {"authoredOn": "2024-01-01T08:00:00"},
        {"authoredOn": "2024-01-01T08:00"},
        {"authoredOn": "2024-01-01T08:00:00+0100"},
        {"dosageInstruction": [dosage(timeOfDay=["08:00"])]},
    ],
)
def test_harmless_slips_are_repaired(fields: dict[str, Any]) -> None:
    reading = read_resource(request(**fields))
    assert reading.resource is not None
    assert reading.problems == ()


def test_a_time_without_a_zone_is_handed_on_as_it_was_written() -> None:
    reading = read_resource(level(effectiveDateTime="2024-05-20T08:00:00"))
    assert reading.resource is not None
    assert reading.resource["effectiveDateTime"] == "2024-05-20T08:00:00"


def test_an_element_unknown_to_r4_is_left_out_and_said() -> None:
    reading = read_resource(level(triggeredBy=[{"type": "reflex"}]))
    assert reading.resource is not None
    assert "triggeredBy" not in reading.resource
    (problem,) = reading.problems
    assert (problem.code, problem.field) == ("resource-repaired", "triggeredBy")


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (request(status="Active"), "status-unknown"),
        (request(status="finished"), "status-unknown"),
        (level(status="done"), "status-unknown"),
        (request(status=None), "resource-unreadable"),
        (request(subject=None), "resource-unreadable"),
        (request(medicationReference={"reference": "Medication/m"}), "resource-unreadable"),
        (request(authoredOn="yesterday"), "resource-unreadable"),
        (request(dosageInstruction={"text": "400 mg"}), "resource-unreadable"),
        (request(contained=[{"resourceType": "Unknown"}]), "resource-unreadable"),
        (PATIENT | {"birthDate": "2001-01-01T00:00:00Z"}, "resource-unreadable"),
        (level(valueString="850 ng/mL"), "resource-unreadable"),
        (
            request(modifierExtension=[{"url": "http://x/y", "valueBoolean": True}]),
            "modifier-extension",
        ),
        (level(modifierExtension=[{"url": "http://x/y"}]), "modifier-extension"),
        (request(implicitRules="http://x/rules"), "modifier-extension"),
        (request(medication={"concept": {"text": "imatinib"}}), "fhir-version-mismatch"),
        (request(dosageInstruction=[{"asNeeded": True}]), "fhir-version-mismatch"),
        (request(dosageInstruction=[{"doseQuantity": {"value": 1}}]), "fhir-version-mismatch"),
        ({"resourceType": "MedicationOrder"}, "fhir-version-mismatch"),
        ({"resourceType": "Spaceship"}, "resource-type-unknown"),
        ({"resourceType": ["MedicationRequest"]}, "resource-type-unknown"),
        ({}, "resource-type-unknown"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_a_reason(
    resource: dict[str, Any], code: str
) -> None:
    reading = read_resource(resource)
    assert reading.resource is None
    assert [problem.code for problem in reading.problems] == [code]


def test_an_stu3_statement_that_says_not_taken_is_never_read_as_taken() -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "status": "active",
        "taken": "n",
        "subject": {"reference": "Patient/p"},
        "medicationCodeableConcept": coded("http://x", "y", "imatinib"),
    }
    reading = read_resource(statement)
    assert reading.resource is None
    assert reading.problems[0].code == "fhir-version-mismatch"


def test_the_resource_that_was_given_is_not_changed() -> None:
    given = request(note=[], foo=1)
    read_resource(given)
    assert given == request(note=[], foo=1)


def test_nul_with_which_interfaces_pad_fields_is_taken_out() -> None:
    reading = read_resource(request(priority="routine\0\0", note=[{"text": "\0"}]))

    assert reading.resource == request(priority="routine")
    assert reading.problems == ()


def test_a_number_that_no_quantity_can_be_is_unreadable() -> None:
    assert number({"value": 10**14}, "value") == 10**14
    with pytest.raises(ReadError):
        number({"value": 10**15}, "value")
