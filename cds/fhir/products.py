"""Which medicine a resource is about, and how much one tablet or mL of the monitored drug holds.

Strength is taken from Medication.ingredient.strength, then from the product code, then from the
product's name; two that disagree are a question. Doses and strengths are mg of base, as labels
give them; an ingredient named as the salt is converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from cds.clinical.codes import Code, Concept
from cds.clinical.terminology import Drug, Terminology
from cds.clinical.units import UnitError, convert, dimension_of
from cds.fhir.elements import (
    UCUM,
    Element,
    concept,
    display,
    element,
    elements,
    flag,
    number,
    referred,
    text,
)
from cds.fhir.problems import ReadError
from cds.fhir.vocabulary import words

Resolve = Callable[[str, Element], Element | None]
"""Finds the resource a literal reference points to, contained ones in the given resource."""

_MG: Final = re.compile(r"(?<![a-z0-9_.,])(\d+(?:\.\d+)?)\s*mg\b(?!\s*/)", re.IGNORECASE | re.ASCII)
_MG_PER_ML: Final = re.compile(
    r"(?<![\w.,])(\d+(?:\.\d+)?)\s*mg\s*/\s*(\d+(?:\.\d+)?)?\s*ml\b", re.IGNORECASE
)
_SAME: Final = 0.01  # relative; salt strengths are printed rounded (119.5 mg for 100 mg of base)

COUNT_UNITS: Final = words(
    "tab tabs tab(s) tablet tablets tablet(s) {tbl} {tablet} {tab} tbl cap caps capsule capsules "
    "capsule(s) {capsule} {cap} cap(s) tablette tabletten kapsel unit {unit} piece 1 pill pills "
    "{pill} tbl. tabl tabl. filmtablette filmtabletten kapseln hartkapsel hartkapseln stück stk "
    "stk. {stück} {stueck} comprimé comprimés cp cpr gélule gélules comprimido comprimidos cápsula "
    "cápsulas compressa compresse tableta tabletas 錠 カプセル"
) | {"oral tablet", "oral capsule", "film-coated tablet"}
_COUNT_SYSTEMS: Final = frozenset({"http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm"})
_COUNT_CODES: Final = frozenset({"TAB", "ORTAB", "CAP", "ORCAP", "ERTAB", "FCTAB", "CHEWTAB"})


@dataclass(frozen=True, slots=True)
class Product:
    """A medicine as one resource states it."""

    concept: Concept
    display: str | None
    medication: Element | None
    """The resolved Medication, if the resource referred to one."""
    unresolved: str | None = None
    """The reference that could not be resolved."""

    @property
    def ingredients(self) -> tuple[Concept, ...]:
        """The ingredients the Medication lists."""
        if self.medication is None:
            return ()
        listed = elements(self.medication, "ingredient")
        return tuple(concept(element(item, "itemCodeableConcept")) for item in listed)


@dataclass(frozen=True, slots=True)
class Strength:
    """mg of base in one tablet or capsule, or in one mL."""

    per_unit_mg: float | None = None
    per_ml_mg: float | None = None
    assumptions: tuple[str, ...] = ()


def product_of(resource: Element, resolve: Resolve) -> Product:
    """The medicine of a MedicationRequest, Statement, Dispense or Administration."""
    stated = element(resource, "medicationCodeableConcept")
    if stated is not None:
        return Product(concept(stated), display(stated), None)
    reference = element(resource, "medicationReference") or {}
    target = referred(reference)
    shown = text(reference, "display")
    medication = resolve(target, resource) if target else None
    if medication is None:
        return Product(Concept(text=shown), shown, None, unresolved=target or "no reference")
    named = element(medication, "code")
    found = concept(named)
    named_as = " | ".join(word for word in (found.text, shown) if word) or None
    return Product(Concept(found.codes, named_as), display(named) or shown, medication)


def is_drug(product: Product, drug: Drug, terminology: Terminology) -> bool:
    """Whether the product is the monitored drug.

    Raises ReadError when code and name contradict each other: a wrong code under the right name
    has been seen in public data, and so has the reverse.
    """
    concepts = (product.concept, *product.ingredients)
    coded = any(_is_drug_code(code, drug) for found in concepts for code in found.codes)
    named = any(names_drug(found.text, drug) for found in concepts)
    said = Concept(text=product.concept.text)
    if coded and not named and _other_medicines(said, drug, terminology):
        raise _mismatch(product, f"its code is {drug.name}")
    if named and not coded:
        # Of the systems whose products we list, an unlisted code is not the drug. Other systems
        # have too many national product codes to judge by, unless the code is another medicine.
        listed = {code.system for code in drug.products}
        wrong = [
            code
            for code in product.concept.codes
            if code.system in listed or _other_medicines(Concept((code,)), drug, terminology)
        ]
        if wrong:
            raise _mismatch(product, f"code {wrong[0].code} is not known as {drug.name}")
    return coded or named


def is_about_drug(found: Concept, drug: Drug) -> bool:
    """Whether a concept names or codes the monitored drug."""
    return names_drug(found.text, drug) or any(_is_drug_code(code, drug) for code in found.codes)


def names_drug(said: str | None, drug: Drug) -> bool:
    """Whether a text names the monitored drug as a whole word."""
    return said is not None and _names(drug.names, said)


def without_names(said: str, drug: Drug) -> str:
    """A dosage text without the name of the drug, which states nothing; a salt's name stays."""
    any_name, names = _longest_first(drug.names)
    if any_name.search(said):
        for name in names:
            said = name.sub(" ", said)
    return said


@lru_cache(maxsize=8)
def _longest_first(names: frozenset[str]) -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    """A pattern of any of the names, and of each, the longest first."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    each = [rf"\b{re.escape(name)}\b" for name in ordered]
    return (
        re.compile("|".join(each) or r"(?!)", re.IGNORECASE),
        tuple(re.compile(name, re.IGNORECASE) for name in each),
    )


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


def unit_kind(quantity: Element) -> tuple[str, str]:
    """What a dose quantity counts: (`mass`|`volume`|`count`|`per-area`|`per-mass`, UCUM unit).

    Raises ReadError if the unit is missing, unknown, or its code and its words disagree.
    """
    unit, code, system = (text(quantity, name) for name in ("unit", "code", "system"))
    if not unit and not code:
        raise ReadError("dose-unit-missing", "The dose has a number but no unit.", "doseQuantity")
    if code in _COUNT_CODES and (system in _COUNT_SYSTEMS or system is None):
        by_code: tuple[str, str] | None = ("count", "1")
    else:
        by_code = _kind(code) if code and system in {UCUM, None} else None
    by_unit = _kind(unit) if unit else None
    if by_code and by_unit and by_code != by_unit and not _same_number(by_code, by_unit):
        message = f"The dose is in {unit!r}, but its unit code is {code!r}."
        raise ReadError("dose-unit-conflict", message, "doseQuantity")
    found = by_code or by_unit
    if found is None:
        message = f"The dose unit {(unit or code or '')[:20]!r} is not one this service reads."
        raise ReadError("dose-unit-unknown", message, "doseQuantity")
    return found


def _kind(unit: str) -> tuple[str, str] | None:
    squeezed = unit.strip().lower()
    if squeezed in COUNT_UNITS:
        return "count", "1"
    compact = squeezed.replace(" ", "").replace("²", "2").replace("^", "")
    if compact in {"mg/m2", "mg/sqm", "mg/m2/dose", "mg/{m2}"}:
        return "per-area", "mg/m2"
    if compact in {"mg/kg", "mg/kg/dose"}:
        return "per-mass", "mg/kg"
    try:
        dimension = dimension_of(unit)
    except UnitError:
        return None
    return (dimension, unit) if dimension in {"mass", "volume"} else None


def _same_number(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if one[0] != other[0]:
        return False
    return one[0] == "count" or convert(1, one[1], other[1]) == 1.0


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
        return _ratio_strength(ratio, _names(drug.salt_names, named.text or ""), drug)
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
    base = _base_strength(amounts.pop(), _names(drug.salt_names, said_as), drug)
    return replace(base, assumptions=(said, *base.assumptions))


def _solution(words: str | None, drug: Drug, stated: list[Strength | None]) -> Strength | None:
    """The only solution there is, for a product called a solution that states no strength."""
    if drug.solution_mg_ml is None or not words or "solution" not in words.lower():
        return None
    if any(strength and strength.per_ml_mg for strength in stated):
        return None
    said = f"The solution was taken to hold {drug.solution_mg_ml:g} mg/mL, the only one known."
    return Strength(per_ml_mg=drug.solution_mg_ml, assumptions=(said,))


def _other_medicines(found: Concept, drug: Drug, terminology: Terminology) -> list[str]:
    return [key for key in terminology.ingredients_of(found) if key != drug.name]


def _marketed(amount: float, drug: Drug) -> float | None:
    return next((mg for mg in drug.strengths_mg if _near(amount, mg)), None)


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and not _near(one, other)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * abs(other)


def _is_drug_code(code: Code, drug: Drug) -> bool:
    return code in drug.ingredient_codes or code in drug.products


def _names(names: frozenset[str], said: str) -> bool:
    return _word(names).search(said) is not None


@lru_cache(maxsize=8)
def _word(names: frozenset[str]) -> re.Pattern[str]:
    """Any of the names as a word, also joined to a maker's: `Imatinib-ratiopharm`, `APO-Imatinib`.

    Only Latin letters and digits make another word of a name: Japanese is written without spaces.
    """
    ordered = sorted(names, key=lambda name: (-len(name), name))
    spaced = "|".join(r"[^\w'-]+".join(map(re.escape, name.split())) for name in ordered)
    return re.compile(rf"(?<![a-z0-9_])(?:{spaced or r'(?!)'})(?![a-z0-9_])", re.IGNORECASE)


def _mismatch(product: Product, why: str) -> ReadError:
    shown = product.display or "a medicine"
    message = f"Code and name of {shown[:80]!r} do not fit together ({why}); which one is meant?"
    return ReadError("medication-code-mismatch", message, "medicationCodeableConcept")
