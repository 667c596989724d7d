"""A whole record as a decision takes it: everything was looked for, so what is absent is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cds.clinical.setting import Setting
from cds.fhir.prefetch import prefetch_templates
from cds.rulebook import Rulebook
from cds.services.decide import EvaluationInput, new_evaluation_id
from cds.services.gathering import PATIENT_KEY


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
