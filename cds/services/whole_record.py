"""A whole record as a decision takes it: everything was looked for, so what is absent is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from cds.clinical.setting import Setting
from cds.fhir.prefetch import prefetch_templates
from cds.rulebook import Rulebook
from cds.services.decide import EvaluationInput, new_evaluation_id
from cds.services.gathering import PATIENT_KEY

_YEARS: Final = range(1900, 2201)
"""Around these the calendar has room for every time that is reckoned from the moment."""


class RecordError(Exception):
    """A record that is not of one patient; the words go on after "the Bundle"."""


def only_patient(resources: Iterable[Mapping[str, Any]]) -> str:
    """Return the id of the one Patient. Raises RecordError where there is not exactly one."""
    patients = [r for r in resources if r.get("resourceType") == "Patient"]
    ids = {str(r["id"]) for r in patients if r.get("id") is not None}
    if patients and not ids:
        raise RecordError("holds a Patient that has neither an id nor a fullUrl")
    if len(ids) != 1:
        raise RecordError(f"holds {len(ids)} patients instead of one")
    return ids.pop()


def is_conceivable(at: datetime) -> bool:
    """Whether a patient can be assessed at this moment."""
    return at.year in _YEARS


def whole_record(resources: Iterable[Mapping[str, Any]], rulebook: Rulebook) -> dict[str, Any]:
    """Return all resources of one patient under the keys of a hook's prefetch."""
    sent = list(resources)
    patients = [r for r in sent if r.get("resourceType") == "Patient"]
    keys = prefetch_templates(rulebook.drug, rulebook.terminology)
    entries = [{"resource": resource} for resource in sent]
    record = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    first = patients[0] if patients else None
    return {**dict.fromkeys(keys), PATIENT_KEY: first, "record": record}


def whole_record_input(
    patient_id: str,
    resources: Iterable[Mapping[str, Any]],
    rulebook: Rulebook,
    setting: Setting,
    *,
    at: datetime,
    client: str,
) -> EvaluationInput:
    """Return what a hook call with the whole record would have handed to the decision."""
    return EvaluationInput(
        evaluation=new_evaluation_id(),
        at=at,
        client=client,
        base_url="",
        setting=setting,
        patient_id=patient_id,
        context={"patientId": patient_id},
        resources=whole_record(resources, rulebook),
    )
