"""The orders of the demo hospital: what its pharmacy stocks, and FHIR orders being written."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from cds.demo.compose import resources_of
from cds.demo.stories import Story

_UCUM = "http://unitsofmeasure.org"
_ORDER = "MedicationRequest"


class Product(Struct, frozen=True):
    """One line of the order form; `medication` is the coded medicine as a story gives it."""

    key: str
    name: str
    medication: Mapping[str, Any]


def formulary(stories: Sequence[Story]) -> dict[str, Product]:
    """Return every medicine that some story orders, so that no code stands in this program."""
    found: dict[str, Product] = {}
    for story in stories:
        drafts = [
            resource
            for hook in story.hooks
            for resource in resources_of(hook.request["context"].get("draftOrders") or {})
        ]
        for order in (*drafts, *resources_of(story.patient)):
            medication = order.get("medicationCodeableConcept")
            if order.get("resourceType") == _ORDER and medication:
                name = name_of(order)
                key = name.lower().replace(" ", "-")
                found.setdefault(key, Product(key, name, medication))
    return dict(sorted(found.items()))


def write_order(
    product: Product, patient: str, amount_mg: float, per_day: int, at: str
) -> dict[str, Any]:
    """Return a draft order as an order form writes it."""
    often = {1: "once", 2: "twice"}.get(per_day, f"{per_day} times")
    return {
        "resourceType": _ORDER,
        "id": f"draft-{uuid.uuid4().hex[:12]}",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": copy.deepcopy(dict(product.medication)),
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": at,
        "dosageInstruction": [
            {
                "text": f"{amount_mg:g} mg by mouth {often} daily",
                "timing": {"repeat": {"frequency": per_day, "period": 1, "periodUnit": "d"}},
                "route": {
                    "coding": [{"system": "http://snomed.info/sct", "code": "26643006",
                                "display": "Oral route"}]
                },
                "doseAndRate": [
                    {"doseQuantity": {"value": amount_mg, "unit": "mg", "system": _UCUM,
                                      "code": "mg"}}
                ],
            }
        ],
        "requester": {"reference": "Practitioner/dr-demo"},
    }  # fmt: skip


def apply_actions(
    drafts: Iterable[Mapping[str, Any]], actions: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the drafts after a suggestion was chosen (https://cds-hooks.hl7.org/2.0/#action)."""
    orders = {reference(order): dict(order) for order in drafts}
    for action in actions:
        resource = action.get("resource")
        if action.get("type") == "delete":
            orders.pop(str(action.get("resourceId")), None)
        elif isinstance(resource, Mapping):
            named = dict(resource)
            named.setdefault("id", f"draft-{uuid.uuid4().hex[:12]}")
            orders[reference(named)] = named
    return list(orders.values())


def reference(order: Mapping[str, Any]) -> str:
    """Return the relative reference of an order."""
    return f"{order.get('resourceType')}/{order.get('id')}"


def name_of(order: Mapping[str, Any]) -> str:
    """Return the name of the medicine or service that is ordered."""
    concept = order.get("medicationCodeableConcept") or order.get("code") or {}
    coding = concept.get("coding") or [{}]
    return str(concept.get("text") or coding[0].get("display") or order.get("resourceType"))


def dosing_of(order: Mapping[str, Any]) -> str:
    """Return the dosing in words."""
    texts = [str(item.get("text", "")) for item in order.get("dosageInstruction") or ()]
    return "; ".join(text for text in texts if text)
