"""Which resources are read: the patient's own, in their newest version, and valid one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from cds.clinical.problem import Impact, Problem
from cds.clinical.terminology import Drug
from cds.fhir.bundle import Entry, Index
from cds.fhir.elements import Element, reference_of, word
from cds.fhir.findings import MedicationFindings
from cds.fhir.identity import check_subject
from cds.fhir.medications import unread_order
from cds.fhir.mentions import mentions
from cds.fhir.no_dates import without_placeholders
from cds.fhir.problems import ReadError, problem
from cds.fhir.times import read_moment
from cds.fhir.validate import Reading, read_name_only, read_resources
from cds.fhir.vocabulary import MEDICATION_TYPES, OLD_MEDICATION_TYPES, READ_TYPES, words

_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)
_UTC_ZONE: Final = ZoneInfo("UTC")
_ORDERS: Final = frozenset({"MedicationRequest", "MedicationOrder", "MedicationPrescription"})
_MEDICATIONS: Final = MEDICATION_TYPES | OLD_MEDICATION_TYPES
_OVER: Final = words("completed stopped cancelled entered-in-error on-hold")


@dataclass(slots=True)
class Accepted:
    """Accepted resources by what they are read for."""

    medications: list[tuple[Element, bool]] = field(default_factory=list)
    observations: list[Element] = field(default_factory=list)
    requests: list[tuple[Element, bool]] = field(default_factory=list)
    others: list[Element] = field(default_factory=list)
    patient: Element | None = None
    findings: MedicationFindings = field(default_factory=MedicationFindings)


def accept(
    entries: Sequence[Entry],
    drafts: Sequence[Entry],
    aliases: frozenset[str],
    index: Index,
    drug: Drug,
    problems: list[Problem],
    selections: Collection[str],
    identity: str | None,
) -> Accepted:
    """Refuse what is other patients', validate each resource alone, and sort what is left."""
    kept = Accepted()
    strangers: list[str] = []
    ours = _ours(_newest(entries, drafts), aliases, identity, strangers, problems)
    readings = read_resources([entry.resource for entry, _ in ours])
    for (entry, is_draft), reading in zip(ours, readings, strict=True):
        raw = entry.resource
        kind = word(raw, "resourceType")
        if kind == "Patient":
            _accept_patient(raw, reading, kept, problems)
            continue
        about_drug = kind in _MEDICATIONS and entry.matches
        if reading.resource is None and about_drug and mentions([raw], drug):
            selected = reference_of(raw) in selections
            kept.findings.orders.append(unread_order(raw, is_draft=is_draft, selected=selected))
            impact = _impact(raw, is_draft)
            problems += (replace(found, impact=impact) for found in reading.problems)
            continue
        lost = reading.resource is None and kind == "Observation"
        problems += _naming_level(reading.problems, raw, drug) if lost else reading.problems
        reading = reading if reading.resource is not None else read_name_only(raw)
        if reading.resource is None:
            continue
        resource = reading.resource
        undated: list[Problem] = []
        if not reading.known:
            resource, undated = without_placeholders(resource, drug)
        index.add(resource, entry.url)
        if not entry.matches:
            continue
        problems += undated
        if kind in MEDICATION_TYPES:
            kept.medications.append((resource, is_draft))
        elif kind == "Observation":
            kept.observations.append(resource)
        elif kind == "ServiceRequest":
            kept.requests.append((resource, is_draft))
        else:
            kept.others.append(resource)
    problems += _strangers(strangers, kept)
    return kept


def _ours(
    newest: Sequence[tuple[Entry, bool]],
    aliases: frozenset[str],
    identity: str | None,
    strangers: list[str],
    problems: list[Problem],
) -> list[tuple[Entry, bool]]:
    """The patient's own resources of types that are read; other Patients go to `strangers`."""
    ours: list[tuple[Entry, bool]] = []
    unread_types: set[str] = set()
    for entry, is_draft in newest:
        raw = entry.resource
        kind = word(raw, "resourceType")
        if kind == "Patient":
            if _is_the_patient(raw, identity, aliases):
                ours.append((entry, is_draft))
            else:
                strangers.append(reference_of(raw))
        elif kind not in READ_TYPES and kind not in OLD_MEDICATION_TYPES:
            unread_types.add(kind[:40] or "unknown")
        else:
            refused = check_subject(raw, aliases, is_draft=is_draft)
            if refused is None:
                ours.append((entry, is_draft))
            else:
                problems.append(refused)
    for name in sorted(unread_types):
        message = f"Resources of type {name} are not read by this service."
        problems.append(problem("resource-type-unknown", message))
    return ours


def _newest(entries: Sequence[Entry], drafts: Sequence[Entry]) -> list[tuple[Entry, bool]]:
    """Each resource once: the newest version of an id, and the draft rather than what is stored."""
    chosen: dict[tuple[str, str], tuple[Entry, bool]] = {}
    unnamed: list[tuple[Entry, bool]] = []
    for entry, is_draft in [*((e, False) for e in entries), *((d, True) for d in drafts)]:
        kind, identity = word(entry.resource, "resourceType"), word(entry.resource, "id")
        if not kind or not identity:
            unnamed.append((entry, is_draft))
            continue
        other = chosen.get((kind, identity))
        if other is None or _version(entry, is_draft) > _version(*other):
            chosen[kind, identity] = (entry, is_draft)
    return [*chosen.values(), *unnamed]


def _version(entry: Entry, is_draft: bool) -> tuple[bool, datetime, int, bool, str]:
    meta = entry.resource.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    updated, number = str(meta.get("lastUpdated") or ""), str(meta.get("versionId") or "")
    try:
        at = read_moment(updated, _UTC_ZONE).at
    except ReadError:
        at = _LONG_AGO
    status = word(entry.resource, "status")
    version = int(number) if number.isdecimal() and len(number) < 10 else 0
    return is_draft, at, version, entry.matches, status


def _is_the_patient(raw: Element, identity: str | None, aliases: frozenset[str]) -> bool:
    found = word(raw, "id")
    return found in aliases or (not found and identity is None)


def _strangers(references: Sequence[str], kept: Accepted) -> list[Problem]:
    """Other people's Patient resources: a serious mistake if ours is not there beside them."""
    if kept.patient is not None:
        message = "The Patient resource of another person was not used."
        return [
            problem("other-patient", message, found, impact=Impact.NOTICE) for found in references
        ]
    message = "The Patient resource is not the patient asked about; it was not used."
    return [problem("patient-mismatch", message, found, field="id") for found in references]


def _accept_patient(
    raw: Element, reading: Reading, kept: Accepted, problems: list[Problem]
) -> None:
    if reading.resource is None:
        message = "The Patient resource could not be read; age and sex are unknown."
        problems.append(problem("patient-unreadable", message, reference_of(raw)))
    problems += reading.problems
    kept.patient = reading.resource


def _naming_level(said: Sequence[Problem], raw: Element, drug: Drug) -> Iterable[Problem]:
    """The problems of a result that was refused; of a level of the drug they say so."""
    if not mentions([{"code": raw.get("code")}], drug):
        return said
    return (replace(p, message=f"A level of {drug.name} was lost: {p.message}") for p in said)


def _impact(raw: Element, is_draft: bool) -> Impact:
    """An unread order of the drug prevents advice unless it is certainly not followed now."""
    if is_draft:
        return Impact.PREVENTS
    over = word(raw, "resourceType") not in _ORDERS or word(raw, "status") in _OVER
    return Impact.LIMITS if over else Impact.PREVENTS
