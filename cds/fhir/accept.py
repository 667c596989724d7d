"""Which resources are read: the patient's own, in their newest version, and valid one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct, field
from msgspec.structs import replace

from cds.clinical.problem import Impact, Problem
from cds.clinical.terminology import Drug
from cds.fhir.bundle import Entry, Index
from cds.fhir.elements import Element, reference_of, word
from cds.fhir.findings import MedicationFindings
from cds.fhir.identity import Asked, check_subject
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


class Accepted(Struct):
    """Accepted resources by what they are read for."""

    medications: list[tuple[Element, bool]] = field(default_factory=list)
    changed: list[Element] = field(default_factory=list)
    """Orders as they are stored while a draft with their own id changes or ends them."""
    observations: list[Element] = field(default_factory=list)
    requests: list[tuple[Element, bool]] = field(default_factory=list)
    others: list[Element] = field(default_factory=list)
    patient: Element | None = None
    named_elsewhere: bool = False
    """Whether orders of another patient, and nothing of this one, name the drug."""
    findings: MedicationFindings = field(default_factory=MedicationFindings)


def accept(
    entries: Sequence[Entry],
    patient: Asked,
    index: Index,
    drug: Drug,
    problems: list[Problem],
    selections: Collection[str],
) -> Accepted:
    """Refuse what is other patients', validate each resource alone, and sort what is left."""
    kept = Accepted()
    strangers: list[str] = []
    foreign: list[tuple[Entry, Problem]] = []
    newest = _newest(entries)
    ours = _ours(newest, patient, strangers, foreign, problems)
    named = bool(foreign) and mentions([entry.resource for entry in ours], drug)
    for entry, refused in foreign:
        # A draft is written while this patient's chart is open, and a list of another patient may
        # stand in the place of this patient's own: silence would look like assent.
        if entry.is_draft and _kept_unread(entry, [refused], kept, drug, problems, selections):
            continue
        asked_for = entry.kind in _MEDICATIONS and entry.matches
        followed = asked_for and _impact(entry) is Impact.PREVENTS
        if followed and not named and mentions([entry.resource], drug):
            kept.named_elsewhere = True
            problems.append(replace(refused, impact=Impact.PREVENTS))
        else:
            problems.append(refused)
    readings = read_resources([entry.resource for entry in ours])
    for entry, reading in zip(ours, readings, strict=True):
        if entry.kind == "Patient":
            _accept_patient(entry.resource, reading, kept, problems)
            continue
        resource = reading.resource
        if resource is not None:
            problems += reading.problems
        else:
            resource = _saved(entry, reading, kept, drug, problems, selections)
            if resource is None:
                continue
        undated: list[Problem] = []
        if not reading.known:
            resource, undated = without_placeholders(resource, drug)
        index.add(resource, entry.url)
        if not entry.matches:
            continue
        problems += undated
        if entry.kind in MEDICATION_TYPES:
            kept.medications.append((resource, entry.is_draft))
        elif entry.kind == "Observation":
            kept.observations.append(resource)
        elif entry.kind == "ServiceRequest":
            kept.requests.append((resource, entry.is_draft))
        else:
            kept.others.append(resource)
    problems += _strangers(strangers, kept)
    stored = _changed(entries, newest)
    readings = read_resources([e.resource for e in stored if check_subject(e, patient) is None])
    kept.changed = [r.resource for r in readings if r.resource is not None]
    return kept


def _saved(
    entry: Entry,
    refused: Reading,
    kept: Accepted,
    drug: Drug,
    problems: list[Problem],
    selections: Collection[str],
) -> Element | None:
    """What can be read of a resource that was refused, if anything; the problems are said."""
    raw = entry.resource
    if _kept_unread(entry, refused.problems, kept, drug, problems, selections):
        return None
    is_result = entry.kind == "Observation"
    problems += _naming_level(refused.problems, raw, drug) if is_result else refused.problems
    return read_name_only(raw).resource


def _kept_unread(
    entry: Entry,
    said: Sequence[Problem],
    kept: Accepted,
    drug: Drug,
    problems: list[Problem],
    selections: Collection[str],
) -> bool:
    """Whether a refused resource is about taking the drug; that it is there is then kept."""
    raw = entry.resource
    if entry.kind not in _MEDICATIONS or not entry.matches or not mentions([raw], drug):
        return False
    selected = reference_of(raw) in selections
    kept.findings.orders.append(unread_order(raw, is_draft=entry.is_draft, selected=selected))
    impact = _impact(entry)
    problems += (replace(found, impact=impact) for found in said)
    return True


def _ours(
    newest: Sequence[Entry],
    patient: Asked,
    strangers: list[str],
    foreign: list[tuple[Entry, Problem]],
    problems: list[Problem],
) -> list[Entry]:
    """The patient's own resources of types that are read; other Patients go to `strangers`, what is
    not certainly this patient's to `foreign`, with why."""
    ours: list[Entry] = []
    unread_types: set[str] = set()
    for entry in newest:
        kind = entry.kind
        if kind == "Patient":
            if patient.is_shown_by(entry):
                ours.append(entry)
            else:
                strangers.append(reference_of(entry.resource))
        elif kind not in READ_TYPES and kind not in OLD_MEDICATION_TYPES:
            unread_types.add(kind[:40] or "unknown")
        else:
            refused = check_subject(entry, patient)
            if refused is None:
                ours.append(entry)
            else:
                foreign.append((entry, refused))
    for name in sorted(unread_types):
        message = f"Resources of type {name} are not read by this service."
        problems.append(problem("resource-type-unknown", message))
    return ours


def _newest(entries: Sequence[Entry]) -> list[Entry]:
    """Each resource once: the newest version of an id, and the draft rather than what is stored."""
    chosen: dict[tuple[str, str], Entry] = {}
    unnamed: list[Entry] = []
    for entry in entries:
        if not entry.kind or not entry.identity:
            unnamed.append(entry)
            continue
        name = entry.kind, entry.identity
        other = chosen.setdefault(name, entry)
        if other is not entry and _version(entry) > _version(other):
            chosen[name] = entry
    return [*chosen.values(), *unnamed]


def _changed(entries: Sequence[Entry], newest: Sequence[Entry]) -> list[Entry]:
    """The newest stored version of each order that a draft with its id changes or ends."""
    drafts = {entry.identity for entry in newest if entry.is_draft and entry.kind in _ORDERS}
    stored = [e for e in entries if not e.is_draft and e.kind in _ORDERS and e.identity in drafts]
    return _newest(stored) if drafts else []


def _version(entry: Entry) -> tuple[bool, datetime, int, bool, str]:
    meta = entry.resource.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    updated, number = str(meta.get("lastUpdated") or ""), str(meta.get("versionId") or "")
    try:
        at = read_moment(updated, _UTC_ZONE).at
    except ReadError:
        at = _LONG_AGO
    status = word(entry.resource, "status")
    version = int(number) if number.isdecimal() and len(number) < 10 else 0
    return entry.is_draft, at, version, entry.matches, status


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


def _impact(entry: Entry) -> Impact:
    """An unread order of the drug prevents advice unless it is certainly not followed now."""
    if entry.is_draft:
        return Impact.PREVENTS
    over = entry.kind not in _ORDERS or word(entry.resource, "status") in _OVER
    return Impact.LIMITS if over else Impact.PREVENTS
