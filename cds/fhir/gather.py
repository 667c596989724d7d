"""FHIR resources of one patient -> PatientRecord: the one way in for every caller.

The order of work is the order of need: measurements first (a dose per m2 needs one), then
medicines, then levels (their timing needs doses), then the rest. The record does not depend on the
order in which resources arrive, and nothing in the input makes it raise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cds.clinical.labs import Lab
from cds.clinical.level import PendingLevel
from cds.clinical.medication import Allergy, Condition, GeneResult
from cds.clinical.moment import Moment
from cds.clinical.person import Person
from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder
from cds.clinical.surface import mosteller_m2
from cds.clinical.terminology import Drug, Terminology
from cds.fhir.accept import Accepted, accept
from cds.fhir.bundle import Index, flatten
from cds.fhir.conditions import (
    read_adverse_event,
    read_allergy,
    read_condition,
    read_procedure,
)
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, reference_of
from cds.fhir.findings import MedicationFindings
from cds.fhir.genes import read_genes
from cds.fhir.identity import patient_asked, read_person
from cds.fhir.labs import place_of, read_labs
from cds.fhir.medications import read_medication, unread_order
from cds.fhir.mentions import mentions
from cds.fhir.observed import Observed, by_code
from cds.fhir.pending import requested_level
from cds.fhir.problems import ReadError, problem
from cds.fhir.results import latest_reports
from cds.fhir.series import read_levels

_RECENT: Final = timedelta(days=90)
"""How long a weight or body surface serves to read a dose per kg or m2; children grow."""
_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)


def gather(
    patient: Mapping[str, Any] | None,
    resources: Iterable[Mapping[str, Any]],
    drafts: Iterable[Mapping[str, Any]] = (),
    *,
    selections: Collection[str] = (),
    drug: Drug,
    terminology: Terminology,
    zone: ZoneInfo,
    now: datetime,
    patient_id: str | None = None,
    asked_for: frozenset[str] = frozenset(),
) -> PatientRecord:
    """Read everything about one patient; what cannot be read is in the record's problems.

    `resources` and `drafts` may be resources or Bundles. `drafts` are orders being written now
    (they replace stored versions of themselves), `selections` the references the prescriber is
    looking at. Resources of another patient are refused. Never raises for any JSON input.
    """
    problems: list[Problem] = []
    entries = flatten([*([patient] if patient else []), *resources], problems)
    entries += flatten(drafts, problems, are_drafts=True)
    asked = patient_asked(patient_id, patient, entries)
    index = Index()
    kept = accept(entries, asked, index, drug, problems, selections)
    context = ReadContext(drug, terminology, zone, now, index.resolve)
    person = _person(kept.patient, asked.identity, zone, problems)
    observed = by_code(kept.observations, context, problems)
    labs = _labs(observed, context, problems)
    context = replace(
        context,
        body_surface_m2=_surface(labs, now),
        weight_kg=_recent(labs, "kg", now),
    )
    _medications(kept, context, selections)
    found = kept.findings
    problems += found.problems
    levels = read_levels(observed, context, found, problems)
    pending = [*levels.pending, *_requested_levels(kept, context, problems)]
    conditions, allergies = _histories(kept.others, context, problems)
    genes: list[GeneResult] = []
    for observation in observed.others:
        found_genes, said = _reading(read_genes, observation, context, problems) or ([], [])
        genes += found_genes
        problems += said
    return PatientRecord(
        person,
        orders=tuple(sorted(found.orders, key=lambda o: (_time(o.authored), o.reference))),
        taken=_unique(found.taken, key=lambda t: (_time(t.at), t.reference)),
        supplies=_unique(found.supplies, key=lambda s: (_time(s.handed_over), s.reference)),
        levels=_unique(levels.measured, key=lambda v: (_time(v.sampled), v.reference)),
        labs=_unique(labs, key=lambda v: place_of(v, context.terminology)),
        medicines=_unique(found.medicines, key=lambda m: (_time(m.started), m.reference)),
        conditions=_unique(conditions, key=lambda c: (_time(c.onset), c.reference)),
        allergies=_unique(allergies, key=lambda a: (a.ingredient, a.reference)),
        genes=_unique(genes, key=lambda g: (_time(g.at), g.reference, g.key)),
        pending_levels=_unique(pending, key=lambda p: (_time(p.since), p.reference)),
        problems=_unique(
            problems, key=lambda p: (p.reference or "", p.code, p.field or "", p.message)
        ),
        asked_for=asked_for,
        named_elsewhere=kept.named_elsewhere,
    )


def _person(
    patient: Element | None, identity: str | None, zone: ZoneInfo, problems: list[Problem]
) -> Person:
    try:
        return read_person(patient, identity, zone)
    except ReadError as error:
        message = "The Patient resource could not be read; age and sex are unknown."
        problems.append(problem("patient-unreadable", message, field=error.field))
        return Person(identity or "unknown")


def _labs(observed: Observed, context: ReadContext, problems: list[Problem]) -> list[Lab]:
    labs: list[Lab] = []
    for observation, known, is_latest in latest_reports(observed.results, context.zone, problems):
        if not is_latest:
            continue
        try:
            results, said = read_labs(observation, known, context)
        except ReadError as error:
            problems.append(error.as_problem(reference_of(observation)))
            continue
        labs += results
        problems += said
    return labs


def _recent(labs: Sequence[Lab], unit: str, now: datetime) -> float | None:
    """The latest measurement in a unit that only one kind of measurement has (kg, cm, m2)."""
    found = [
        lab for lab in labs if lab.unit == unit and lab.value and now - _RECENT <= lab.at.at <= now
    ]
    return max(found, key=lambda lab: (lab.at.at, lab.reference)).value if found else None


def _surface(labs: Sequence[Lab], now: datetime) -> float | None:
    """The body surface by which a dose per m2 is read: as recorded, else by weight and height."""
    recorded = _recent(labs, "m2", now)
    kg, cm = _recent(labs, "kg", now), _recent(labs, "cm", now)
    return recorded if recorded or kg is None or cm is None else mosteller_m2(kg, cm)


def _medications(kept: Accepted, context: ReadContext, selections: Collection[str]) -> None:
    for resource, is_draft in kept.medications:
        reference = reference_of(resource)
        try:
            read_medication(
                resource,
                context,
                kept.findings,
                is_draft=is_draft,
                selected=reference in selections,
            )
        except ReadError as error:
            ours = mentions([resource], context.drug)
            impact = Impact.PREVENTS if ours else None
            kept.findings.problems.append(error.as_problem(reference, impact))
            if ours:
                selected = reference in selections
                order = unread_order(resource, is_draft=is_draft, selected=selected)
                kept.findings.orders.append(order)
    kept.findings.orders += _as_followed_until_now(kept, context)
    kept.findings.settle_stops()


def _as_followed_until_now(kept: Accepted, context: ReadContext) -> list[DrugOrder]:
    """Orders of the drug as they were followed before a draft with their own id changes them.

    Without them the course would begin with the draft: its months, and the dose of a level drawn
    yesterday, would be lost. One that is not readable tells nothing that the draft does not.
    """
    found = MedicationFindings()
    for resource in kept.changed:
        with suppress(ReadError):
            read_medication(resource, context, found)
    return [order for order in found.orders if order.regimens]


def _requested_levels(
    kept: Accepted, context: ReadContext, problems: list[Problem]
) -> Iterator[PendingLevel]:
    for request, is_draft in kept.requests:
        try:
            requested = requested_level(request, context, is_draft=is_draft)
        except ReadError as error:
            problems.append(error.as_problem(reference_of(request), Impact.NOTICE))
            continue
        if requested is not None:
            yield requested


def _histories(
    resources: Sequence[Element], context: ReadContext, problems: list[Problem]
) -> tuple[list[Condition], list[Allergy]]:
    conditions: list[Condition] = []
    allergies: list[Allergy] = []
    readers = {
        "Condition": read_condition,
        "Procedure": read_procedure,
        "AdverseEvent": read_adverse_event,
    }
    for resource in resources:
        kind = str(resource.get("resourceType"))
        if kind == "AllergyIntolerance":
            result = _reading(read_allergy, resource, context, problems)
            if result is not None:
                allergies += result[0]
                problems += result[1]
        elif kind in readers:
            condition = _reading(readers[kind], resource, context, problems)
            if condition is not None:
                conditions.append(condition)
    return conditions, allergies


def _reading(reader: Any, resource: Element, context: ReadContext, problems: list[Problem]) -> Any:
    """What a reader makes of a resource, or None and a Problem if it is malformed."""
    try:
        return reader(resource, context)
    except ReadError as error:
        problems.append(error.as_problem(reference_of(resource)))
        return None


def _unique(values: Sequence[Any], key: Any) -> tuple[Any, ...]:
    """Sorted, identical ones once: the same resource often arrives under two prefetch keys."""
    ordered = sorted(values, key=key)
    if len(set(map(key, ordered))) < len(ordered):  # only what sorts alike can be identical
        return tuple(dict.fromkeys(ordered))
    return tuple(ordered)


def _time(at: Moment | None) -> datetime:
    return at.at if at is not None else _LONG_AGO
