"""How much of the monitored drug one tablet or mL holds.

Strength is taken from Medication.ingredient.strength, then from the product code, then from the
product's name; two that disagree are a question. Doses and strengths are mg of base, as labels
give them; an ingredient named as the salt is converted.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from cds.clinical.terminology import Drug
from cds.clinical.units import convert
from cds.fhir.dose_units import unit_kind
from cds.fhir.elements import Element, concept, display, element, elements, flag, number, text
from cds.fhir.problems import ReadError
from cds.fhir.products import Product, is_about_drug, names_any

_MG: Final = re.compile(r"(?<![a-z0-9_.,])(\d+(?:\.\d+)?)\s*mg\b(?!\s*/)", re.IGNORECASE | re.ASCII)
_MG_PER_ML: Final = re.compile(
    r"(?<![\w.,])(\d+(?:\.\d+)?)\s*mg\s*/\s*(\d+(?:\.\d+)?)?\s*ml\b", re.IGNORECASE
)
_SAME: Final = 0.01  # relative; salt strengths are printed rounded (119.5 mg for 100 mg of base)


class Strength(Struct, frozen=True):
    """mg of base in one tablet or capsule, or in one mL."""

    per_unit_mg: float | None = None
    per_ml_mg: float | None = None
    assumptions: tuple[str, ...] = ()


def strength_of(product: Product, drug: Drug) -> Strength:
    """The strength of a product of the monitored drug; empty if nothing states one.

    Raises ReadError if two statements disagree or the strength is not one that exists.
    """
    stated = [_ingredient_strength(product, drug), _coded_strength(product, drug)]
    stated.append(_named_strength(product.concept.text, drug))
    if product.medication is not None:
        form = display(element(product.medication, "form"))
        stated.append(_solution(form or product.concept.text, drug, stated))
    known = [strength for strength in stated if strength is not None]
    if not known:
        return _solution(product.concept.text, drug, []) or Strength()
    first = known[0]
    for other in known[1:]:
        if _differ(first.per_unit_mg, other.per_unit_mg) or _differ(
            first.per_ml_mg, other.per_ml_mg
        ):
            shown = product.display or "the product"
            raise ReadError(
                "strength-conflict",
                f"Code, ingredient and name of {shown[:80]} state different strengths.",
                "medication",
            )
    per_unit = next((s.per_unit_mg for s in known if s.per_unit_mg), None)
    if per_unit is not None and not any(_near(per_unit, mg) for mg in drug.strengths_mg):
        message = f"A strength of {per_unit:g} mg does not exist for {drug.name}."
        raise ReadError("strength-not-marketed", message, "medication")
    per_ml = next((s.per_ml_mg for s in known if s.per_ml_mg), None)
    return Strength(per_unit, per_ml, first.assumptions)


def _ingredient_strength(product: Product, drug: Drug) -> Strength | None:
    if product.medication is None:
        return None
    for item in elements(product.medication, "ingredient"):
        named = concept(element(item, "itemCodeableConcept"))
        ratio = element(item, "strength")
        if ratio is None or flag(item, "isActive") is False:
            continue
        if not is_about_drug(named, drug):
            continue
        return _ratio_strength(ratio, names_any(drug.salt_names, named.text or ""), drug)
    return None


def _ratio_strength(ratio: Element, salt: bool, drug: Drug) -> Strength | None:
    top, bottom = element(ratio, "numerator"), element(ratio, "denominator") or {}
    if top is None:
        return None
    mass, size = number(top, "value"), number(bottom, "value")
    kind, unit = unit_kind(top)
    per = unit_kind(bottom)[0] if text(bottom, "unit") or text(bottom, "code") else "count"
    if mass is None or kind != "mass" or (size is not None and size <= 0):
        raise ReadError("strength-unknown", "The stated strength cannot be read.", "medication")
    amount = convert(mass, unit, "mg") / float(size or 1)
    if per == "volume":
        ml = convert(1, text(bottom, "code") or text(bottom, "unit") or "mL", "mL")
        return Strength(per_ml_mg=amount / ml * (drug.base_per_salt if salt else 1.0))
    return _base_strength(amount, salt, drug)


def _base_strength(amount: float, salt: bool, drug: Drug) -> Strength:
    if not salt:
        return Strength(_marketed(amount, drug) or amount)
    as_base = _marketed(amount * drug.base_per_salt, drug)
    if as_base is not None:
        return Strength(as_base)
    # Product lists name the salt but state the strength as base ("mesylate 400 mg" = 400 mg base).
    if _marketed(amount, drug) is not None:
        said = f"The strength {amount:g} mg, listed for the salt, was read as mg of {drug.name}."
        return Strength(_marketed(amount, drug), assumptions=(said,))
    return Strength(amount * drug.base_per_salt)


def _coded_strength(product: Product, drug: Drug) -> Strength | None:
    known = {drug.products[c].strength_mg for c in product.concept.codes if c in drug.products}
    if len(known) > 1:
        raise ReadError("strength-conflict", "The product codes have different strengths.", "code")
    return Strength(known.pop()) if known else None


def named_mg(said_as: str | None) -> float | None:
    """The one amount in mg that the name of a product states, else None."""
    amounts = {float(found) for found in _MG.findall(said_as or "")}
    return amounts.pop() if len(amounts) == 1 else None


def _named_strength(said_as: str | None, drug: Drug) -> Strength | None:
    if not said_as:
        return None
    liquid = {float(mg) / float(ml or 1) for mg, ml in _MG_PER_ML.findall(said_as)}
    if len(liquid) == 1:
        return Strength(per_ml_mg=liquid.pop())
    amounts = {float(found) for found in _MG.findall(said_as)}
    # "119.5 mg imatinib mesylate equivalent to 100 mg imatinib" states one strength, not two.
    amounts -= {mg for mg in amounts if any(_near(mg * drug.base_per_salt, o) for o in amounts)}
    if len(amounts) != 1:
        return None
    said = "The strength was read from the name of the product."
    base = _base_strength(amounts.pop(), names_any(drug.salt_names, said_as), drug)
    return Strength(base.per_unit_mg, base.per_ml_mg, (said, *base.assumptions))


def _solution(words: str | None, drug: Drug, stated: list[Strength | None]) -> Strength | None:
    """The only solution there is, for a product called a solution that states no strength."""
    if drug.solution_mg_ml is None or not words or "solution" not in words.lower():
        return None
    if any(strength and strength.per_ml_mg for strength in stated):
        return None
    said = f"The solution was taken to hold {drug.solution_mg_ml:g} mg/mL, the only one known."
    return Strength(per_ml_mg=drug.solution_mg_ml, assumptions=(said,))


def _marketed(amount: float, drug: Drug) -> float | None:
    return next((mg for mg in drug.strengths_mg if _near(amount, mg)), None)


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and not _near(one, other)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * abs(other)
