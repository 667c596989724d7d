"""Whose data is it: a resource of another patient is refused, never mixed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_PATIENT: Final = "Patient"
_SUBJECT: Final = {"AllergyIntolerance": "patient"}
_WITHOUT_SUBJECT: Final = frozenset({"Medication", "Specimen"})
_SEX: Final = {"female": Sex.FEMALE, "male": Sex.MALE}


def bare_id(patient_id: str) -> str:
    """A patient id without the `Patient/` that some clients put before it."""
    return local_reference(patient_id).removeprefix("Patient/").removeprefix("urn:uuid:")


class Asked:
    """The patient asked about: the id, None if nobody knows it, and all ids that mean the same."""

    def __init__(self, identity: str | None, aliases: frozenset[str]) -> None:
        self.identity = identity
        self.aliases = aliases
        self._references: set[str] = set()

    def is_shown_by(self, entry: Entry) -> bool:
        """Whether a Patient resource is of this patient; without ids there is no other."""
        nameless = not entry.identity and self.identity is None
        return entry.identity in self.aliases or nameless

    def is_named_by(self, reference: str) -> bool:
        """Whether a reference names the patient. Nearly every resource of a record has the same."""
        if reference in self._references:
            return True
        if bare_id(reference) not in self.aliases:
            return False
        self._references.add(reference)
        return True


def patient_asked(
    patient_id: str | None, patient: Mapping[str, Any] | None, known: Sequence[Entry]
) -> Asked:
    """The patient asked about: by the id stated, else the Patient's, else the only subject.

    A Bundle may refer to its Patient by the entry's URL instead of the id.
    """
    asked = bare_id(patient_id) if patient_id else None
    if asked is None and patient is not None and isinstance(patient.get("id"), str):
        asked = str(patient["id"])
    if asked is None:
        subjects = {found for entry in known if (found := _subject_or_self(entry))}
        urls = {bare_id(e.url) for e in known if e.url and e.kind == _PATIENT}
        subjects -= urls if len(subjects) > 1 else set()
        asked = subjects.pop() if len(subjects) == 1 else None
    if asked is None:
        return Asked(None, frozenset())
    aliases = {
        bare_id(entry.url)
        for entry in known
        if entry.url and entry.kind == _PATIENT and entry.resource.get("id") == asked
    }
    return Asked(asked, frozenset({asked, *aliases}))


def check_subject(entry: Entry, patient: Asked) -> Problem | None:
    """The problem of a resource that is not certainly this patient's, or None.

    A draft comes from the context of the hook, which is one patient's, so it may leave it unsaid.
    """
    if entry.kind in _WITHOUT_SUBJECT:
        return None
    try:
        subject = _subject(entry.resource, entry.kind)
    except ReadError as error:
        return error.as_problem(reference_of(entry.resource))
    is_ours = patient.is_named_by(subject) if subject else entry.is_draft
    if is_ours:
        return None
    reference = reference_of(entry.resource)
    if not subject:
        message = f"{reference} does not say which patient it belongs to, so it was not used."
        return problem("subject-missing", message, reference, field="subject")
    message = f"{reference} belongs to another patient and was not used."
    return problem("other-patient", message, reference, field="subject")


def subject_of(resource: Element) -> str | None:
    """The bare id of the patient a resource belongs to. Raises ReadError if malformed."""
    target = _subject(resource, word(resource, "resourceType"))
    return bare_id(target) if target else None


def _subject(resource: Element, kind: str) -> str | None:
    name = _SUBJECT.get(kind, "subject")
    if name not in resource and "patient" in resource:
        name = "patient"  # older FHIR versions: still this patient's, though it cannot be read
    return referred(element(resource, name))


def read_person(patient: Element | None, patient_id: str | None, zone: ZoneInfo) -> Person:
    """The patient without a name. Raises ReadError if the birth date is malformed."""
    if patient is None:
        return Person(patient_id or "unknown")
    sex = _SEX.get(text(patient, "gender") or "")
    deceased = flag(patient, "deceasedBoolean") or "deceasedDateTime" in patient
    return Person(patient_id or "unknown", sex, moment(patient, "birthDate", zone), deceased)


def _subject_or_self(entry: Entry) -> str | None:
    if entry.kind == _PATIENT:
        return entry.identity or None
    try:
        return subject_of(entry.resource)
    except ReadError:
        return None  # said when the resource itself is read
