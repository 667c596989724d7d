"""Pay the costs of the first call before the first call: compile programs, import readers.

A synthetic patient without identity goes through every occasion once; nothing is recorded.
"""

from __future__ import annotations

import gc
from datetime import datetime, timedelta
from typing import Any

from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.clinical.terminology import Drug
from cds.services.decide import EvaluationInput, decide
from cds.services.knowledge import Knowledge

_PATIENT = "warm-up"
_NEW_BEFORE_A_SEARCH = 3_000
"""Objects; while one answer is made more than a thousand stand at once, and Python has 700."""


def warm_up(knowledge: Knowledge, now: datetime) -> None:
    """Decide once per occasion and jurisdiction of the rulebook."""
    resources = _resources(knowledge.rulebook.drug, now)
    for jurisdiction in knowledge.rulebook.jurisdictions:
        for occasion in Occasion:
            decide(
                EvaluationInput(
                    evaluation=_PATIENT,
                    at=now,
                    client=_PATIENT,
                    base_url="http://127.0.0.1",
                    setting=Setting(occasion, Jurisdiction(jurisdiction)),
                    patient_id=_PATIENT,
                    context={},
                    resources=resources,
                ),
                knowledge,
            )


def leave_out_of_garbage_search() -> None:
    """Take what is loaded by now to stay; garbage is searched for among what comes after, seldom.

    Looking through a loaded rulebook takes 0.1 to 0.2 s each time, in which nobody is answered; and
    a search in the middle of an answer finds only what is still needed. Called again when another
    rulebook serves, so that one that went is found.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_BEFORE_A_SEARCH)


def _resources(drug: Drug, now: datetime) -> dict[str, Any]:
    subject = {"reference": f"Patient/{_PATIENT}"}
    order = {
        "resourceType": "MedicationRequest",
        "id": "order",
        "status": "active",
        "intent": "order",
        "subject": subject,
        "authoredOn": (now - timedelta(days=100)).isoformat(),
        "medicationCodeableConcept": {"text": drug.name},
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [
                    {
                        "doseQuantity": {
                            "value": max(drug.strengths_mg),
                            "unit": "mg",
                            "system": "http://unitsofmeasure.org",
                            "code": "mg",
                        }
                    }
                ],
            }
        ],
    }
    code = next(iter(drug.level_codes))
    level = {
        "resourceType": "Observation",
        "id": "level",
        "status": "final",
        "subject": subject,
        "code": {"coding": [{"system": code.system, "code": code.code}]},
        "effectiveDateTime": (now - timedelta(days=1)).isoformat(),
        "valueQuantity": {
            "value": 1000,
            "unit": "ng/mL",
            "system": "http://unitsofmeasure.org",
            "code": "ng/mL",
        },
    }
    patient = {"resourceType": "Patient", "id": _PATIENT, "birthDate": "1970-01-01"}
    return {"patient": patient, "medications": order, "levels": level}
