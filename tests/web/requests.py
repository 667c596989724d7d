"""Valid requests, to be broken one field at a time."""

from __future__ import annotations

import copy
from typing import Any

INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
ORDERS = "/cds-services/tdm-orders"
SERVICE_OF = {
    "patient-view": "tdm-patient-view",
    "order-select": "tdm-orders",
    "order-sign": "tdm-orders",
    "medication-refill": "tdm-medication-refill",
    "medication-verify": "tdm-medication-verify",
}


def order(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "draft-1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p-1"},
        "medicationCodeableConcept": {"text": "paracetamol 500 mg"},
        **changes,
    }


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in resources],
    }


def hook_request(hook: str = "order-sign", **changes: Any) -> dict[str, Any]:
    context: dict[str, Any] = {"userId": "Practitioner/7", "patientId": "p-1"}
    if hook in ("order-select", "order-sign"):
        context["draftOrders"] = bundle(order())
    if hook == "order-select":
        context["selections"] = ["MedicationRequest/draft-1"]
    if hook == "medication-refill":
        context["medications"] = bundle(order())
    if hook == "medication-verify":
        context["medication"] = order(status="active")
    request: dict[str, Any] = {"hook": hook, "hookInstance": INSTANCE, "context": context}
    request.update(changes)
    return request


def url_of(hook: str) -> str:
    return f"/cds-services/{SERVICE_OF[hook]}"


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the field at the dotted `path` set to `value` (or removed: ...)."""
    request = copy.deepcopy(request)
    place = request
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return request
