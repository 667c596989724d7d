"""The whole record: whose it is, what is refused, and what does not matter."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from cds.clinical.person import Sex
from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from cds.fhir.gather import gather
from tests.fhir.factories import (
    DRUG,
    IMATINIB_400,
    LOINC,
    NOW,
    PATIENT,
    RXNORM,
    TERMINOLOGY,
    ZONE,
    coded,
    dosage,
    lab,
    level,
    request,
)

Read = Callable[..., PatientRecord]


def _codes(record: PatientRecord) -> list[str]:
    return [problem.code for problem in record.problems]


def _gather(patient: Any, *resources: Any, **options: Any) -> PatientRecord:
    return gather(
        patient, resources, drug=DRUG, terminology=TERMINOLOGY, zone=ZONE, now=NOW, **options
    )


def _bundle(*resources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries} | fields


# --- the person ---


def test_a_person_has_sex_and_birth_but_no_name(read: Read) -> None:
    person = read().person
    assert (person.id, person.sex) == ("p", Sex.FEMALE)
    assert person.age_years(NOW) == pytest.approx(54.2, abs=0.1)


@pytest.mark.parametrize("gender", ["other", "unknown", "F", None])
def test_another_gender_is_an_unknown_sex(gender: str | None) -> None:
    assert _gather(PATIENT | {"gender": gender}).person.sex is None


def test_an_unreadable_patient_is_said_and_the_rest_still_counts() -> None:
    record = _gather(PATIENT | {"birthDate": "04.03.1970"}, level())
    assert record.person.id == "p"
    assert len(record.levels) == 1
    assert set(_codes(record)) == {"patient-unreadable", "resource-unreadable"}


def test_another_patient_than_the_one_asked_about_is_refused() -> None:
    record = _gather(PATIENT | {"id": "q"}, level(), patient_id="p")
    assert record.person.id == "p"
    assert record.person.sex is None
    assert _codes(record) == ["patient-mismatch"]
    assert record.problems[0].impact is Impact.PREVENTS


def test_another_person_beside_the_patient_is_only_noticed() -> None:
    mother = {"resourceType": "Patient", "id": "m"}
    record = _gather(PATIENT, mother, level(), patient_id="p")
    assert record.person.sex is Sex.FEMALE
    assert [(found.code, found.impact) for found in record.problems] == [
        ("other-patient", Impact.NOTICE)
    ]


# --- whose resources ---


@pytest.mark.parametrize(
    "subject",
    ["Patient/q", "https://ehr/fhir/Patient/q", "Patient/pp", "Group/p", "urn:uuid:p2", "#p"],
)
def test_a_resource_of_another_patient_is_never_mixed_in(subject: str, read: Read) -> None:
    other = {"reference": subject}
    record = read(
        level(subject=other), request(subject=other), lab("777-3", 5, "10*9/L", subject=other)
    )
    assert (record.orders, record.levels, record.labs) == ((), (), ())
    assert _codes(record) == ["other-patient"] * 3


def test_that_only_orders_of_another_patient_name_the_drug_is_no_reason_for_silence(
    read: Read,
) -> None:
    other = {"reference": "Patient/q"}
    assert read(request(subject=other)).mentions_drug
    assert not read(request(subject=other, status="entered-in-error")).mentions_drug
    assert not read(lab("777-3", 5, "10*9/L", subject=other)).mentions_drug


def test_an_unreadable_order_of_another_patient_is_not_taken_for_this_one(read: Read) -> None:
    record = read(request(subject={"reference": "Patient/q"}, medication={"concept": {}}))
    assert record.orders == ()
    assert _codes(record) == ["other-patient"]


@pytest.mark.parametrize("subject", [None, {"display": "A person"}])
def test_a_resource_that_does_not_say_whose_it_is_is_refused(subject: Any, read: Read) -> None:
    record = read(level(subject=subject))
    assert record.levels == ()
    assert _codes(record) == ["subject-missing"]


@pytest.mark.parametrize(
    "patient_id", ["p", "Patient/p", "https://ehr.example/fhir/Patient/p", None]
)
def test_the_patient_may_be_named_in_every_usual_way(patient_id: str | None) -> None:
    record = _gather(PATIENT, level(), patient_id=patient_id)
    assert len(record.levels) == 1


def test_a_bundle_may_refer_to_its_patient_by_the_url_of_the_entry() -> None:
    patient = {"resourceType": "Patient", "id": "p"}
    bundle = _bundle(level(subject={"reference": "urn:uuid:0-0"}))
    bundle["entry"].append({"fullUrl": "urn:uuid:0-0", "resource": patient})
    assert len(_gather(None, bundle, patient_id="p").levels) == 1
    assert len(_gather(None, bundle).levels) == 1


def test_without_a_patient_the_only_subject_is_the_patient_and_two_are_none() -> None:
    assert _gather(None, level()).person.id == "p"
    both = _gather(None, level(), level(id="l2", subject={"reference": "Patient/q"}))
    assert both.levels == ()
    assert _codes(both) == ["other-patient", "other-patient"]


# --- bundles and unusual shapes ---


def test_bundles_in_bundles_are_read_entry_by_entry(read: Read) -> None:
    broken = lab("777-3", 5, "10*9/L", status=None)
    record = read(_bundle(_bundle(level(), broken), request()))
    assert len(record.levels) == 1
    assert len(record.orders) == 1
    assert _codes(record) == ["resource-unreadable"]


def test_what_a_search_merely_included_is_not_a_result(read: Read) -> None:
    bundle = _bundle(level())
    bundle["entry"][0]["search"] = {"mode": "include"}
    outcome = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    bundle["entry"].append(outcome)
    assert read(bundle).levels == ()


@pytest.mark.parametrize("search", [{"mode": ["include"]}, {"mode": None}, "include", [], 5])
def test_how_an_entry_was_found_matters_only_where_it_is_said(search: Any, read: Read) -> None:
    bundle = _bundle(level())
    bundle["entry"][0]["search"] = search
    assert len(read(bundle).levels) == 1


def test_what_stands_in_an_included_bundle_was_included(read: Read) -> None:
    bundle = _bundle(_bundle(level()))
    bundle["entry"][0]["search"] = {"mode": "include"}
    assert read(bundle).levels == ()


def test_an_included_medication_still_resolves_the_order_that_refers_to_it(read: Read) -> None:
    order = request(
        medicationReference={"reference": "Medication/m"},
        dosageInstruction=[
            {
                "timing": dosage()["timing"],
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tablet"}}],
            }
        ],
    )
    del order["medicationCodeableConcept"]
    medication = {"resourceType": "Medication", "id": "m", "code": IMATINIB_400}
    bundle = _bundle(order, medication)
    bundle["entry"][1]["search"] = {"mode": "include"}
    assert read(bundle).orders[0].regimens[0].daily_mg == 400


def test_an_epic_shaped_order_is_read_by_the_name_of_its_reference(read: Read) -> None:
    order = request(
        "e" + "AbC123-" * 15,
        medicationReference={
            "reference": "Medication/eXyz",
            "display": "imatinib (GLEEVEC) 400 mg tablet",
        },
    )
    del order["medicationCodeableConcept"]
    (found,) = read(order).orders
    assert found.regimens[0].daily_mg == 400
    assert found.display == "imatinib (GLEEVEC) 400 mg tablet"


_DSTU2_ORDER = {
    "resourceType": "MedicationOrder",
    "id": "m2",
    "status": "active",
    "patient": {"reference": "Patient/p"},
    "medicationCodeableConcept": {"text": "imatinib 400 mg"},
    "dosageInstruction": [{"doseQuantity": {"value": 400, "unit": "mg"}}],
}
_STU3_ORDER = request("m3", dosageInstruction=[{"doseQuantity": {"value": 400, "unit": "mg"}}])
_R5_ORDER = request("m5", medication={"concept": {"text": "imatinib 400 mg"}})


@pytest.mark.parametrize("order", [_DSTU2_ORDER, _STU3_ORDER, _R5_ORDER], ids=["2", "3", "5"])
def test_an_order_of_another_fhir_version_is_a_problem_and_never_a_dose(
    order: dict[str, Any], read: Read
) -> None:
    record = read(order)
    assert [found.regimens for found in record.orders] == [()]
    assert record.mentions_drug
    assert _codes(record) == ["fhir-version-mismatch"]
    assert record.problems[0].impact is Impact.PREVENTS


def test_an_unreadable_order_of_another_medicine_is_said_but_is_no_order_of_ours(
    read: Read,
) -> None:
    record = read(request(medicationCodeableConcept=coded(RXNORM, "9384", "rifampin"), status="on"))
    assert record.orders == ()
    assert _codes(record) == ["status-unknown"]


@pytest.mark.parametrize("thing", [None, 5, "<html>", [], [1], {"entry": []}])
def test_what_is_no_resource_is_said_and_does_no_harm(thing: Any, read: Read) -> None:
    record = read(thing, level())
    assert len(record.levels) == 1
    assert record.problems


def test_types_nobody_reads_are_said_once_each(read: Read) -> None:
    visit = {"resourceType": "Encounter"}
    record = read(visit, visit, {"resourceType": "Practitioner"})
    assert _codes(record) == ["resource-type-unknown"] * 2


@pytest.mark.parametrize("entry", ["x", {"a": 1}, [None, 1, {}, {"resource": 5}]])
def test_a_broken_bundle_does_no_harm(entry: Any, read: Read) -> None:
    assert len(read({"resourceType": "Bundle", "entry": entry}, level()).levels) == 1


def test_elements_of_the_wrong_type_that_the_models_let_pass_are_refused(read: Read) -> None:
    as_text = '{"reference": "Patient/p"}'
    record = read(level(subject=as_text), level(id="l2", code='{"text": "imatinib"}'))
    assert record.levels == ()
    assert set(_codes(record)) == {"resource-unreadable"}


def test_a_dose_written_as_text_or_a_flag_as_a_word_is_refused_and_prevents(read: Read) -> None:
    quoted = dosage() | {"doseAndRate": [{"doseQuantity": {"value": "400", "unit": "mg"}}]}
    record = read(request(dosageInstruction=[quoted]), request("b", doNotPerform="false"))
    assert [order.regimens for order in record.orders] == [(), ()]
    assert [problem.impact for problem in record.problems] == [Impact.PREVENTS] * 2


# --- what must not matter ---


def _story() -> list[dict[str, Any]]:
    return [
        request(dosageInstruction=[dosage(timeOfDay=["08:00:00"])]),
        request("r", medicationCodeableConcept=coded(RXNORM, "9384")),
        level(note=[{"text": "24 h post dose"}]),
        lab("777-3", 150, "10*9/L"),
        lab("29463-7", 70, "kg", id="w"),
        level(id="panel", code=coded(LOINC, "1-1"), subject={"reference": "Patient/q"}),
    ]


def test_the_order_in_which_resources_arrive_does_not_matter(read: Read) -> None:
    expected = read(*_story())
    for shuffled in itertools.islice(itertools.permutations(_story()), 0, 720, 37):
        assert read(*shuffled) == expected


def test_the_same_resources_twice_make_the_same_record(read: Read) -> None:
    assert read(*_story(), _bundle(*_story())) == read(*_story())


def test_the_same_instants_in_another_zone_make_the_same_record(read: Read) -> None:
    shifted = level(note=[{"text": "24 h post dose"}], effectiveDateTime="2024-05-20T06:00:00Z")
    others = [resource for resource in _story() if resource["id"] != "l1"]
    assert read(shifted, *others) == read(*_story())


def test_the_same_level_in_another_unit_differs_only_in_how_it_was_reported(read: Read) -> None:
    (one,), (other,) = read(level(850, "ng/mL")).levels, read(level(0.85, "mg/L")).levels
    assert one.ng_ml == other.ng_ml
    assert one.timing == other.timing


def test_what_was_asked_for_is_kept(read: Read) -> None:
    assert read(asked_for=frozenset({"labs"})).asked_for == {"labs"}


def test_an_order_of_another_medicine_in_stu3_keeps_its_name_and_loses_its_dose(read: Read) -> None:
    old = request(
        medicationCodeableConcept=coded(RXNORM, "9384", "rifampin"),
        dosageInstruction=[{"doseQuantity": {"value": 600, "unit": "mg"}}],
    )
    record = read(old)
    (medicine,) = record.medicines
    assert (medicine.ingredients, medicine.daily_mg) == (("rifampicin",), None)
    assert _codes(record) == ["fhir-version-mismatch"]


def test_what_an_older_version_says_of_not_taking_is_never_read_past(read: Read) -> None:
    old = request(
        medicationCodeableConcept=coded(RXNORM, "9384", "rifampin"),
        dosageInstruction=[{"doseQuantity": {"value": 600, "unit": "mg"}}],
        taken="n",
    )
    assert read(old).medicines == ()


def test_the_death_of_a_patient_is_read(read: Read) -> None:
    assert not read().person.deceased
    assert _gather(PATIENT | {"deceasedDateTime": "2024-01-01"}).person.deceased
    assert _gather(PATIENT | {"deceasedBoolean": True}).person.deceased
    assert not _gather(PATIENT | {"deceasedBoolean": False}).person.deceased
