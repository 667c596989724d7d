"""Resources as obtained -> the patient's record, and the resources that cards act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.fhir.gather import gather
from cds.fhir.prefetch import orders_in_context
from cds.fhir.problems import problem
from cds.services.knowledge import Knowledge

if TYPE_CHECKING:
    from cds.services.decide import EvaluationInput

PATIENT_KEY = "patient"
# Data that sharpen advice but rarely turn it: where a site never sends them, a line on every card
# would teach people not to read the line.
_SUPPLEMENTARY = frozenset({"administrations", "dispenses", "genetics", "procedures"})
_ORDERS = frozenset({"MedicationRequest", "ServiceRequest"})
"""What a card's suggestion may change."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The record, and the orders of the request by reference."""

    record: PatientRecord
    resources: Mapping[str, dict[str, Any]]


def gather_record(given: EvaluationInput, knowledge: Knowledge) -> Gathered:
    """Read what was obtained; what could not be obtained is a problem of the record."""
    drafts, selections = orders_in_context(given.setting.occasion, given.context)
    others = [
        resource
        for key, resource in given.resources.items()
        if resource is not None and key != PATIENT_KEY
    ]
    patient = given.resources.get(PATIENT_KEY)
    record = gather(
        patient if isinstance(patient, dict) else None,
        others,
        drafts,
        selections=selections,
        drug=knowledge.rulebook.drug,
        terminology=knowledge.rulebook.terminology,
        zone=ZoneInfo(given.setting.time_zone),
        now=given.at,
        patient_id=given.patient_id,
        asked_for=frozenset(key for key in given.resources if key not in given.unavailable),
    )
    unavailable = tuple(
        _unavailable(key, why, partly=key in given.resources)
        for key, why in sorted(given.unavailable.items())
    )
    record = replace(record, problems=record.problems + unavailable)
    return Gathered(record, _by_reference([*others, *drafts]))


def _unavailable(key: str, why: str, *, partly: bool) -> Problem:
    if partly:
        return problem("data-partial", f"Of the {key}, {why}.", field=key)
    message = f"The {key} could not be obtained: {why}."
    impact = Impact.NOTICE if key in _SUPPLEMENTARY else None
    return problem("data-not-available", message, field=key, impact=impact)


def _by_reference(resources: list[Any]) -> dict[str, dict[str, Any]]:
    """Every order, in Bundles too, under its relative reference; drafts come last and win."""
    found: dict[str, dict[str, Any]] = {}
    for resource in resources:
        for item in _flat(resource):
            kind, identifier = item.get("resourceType"), item.get("id")
            if isinstance(kind, str) and kind in _ORDERS and isinstance(identifier, str):
                found[f"{kind}/{identifier}"] = _with_plain_numbers(item)
    return found


def _with_plain_numbers(value: Any) -> Any:
    """The same resource with floats for decimals: a card's resource is plain JSON to everyone."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _with_plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_plain_numbers(item) for item in value]
    return value


def _flat(resource: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(resource, dict):
        return
    if resource.get("resourceType") != "Bundle":
        yield resource
        return
    entries = resource.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        yield from _flat(entry.get("resource") if isinstance(entry, dict) else None)
