"""Resources as obtained -> the patient's record, and the resources that cards act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.fhir.gather import gather
from cds.services.knowledge import Knowledge

if TYPE_CHECKING:
    from cds.services.decide import EvaluationInput

PATIENT_KEY = "patient"
_DRAFTS = ("draftOrders", "medications", "medication")


@dataclass(frozen=True, slots=True)
class Gathered:
    """The record, and the orders of the request by reference."""

    record: PatientRecord
    resources: Mapping[str, dict[str, Any]]


def gather_record(given: EvaluationInput, knowledge: Knowledge) -> Gathered:
    """Read what was obtained; what could not be obtained is a problem of the record."""
    drafts = list(drafts_of(given.context))
    others = [
        resource
        for key, resource in given.resources.items()
        if resource is not None and key != PATIENT_KEY
    ]
    patient = given.resources.get(PATIENT_KEY)
    selections = given.context.get("selections")
    record = gather(
        patient if isinstance(patient, dict) else None,
        others,
        drafts,
        selections=tuple(selections) if isinstance(selections, list) else (),
        drug=knowledge.rulebook.drug,
        terminology=knowledge.rulebook.terminology,
        zone=ZoneInfo(given.setting.time_zone),
        now=given.at,
        patient_id=given.patient_id,
        asked_for=frozenset(key for key in given.resources if key not in given.unavailable),
    )
    unavailable = tuple(
        Problem("data-not-available", why, Impact.LIMITS, field=key)
        for key, why in sorted(given.unavailable.items())
    )
    record = replace(record, problems=record.problems + unavailable)
    return Gathered(record, _by_reference([*others, *drafts]))


def drafts_of(context: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The orders being written, refilled or verified: a resource or a Bundle of them."""
    for name in _DRAFTS:
        value = context.get(name)
        if isinstance(value, dict):
            yield value


def _by_reference(resources: list[Any]) -> dict[str, dict[str, Any]]:
    """Every resource, in Bundles too, under its relative reference; drafts come last and win."""
    found: dict[str, dict[str, Any]] = {}
    for resource in resources:
        for item in _flat(resource):
            kind, identifier = item.get("resourceType"), item.get("id")
            if isinstance(kind, str) and isinstance(identifier, str):
                found[f"{kind}/{identifier}"] = item
    return found


def _flat(resource: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(resource, dict):
        return
    if resource.get("resourceType") != "Bundle":
        yield resource
        return
    entries = resource.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        yield from _flat(entry.get("resource") if isinstance(entry, dict) else None)
