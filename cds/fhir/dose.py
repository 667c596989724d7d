"""Dosage.doseAndRate -> mg of base per administration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Final

from msgspec import Struct, field

from cds.clinical.codes import Code, Concept
from cds.clinical.terminology import Drug, Frequency
from cds.clinical.units import convert
from cds.fhir.dose_units import unit_kind
from cds.fhir.elements import Element, concept, element, elements, number
from cds.fhir.problems import ReadError
from cds.fhir.products import Product
from cds.fhir.strength import Strength, strength_of

_SAME: Final = 0.005  # relative; 400 mg and "1 tablet of 400 mg" are one statement


class DoseContext(Struct, frozen=True, dict=True):  # cached_property needs a __dict__
    """What a dose is read against. Body surface in m2 and weight in kg, if recently measured."""

    drug: Drug
    product: Product
    body_surface_m2: float | None = None
    weight_kg: float | None = None
    frequencies: Mapping[Code, Frequency] = field(default_factory=dict)
    """Timing codes that say how often without words."""
    strengths: dict[Concept, Strength] = field(default_factory=dict)
    """What products of the record were found to hold: most of its resources name the same one."""

    def strength(self) -> Strength:
        """The strength of the product. Raises ReadError if it cannot be known."""
        if self.product.unresolved is not None:
            raise ReadError(
                "medication-unresolved",
                f"The dose counts units of {self.product.unresolved[:80]}, which was not sent, "
                "so its strength is unknown.",
                "medicationReference",
            )
        return self.product_strength

    @cached_property
    def product_strength(self) -> Strength:
        """What the product itself states; order, dose and text each ask for it."""
        if self.product.medication is not None:  # it may state more than its name
            return strength_of(self.product, self.drug)
        known = self.strengths.get(self.product.concept)
        if known is None:
            known = self.strengths[self.product.concept] = strength_of(self.product, self.drug)
        return known


class Dose(Struct, frozen=True):
    """mg of base per administration and how it was arrived at."""

    mg: float
    assumptions: tuple[str, ...] = ()


def read_dose(dosage: Element, context: DoseContext) -> Dose | None:
    """The dose a Dosage states in its structure, or None if it states none there.

    Entries of doseAndRate are alternative descriptions of one dose and are never summed.
    Raises ReadError for a range, a rate, a missing unit, an unknown strength or a conflict.
    """
    entries = elements(dosage, "doseAndRate")
    for entry in entries:
        if any(name in entry for name in ("rateQuantity", "rateRange", "rateRatio")):
            message = "The order gives a rate of infusion for an oral medicine."
            raise ReadError("dose-is-rate", message, "doseAndRate.rate")
    entries = _ordered(entries)
    if not entries:
        return None
    read: list[Dose] = []
    unread: list[ReadError] = []
    for entry in entries:
        try:
            read.append(_entry_dose(entry, context))
        except ReadError as error:
            # One statement in mg suffices when the other counts tablets of unknown strength.
            if error.code not in {"strength-unknown", "medication-unresolved"}:
                raise
            unread.append(error)
    if not read:
        raise unread[0]
    if any(abs(other.mg - read[0].mg) > _SAME * read[0].mg for other in read[1:]):
        stated = " and ".join(f"{dose.mg:g} mg" for dose in read)
        raise ReadError("dose-conflict", f"The order states two doses: {stated}.", "doseAndRate")
    return read[0]


def tablets_dose(count: float, context: DoseContext) -> Dose:
    """The dose in a number of tablets or capsules."""
    strength = context.strength()
    if strength.per_unit_mg is None:
        message = "The dose counts tablets, but their strength is not stated."
        raise ReadError("strength-unknown", message, "doseAndRate.doseQuantity")
    return Dose(_rounded(count * strength.per_unit_mg), strength.assumptions)


def volume_dose(ml: float, context: DoseContext) -> Dose:
    """The dose in mL of a solution."""
    strength = context.strength()
    if strength.per_ml_mg is None:
        message = "The dose is in mL, but the strength of the solution is not stated."
        raise ReadError("strength-unknown", message, "doseAndRate.doseQuantity")
    return Dose(_rounded(ml * strength.per_ml_mg), strength.assumptions)


def quantity_dose(quantity: Element, context: DoseContext) -> Dose:
    """A Quantity as mg of base. Raises ReadError if value or unit do not allow it."""
    value = number(quantity, "value")
    if value is None:
        raise ReadError("dose-missing", "The value of the dose is absent.", "doseQuantity.value")
    if value <= 0:
        raise ReadError("dose-not-positive", f"A dose of {value} is not possible.", "doseQuantity")
    if quantity.get("comparator") is not None:
        raise ReadError("dose-range", "The dose is only bounded, not stated.", "doseQuantity")
    kind, unit = unit_kind(quantity)
    return _KINDS[kind](value, unit, context)


def _ordered(entries: list[Element]) -> list[Element]:
    """The entries that count: what was ordered outranks what was calculated."""
    ordered = [entry for entry in entries if _type_of(entry) == "ordered"]
    return ordered or [entry for entry in entries if _type_of(entry) != "calculated"] or entries


def _type_of(entry: Element) -> str | None:
    codes = concept(element(entry, "type")).codes
    return next((code.code for code in codes if code.code in {"ordered", "calculated"}), None)


def _entry_dose(entry: Element, context: DoseContext) -> Dose:
    spread = element(entry, "doseRange")
    if spread is not None:
        low, high = element(spread, "low"), element(spread, "high")
        if low is None or high is None or low != high:
            shown = " to ".join(
                f"{end.get('value')} {end.get('unit', '')}" for end in (low, high) if end
            )
            message = f"The dose is given as a range ({shown}); which dose is taken?"
            raise ReadError("dose-range", message, "doseAndRate.doseRange")
        return quantity_dose(low, context)
    quantity = element(entry, "doseQuantity")
    if quantity is None:
        raise ReadError("dose-missing", "The order states no dose.", "doseAndRate.doseQuantity")
    return quantity_dose(quantity, context)


def _mass(value: Decimal, unit: str, context: DoseContext) -> Dose:
    return Dose(convert(value, unit, "mg"))


def _count(value: Decimal, unit: str, context: DoseContext) -> Dose:
    return tablets_dose(float(value), context)


def _volume(value: Decimal, unit: str, context: DoseContext) -> Dose:
    return volume_dose(convert(value, unit, "mL"), context)


def _per_area(value: Decimal, unit: str, context: DoseContext) -> Dose:
    if context.body_surface_m2 is None:
        message = f"The dose is {value} mg/m2 and no recent body surface area is recorded."
        raise ReadError("dose-needs-body-surface", message, "doseAndRate.doseQuantity")
    said = f"{value} mg/m2 was read with a body surface area of {context.body_surface_m2:.2f} m2."
    return Dose(_rounded(float(value) * context.body_surface_m2), (said,))


def _per_mass(value: Decimal, unit: str, context: DoseContext) -> Dose:
    if context.weight_kg is None:
        message = f"The dose is {value} mg/kg and no recent weight is recorded."
        raise ReadError("dose-needs-weight", message, "doseAndRate.doseQuantity")
    said = f"{value} mg/kg was read with a weight of {context.weight_kg:.1f} kg."
    return Dose(_rounded(float(value) * context.weight_kg), (said,))


_KINDS: Final[dict[str, Callable[[Decimal, str, DoseContext], Dose]]] = {
    "mass": _mass,
    "count": _count,
    "volume": _volume,
    "per-area": _per_area,
    "per-mass": _per_mass,
}


def _rounded(mg: float) -> float:
    """Micrograms suffice; the rest is binary dust of the multiplication."""
    return round(mg, 3)
