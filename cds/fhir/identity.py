"""Whose data is it: a resource of another patient is refused, never mixed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from cds.clinical.person import Person, Sex
from cds.clinical.problem import Problem
from cds.fhir.bundle import Entry
from cds.fhir.elements import (
    Element,
    element,
    flag,
    local_reference,
    reference_of,
    referred,
    text,
    word,
)
from cds.fhir.problems import ReadError, problem
from cds.fhir.times import moment

_SUBJECT: Final = {"AllergyIntolerance": "patient"}
_WITHOUT_SUBJECT: Final = frozenset({"Medication", "Specimen"})
_SEX: Final = {"female": Sex.FEMALE, "male": Sex.MALE}


def bare_id(patient_id: str) -> str:
    """A patient id without the `Patient/` that some clients put before it."""
    return local_reference(patient_id).removeprefix("Patient/").removeprefix("urn:uuid:")


def patient_aliases(
    patient_id: str | None, patient: Mapping[str, Any] | None, entries: Iterable[Entry]
) -> tuple[str | None, frozenset[str]]:
    """The id of the patient asked about, and all ids by which references may name the patient.

    The id is the one stated, else the Patient's, else the only subject there is. A Bundle may refer
    to its Patient by the entry's URL instead of the id.
    """
    known = list(entries)
    asked = bare_id(patient_id) if patient_id else None
    if asked is None and patient is not None and isinstance(patient.get("id"), str):
        asked = str(patient["id"])
    if asked is None:
        subjects = {found for entry in known if (found := _subject_or_self(entry.resource))}
        urls = {bare_id(e.url) for e in known if e.url and _is_patient(e.resource)}
        subjects -= urls if len(subjects) > 1 else set()
        asked = subjects.pop() if len(subjects) == 1 else None
    if asked is None:
        return None, frozenset()
    aliases = {
        bare_id(entry.url)
        for entry in known
        if entry.url and _is_patient(entry.resource) and entry.resource.get("id") == asked
    }
    return asked, frozenset({asked, *aliases})


def check_subject(
    resource: Element, aliases: frozenset[str], *, is_draft: bool = False
) -> Problem | None:
    """The problem of a resource that is not certainly this patient's, or None.

    A draft comes from the context of the hook, which is one patient's, so it may leave it unsaid.
    """
    if word(resource, "resourceType") in _WITHOUT_SUBJECT:
        return None
    try:
        subject = subject_of(resource)
    except ReadError as error:
        return error.as_problem(reference_of(resource))
    if subject in aliases or (subject is None and is_draft):
        return None
    reference = reference_of(resource)
    if subject is None:
        message = f"{reference} does not say which patient it belongs to, so it was not used."
        return problem("subject-missing", message, reference, field="subject")
    message = f"{reference} belongs to another patient and was not used."
    return problem("other-patient", message, reference, field="subject")


def subject_of(resource: Element) -> str | None:
    """The bare id of the patient a resource belongs to. Raises ReadError if malformed."""
    name = _SUBJECT.get(word(resource, "resourceType"), "subject")
    if name not in resource and "patient" in resource:
        name = "patient"  # older FHIR versions: still this patient's, though it cannot be read
    target = referred(element(resource, name))
    return bare_id(target) if target else None


def read_person(patient: Element | None, patient_id: str | None, zone: ZoneInfo) -> Person:
    """The patient without a name. Raises ReadError if the birth date is malformed."""
    if patient is None:
        return Person(patient_id or "unknown")
    sex = _SEX.get(text(patient, "gender") or "")
    deceased = flag(patient, "deceasedBoolean") or "deceasedDateTime" in patient
    return Person(patient_id or "unknown", sex, moment(patient, "birthDate", zone), deceased)


def _is_patient(resource: Element) -> bool:
    return resource.get("resourceType") == "Patient"


def _subject_or_self(resource: Element) -> str | None:
    if _is_patient(resource):
        identity = resource.get("id")
        return identity if isinstance(identity, str) else None
    try:
        return subject_of(resource)
    except ReadError:
        return None  # said when the resource itself is read
