"""Conditions, procedures, adverse events, allergies and genetic findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.record import PatientRecord
from tests.fhir.factories import ICD10, LOINC, RXNORM, SNOMED, coded, level

Read = Callable[..., PatientRecord]

_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def _condition(**fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p"},
        "code": coded(ICD10, "C92.10", "CML"),
        "clinicalStatus": coded(_CLINICAL, "active"),
        "verificationStatus": coded(_VERIFICATION, "confirmed"),
    } | fields


def test_a_condition_is_known_by_its_code_or_by_an_enclosing_category(read: Read) -> None:
    record = read(_condition(), _condition(id="c2", code=coded(SNOMED, "420120006")))
    assert [c.keys for c in record.conditions] == [("cml",), ("gist",)]


@pytest.mark.parametrize(
    "system",
    [
        "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
        "urn:oid:2.16.840.1.113883.6.90",
        "https://smt.esante.gouv.fr/terminologie-cim-10",
    ],
)
def test_a_code_system_is_known_by_its_other_names(system: str, read: Read) -> None:
    assert read(_condition(code=coded(system, "C92.10"))).conditions[0].keys == ("cml",)


@pytest.mark.parametrize(
    ("mark", "states"),
    [("G", [(True, True)]), ("V", [(True, False)]), ("Z", [(False, True)]), ("A", [])],
)
def test_the_german_mark_of_certainty_counts(
    mark: str, states: list[tuple[bool, bool]], read: Read
) -> None:
    code = coded("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "C92.10")
    url = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
    code["coding"][0]["extension"] = [{"url": url, "valueCoding": {"code": mark}}]
    found = read(_condition(code=code)).conditions
    assert [(c.active, c.confirmed) for c in found] == states


@pytest.mark.parametrize(
    ("fields", "active"),
    [
        ({}, True),
        ({"clinicalStatus": coded(_CLINICAL, "relapse")}, True),
        ({"clinicalStatus": coded(_CLINICAL, "remission")}, False),
        ({"clinicalStatus": coded(_CLINICAL, "resolved")}, False),
        ({"clinicalStatus": None}, True),
        ({"clinicalStatus": None, "abatementDateTime": "2023-01-01"}, False),
    ],
)
def test_a_condition_is_active_while_its_status_says_so(
    fields: dict[str, Any], active: bool, read: Read
) -> None:
    assert read(_condition(**fields)).conditions[0].active is active


@pytest.mark.parametrize(
    ("status", "confirmed"), [("confirmed", True), ("provisional", False), ("differential", False)]
)
def test_an_unconfirmed_condition_is_marked(status: str, confirmed: bool, read: Read) -> None:
    found = read(_condition(verificationStatus=coded(_VERIFICATION, status))).conditions[0]
    assert found.confirmed is confirmed


@pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
def test_a_refuted_condition_is_none(status: str, read: Read) -> None:
    assert read(_condition(verificationStatus=coded(_VERIFICATION, status))).conditions == ()


def test_a_procedure_leaves_its_condition_behind_if_it_was_done(read: Read) -> None:
    procedure = {
        "resourceType": "Procedure",
        "id": "x",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "code": coded(SNOMED, "26452003", "Total gastrectomy"),
        "performedDateTime": "2020-02",
    }
    (found,) = read(procedure).conditions
    assert (found.keys, found.active) == (("gastrectomy",), True)
    assert read(procedure | {"status": "not-done"}).conditions == ()


def test_an_adverse_event_is_a_condition(read: Read) -> None:
    event = {
        "resourceType": "AdverseEvent",
        "id": "x",
        "actuality": "actual",
        "subject": {"reference": "Patient/p"},
        "event": {"text": "Periorbital oedema"},
        "date": "2024-05-01",
    }
    (found,) = read(event).conditions
    assert (found.display, found.active, found.confirmed) == ("Periorbital oedema", True, True)
    assert not read(event | {"actuality": "potential"}).conditions[0].confirmed


def _allergy(**fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        "id": "x",
        "patient": {"reference": "Patient/p"},
        "code": coded(RXNORM, "282388", "imatinib"),
    } | fields


@pytest.mark.parametrize(
    ("code", "ingredient"),
    [
        (coded(RXNORM, "282388"), "imatinib"),
        (coded(RXNORM, "403879"), "imatinib"),
        ({"text": "Glivec (rash)"}, "imatinib"),
        (coded(RXNORM, "11289"), "warfarin"),
    ],
)
def test_an_allergy_names_its_ingredient(code: dict[str, Any], ingredient: str, read: Read) -> None:
    (found,) = read(_allergy(code=code)).allergies
    assert (found.ingredient, found.active, found.is_allergy) == (ingredient, True, True)


def test_an_intolerance_is_not_called_an_allergy(read: Read) -> None:
    assert not read(_allergy(type="intolerance")).allergies[0].is_allergy


def test_an_allergy_that_does_not_concern_us_or_was_refuted_is_none(read: Read) -> None:
    assert read(_allergy(code={"text": "peanuts"})).allergies == ()
    status = coded("http://x", "refuted")
    assert read(_allergy(verificationStatus=status)).allergies == ()


def test_an_allergy_to_nothing_is_a_problem(read: Read) -> None:
    record = read(_allergy(code=None))
    assert [problem.code for problem in record.problems] == ["allergy-unreadable"]


def _variant(**fields: Any) -> dict[str, Any]:
    found = level(id="g1", code=coded(LOINC, "69548-6", "Genetic variant assessment")) | fields
    del found["valueQuantity"]
    return found


def _panel(**answers: str) -> dict[str, Any]:
    parts = [{"code": {"text": name}, "valueString": said} for name, said in answers.items()]
    return {"code": {"text": "ABL1 kinase domain, T315I and others"}, "component": parts}


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"valueString": "CYP3A5 *3/*3"}, ["cyp3a5-poor"]),
        ({"valueCodeableConcept": {"text": "CYP2C8*3"}}, ["cyp2c8*3"]),
        ({"valueString": "BCR::ABL1 kinase domain: T315I detected"}, ["t315i"]),
        ({"code": {"text": "CYP2C8"}, "valueString": "*3"}, ["cyp2c8*3"]),
        ({"component": [{"code": {"text": "variant"}, "valueString": "T315I"}]}, ["t315i"]),
        ({"valueString": "CYP2C8*30"}, []),
        ({"valueString": "T315I not detected"}, []),
        ({"valueString": "T315I: negative"}, []),
        ({"code": {"text": "T315I"}, "valueBoolean": False}, []),
        ({"code": {"text": "T315I"}, "valueCodeableConcept": {"text": "Absent"}}, []),
        ({"code": {"text": "T315I"}, "valueCodeableConcept": {"text": "nicht nachgewiesen"}}, []),
        ({"code": {"text": "T315I"}, "valueCodeableConcept": coded(LOINC, "LA9634-2")}, []),
        (
            {"code": {"text": "T315I"}, "interpretation": [coded("x", "NEG")], "valueString": "-"},
            [],
        ),
        ({"code": {"text": "T315I mutation"}}, []),
        ({"valueString": "T315I: positive (24 %). E255K: negative."}, ["t315i"]),
        ({"valueString": "E255K not detected, T315I detected"}, ["t315i"]),
        ({"valueString": "No mutations detected: E255K, T315I, F359V"}, []),
        ({"valueString": "E255K, T315I, F359V: not detected"}, []),
        ({"valueString": "T315I\nno other mutation found", "interpretation": []}, []),
        (_panel(T315I="Detected", E255K="Not detected"), ["t315i"]),
        (_panel(T315I="Not detected", E255K="Detected"), []),
        (_panel(T315I="Absent", E255K="Absent"), []),
        ({"valueString": "Absent"} | _panel(change="T315I"), []),
        ({"code": {"text": "Panel, T315I"}, "valueString": "M351T found. F317L not found."}, []),
        ({"code": {"text": "Panel with T315I, E255K"}, "valueString": "E255K detected"}, []),
        ({"code": {"text": "T315I"}, "valueString": "detected, 24 %"}, ["t315i"]),
        ({"valueString": "Present"} | _panel(change="T315I", state="not specified"), ["t315i"]),
        ({"status": "entered-in-error", "valueString": "T315I"}, []),
    ],
)
def test_a_genetic_finding_is_read_from_its_words_unless_it_was_not_found(
    fields: dict[str, Any], keys: list[str], read: Read
) -> None:
    assert [gene.key for gene in read(_variant(**fields)).genes] == keys


@pytest.mark.parametrize(
    "words",
    [
        "T315I positive and E255K negative",
        "Tested for T315I. Not detected.",
        "T315I cannot be excluded: not excluded",
        "T315I equivocal",
        "T315I\nno other mutation found",
    ],
)
def test_a_genetic_result_that_leaves_open_what_was_found_is_a_question(
    words: str, read: Read
) -> None:
    record = read(_variant(code={"text": "kinase domain"}, valueString=words))
    assert record.genes == ()
    assert [problem.code for problem in record.problems] == ["gene-result-unclear"]
