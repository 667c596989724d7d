"""A patient on the monitored drug, as a client would prefetch it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.web.fakes import NOW
from tests.web.requests import bundle, hook_request, order

UCUM = "http://unitsofmeasure.org"
LEVEL_CODE = "57844-3"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def drug_order(identifier: str = "draft-1", mg: float = 400, **changes: Any) -> dict[str, Any]:
    return order(
        id=identifier,
        medicationCodeableConcept={
            "coding": [{"system": RXNORM, "code": "282388"}],
            "text": "imatinib",
        },
        dosageInstruction=[
            {
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [
                    {"doseQuantity": {"value": mg, "unit": "mg", "system": UCUM, "code": "mg"}}
                ],
            }
        ],
        **changes,
    )


def level(ng_ml: float = 600, identifier: str = "level-1", **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": identifier,
        "status": "final",
        "subject": {"reference": "Patient/p-1"},
        "code": {
            "coding": [{"system": "http://loinc.org", "code": LEVEL_CODE}],
            "text": "imatinib",
        },
        "effectiveDateTime": (NOW - timedelta(days=2)).isoformat(),
        "valueQuantity": {"value": ng_ml, "unit": "ng/mL", "system": UCUM, "code": "ng/mL"},
        **changes,
    }


def prefetch(**changes: Any) -> dict[str, Any]:
    """Everything the service declares; kinds that are not given have no data."""
    started = (NOW - timedelta(days=200)).isoformat()
    made: dict[str, Any] = {
        "patient": {
            "resourceType": "Patient",
            "id": "p-1",
            "gender": "female",
            "birthDate": "1970-01-01",
        },
        "medications": bundle(drug_order("mr-1", status="active", authoredOn=started)),
        "levels": bundle(level()),
        "conditions": bundle(
            {
                "resourceType": "Condition",
                "id": "c-1",
                "subject": {"reference": "Patient/p-1"},
                "code": {
                    "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C92.10"}]
                },
                "clinicalStatus": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                            "code": "active",
                        }
                    ]
                },
            }
        ),
    }
    for key in (
        "statements",
        "administrations",
        "dispenses",
        "labs",
        "genetics",
        "procedures",
        "allergies",
    ):
        made[key] = None
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def concerned_request(hook: str = "order-sign", **changes: Any) -> dict[str, Any]:
    """A request about a patient on the drug, with a dose that no label allows."""
    request = hook_request(hook, **{"prefetch": prefetch(), **changes})
    if hook in ("order-sign", "order-select"):
        request["context"]["draftOrders"] = bundle(drug_order(mg=1200))
    return request
