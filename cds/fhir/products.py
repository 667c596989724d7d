"""Which medicine a resource is about, and whether it is the monitored drug."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from cds.clinical.codes import Code, Concept
from cds.clinical.terminology import Drug, Terminology
from cds.fhir.elements import (
    Element,
    concept,
    display,
    element,
    elements,
    referred,
    text,
)
from cds.fhir.problems import ReadError

Resolve = Callable[[str, Element], Element | None]
"""Finds the resource a literal reference points to, contained ones in the given resource."""


class Product(Struct, frozen=True):
    """A medicine as one resource states it."""

    concept: Concept
    named: Element | None
    """The CodeableConcept that names it."""
    medication: Element | None = None
    """The resolved Medication, if the resource referred to one."""
    shown: str | None = None
    """The words beside the reference."""
    unresolved: str | None = None
    """The reference that could not be resolved."""

    @property
    def display(self) -> str | None:
        """The words by which a person would call it."""
        return display(self.named) or self.shown

    @property
    def ingredients(self) -> tuple[Concept, ...]:
        """The ingredients the Medication lists."""
        if self.medication is None:
            return ()
        listed = elements(self.medication, "ingredient")
        return tuple(concept(element(item, "itemCodeableConcept")) for item in listed)


def product_of(resource: Element, resolve: Resolve) -> Product:
    """The medicine of a MedicationRequest, Statement, Dispense or Administration."""
    stated = element(resource, "medicationCodeableConcept")
    if stated is not None:
        return Product(concept(stated), stated)
    reference = element(resource, "medicationReference") or {}
    target = referred(reference)
    shown = text(reference, "display")
    medication = resolve(target, resource) if target else None
    if medication is None:
        unresolved = target or "no reference"
        return Product(Concept(text=shown), None, shown=shown, unresolved=unresolved)
    named = element(medication, "code")
    found = concept(named)
    named_as = " | ".join(word for word in (found.text, shown) if word) or None
    return Product(Concept(found.codes, named_as), named, medication, shown)


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
    return said is not None and names_any(drug.names, said)


def names_any(names: frozenset[str], said: str) -> bool:
    """Whether a text holds any of the names as a whole word."""
    return _word(names).search(said) is not None


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


def _other_medicines(found: Concept, drug: Drug, terminology: Terminology) -> list[str]:
    return [key for key in terminology.ingredients_of(found) if key != drug.name]


def _is_drug_code(code: Code, drug: Drug) -> bool:
    return code in drug.ingredient_codes or code in drug.products


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
