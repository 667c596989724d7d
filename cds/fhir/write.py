"""Clinical decisions -> whole FHIR resources that a client can accept with one click.

An update is the draft itself with its dosage replaced: everything else the prescriber wrote stays.
What the old dose had made untrue goes: the narrative, and the quantity to dispense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from cds.clinical.terminology import Drug
from cds.fhir.elements import UCUM

Resource = dict[str, Any]
Tablets = Sequence[tuple[float, float]]
"""(strength in mg, number) of each tablet of one dose."""

_DAY_H: Final = 24.0
_PER_DAY: Final = MappingProxyType({24.0: 1, 12.0: 2, 8.0: 3, 6.0: 4})
_OFTEN: Final = MappingProxyType(
    {
        24.0: "once daily",
        12.0: "twice daily",
        8.0: "three times daily",
        6.0: "four times daily",
        48.0: "every other day",
    }
)
_KEPT_OF_DOSAGE: Final = ("route", "method", "additionalInstruction")
_LABORATORY: Final = MappingProxyType(
    {"system": "http://snomed.info/sct", "code": "108252007", "display": "Laboratory procedure"}
)
_ORDERED: Final = MappingProxyType(
    {"system": "http://terminology.hl7.org/CodeSystem/dose-rate-type", "code": "ordered"}
)


def dosage(amount_mg: float, interval_h: float, tablets: Tablets = ()) -> Resource:
    """A Dosage in mg of base per administration, its tablets in the text."""
    return {
        "text": _dosage_text(amount_mg, interval_h, tablets),
        "timing": {"repeat": _repeat(interval_h)},
        "doseAndRate": [
            {"type": {"coding": [dict(_ORDERED)]}, "doseQuantity": _quantity(amount_mg, "mg")}
        ],
    }


def with_dose(
    order: Mapping[str, Any],
    *,
    amount_mg: float,
    interval_h: float,
    drug: Drug,
    tablets: Tablets = (),
) -> Resource:
    """The order with another dose: the same id and all else, the product fitting the tablets."""
    changed = _copy(order)
    new = dosage(amount_mg, interval_h, tablets)
    old = changed.get("dosageInstruction")
    if isinstance(old, list) and len(old) == 1 and isinstance(old[0], dict):
        new |= {name: old[0][name] for name in _KEPT_OF_DOSAGE if name in old[0]}
        new["timing"]["repeat"] |= _bounds(old[0])
    changed["dosageInstruction"] = [new]
    supply = changed.get("dispenseRequest")
    if isinstance(supply, dict):
        supply.pop("quantity", None)
        if not supply:
            del changed["dispenseRequest"]
    if tablets and not _fits(changed, tablets, drug):
        changed.pop("medicationReference", None)
        changed.pop("contained", None)
        changed["medicationCodeableConcept"] = medication(drug, tablets)
    return changed


def new_order(
    *,
    patient_id: str,
    drug: Drug,
    amount_mg: float,
    interval_h: float,
    authored: datetime,
    tablets: Tablets = (),
    replaces: str | None = None,
) -> Resource:
    """A draft order of the drug; `replaces` is the reference of the order it follows."""
    order: Resource = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": medication(drug, tablets),
        "subject": {"reference": f"Patient/{patient_id}"},
        "authoredOn": _instant(authored),
        "dosageInstruction": [dosage(amount_mg, interval_h, tablets)],
    }
    if replaces and replaces.startswith("MedicationRequest/"):
        order["priorPrescription"] = {"reference": replaces}
    return order


def on_hold(order: Mapping[str, Any], *, reason: str) -> Resource:
    """The order put on hold."""
    return _with_status(order, "on-hold", reason)


def cancelled(order: Mapping[str, Any], *, reason: str) -> Resource:
    """The order withdrawn before anything was given."""
    return _with_status(order, "cancelled", reason)


def level_order(*, patient_id: str, drug: Drug, authored: datetime) -> Resource:
    """A draft order of a trough level, with what makes a level usable in its instructions."""
    said = (
        f"Trough level of {drug.name}: draw immediately before the next dose. Write the date and "
        "clock time of the last dose and of the sample on the request."
    )
    codes = [code for code, level in drug.level_codes.items() if level.hours_post_dose is None]
    coding = [
        {"system": code.system, "code": code.code}
        for code in sorted(codes, key=lambda c: (c.system, c.code))[:1]
    ]
    code: Resource = {"text": f"{drug.name.capitalize()} trough level"}
    return {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "category": [{"coding": [dict(_LABORATORY)]}],
        "code": ({"coding": coding} if coding else {}) | code,
        "subject": {"reference": f"Patient/{patient_id}"},
        "authoredOn": _instant(authored),
        "note": [{"text": said}],
    }


def medication(drug: Drug, tablets: Tablets = ()) -> Resource:
    """The product of one tablet strength; for several, the drug by name with the tablets said."""
    strengths = {strength for strength, _ in tablets}
    if len(strengths) != 1:
        return {"text": drug.name}
    strength = strengths.pop()
    known = sorted(
        (product for product in drug.products.values() if product.strength_mg == strength),
        key=lambda p: (p.form != "tablet", p.code.system, p.code.code),
    )
    named: Resource = {
        "text": f"{drug.name} {strength:g} mg {known[0].form if known else 'tablet'}"
    }
    if not known:
        return named
    return {"coding": [{"system": known[0].code.system, "code": known[0].code.code}]} | named


def _fits(order: Mapping[str, Any], tablets: Tablets, drug: Drug) -> bool:
    """Whether the ordered product can be what the tablets are: one strength, and that one.

    A product known only by reference fits if its name does not state another strength.
    """
    strengths = {strength for strength, _ in tablets}
    stated = order.get("medicationCodeableConcept") or order.get("medicationReference") or {}
    codings = stated.get("coding")
    listed = [c for c in codings if isinstance(c, dict)] if isinstance(codings, list) else []
    shown = [stated.get("text"), stated.get("display"), *(c.get("display") for c in listed)]
    named = {
        strength
        for strength in drug.strengths_mg
        for words in shown
        if isinstance(words, str) and f" {strength:g} mg" in f" {words.lower()}"
    }
    coded = {
        product.strength_mg
        for product in drug.products.values()
        for c in listed
        if (product.code.system, product.code.code) == (c.get("system"), c.get("code"))
    }
    known = named | coded
    return not known or known == strengths


def _with_status(order: Mapping[str, Any], status: str, reason: str) -> Resource:
    return _copy(order) | {"status": status, "statusReason": {"text": reason}}


def _copy(order: Mapping[str, Any]) -> Resource:
    """The order without its narrative, which states the old dose and status in words."""
    return {name: _plain(value) for name, value in order.items() if name != "text"}


def _plain(value: Any) -> Any:
    """A copy with floats for decimals: a card's resource is plain JSON to everyone."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _bounds(old: Mapping[str, Any]) -> Resource:
    timing = old.get("timing")
    repeat = timing.get("repeat") if isinstance(timing, dict) else None
    if not isinstance(repeat, dict):
        return {}
    return {n: repeat[n] for n in ("boundsPeriod", "boundsDuration", "boundsRange") if n in repeat}


def _repeat(interval_h: float) -> Resource:
    if interval_h in _PER_DAY:
        return {"frequency": _PER_DAY[interval_h], "period": 1, "periodUnit": "d"}
    if interval_h % _DAY_H == 0:
        return {"frequency": 1, "period": _number(interval_h / _DAY_H), "periodUnit": "d"}
    return {"frequency": 1, "period": _number(interval_h), "periodUnit": "h"}


def _dosage_text(amount_mg: float, interval_h: float, tablets: Tablets) -> str:
    often = _OFTEN.get(interval_h, f"every {interval_h:g} hours")
    listed = " + ".join(f"{count:g} x {strength:g} mg" for strength, count in tablets)
    return f"{amount_mg:g} mg{f' ({listed})' if listed else ''} by mouth {often}"


def _quantity(value: float, unit: str) -> Resource:
    return {"value": _number(value), "unit": unit, "system": UCUM, "code": unit}


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else round(value, 3)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
