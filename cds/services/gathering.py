"""Resources as obtained -> the patient's record, and the resources that cards act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

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


class Gathered(Struct, frozen=True):
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
    if given.unavailable:
        said = tuple(
            _unavailable(key, why, partly=key in given.resources)
            for key, why in sorted(given.unavailable.items())
        )
        record = replace(record, problems=record.problems + said)
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
        _add_orders(resource, found)
    return found


def _add_orders(resource: Any, found: dict[str, dict[str, Any]]) -> None:
    if not isinstance(resource, dict):
        return
    kind, identifier = resource.get("resourceType"), resource.get("id")
    if kind == "Bundle":
        entries = resource.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            _add_orders(entry.get("resource") if isinstance(entry, dict) else None, found)
    elif isinstance(kind, str) and kind in _ORDERS and isinstance(identifier, str):
        found[f"{kind}/{identifier}"] = resource
