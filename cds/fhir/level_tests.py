"""Which tests measure the drug: by their codes, by their words, and what the words deny."""

from __future__ import annotations

import re
from typing import Final

from cds.clinical.codes import Concept
from cds.clinical.problem import Problem
from cds.clinical.terminology import LevelCode
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, codes_of, concept, element, elements, reference_of, text
from cds.fhir.problems import problem
from cds.fhir.products import names_drug

_LEVEL_WORDS: Final = (
    "level",
    "concentration",
    "plasma",
    "serum",
    "blood",
    "trough",
    "mass/volume",
    "spiegel",
    "konzentration",
    "concentratie",
)
_FREE: Final = re.compile(r"\b(?:free|unbound|frei(?:es|er)?|ungebunden\w*|libre|vrij)\b")


def level_code(observation: Element, context: ReadContext) -> LevelCode | None:
    """The level code of an Observation, if it is a level of the monitored drug."""
    return context.drug.level_of(codes_of(element(observation, "code")))


def looks_like_level(observation: Element, context: ReadContext) -> bool:
    """Whether an Observation without a known code is named like a level of the drug."""
    words = (concept(element(observation, "code")).text or "").lower()
    drug = context.drug
    # Within a word too: German joins `Imatinibspiegel`.
    if not any(name in words for name in drug.names) or _metabolite(observation, context):
        return False
    return any(word in words for word in _LEVEL_WORDS) or "valueQuantity" in observation


def unknown_level(observation: Element) -> Problem:
    """The problem of a result that looks like a level."""
    reference = reference_of(observation)
    shown = concept(element(observation, "code")).text or ""
    message = f"{shown[:80]!r} looks like a level, but its code is not configured; is it one?"
    return problem("level-code-unknown", message, reference, field="code")


def of_something_else(observation: Element, context: ReadContext, reference: str) -> Problem | None:
    """Why the words of the test do not fit its code, if they name another analyte."""
    drug = context.drug
    named = _metabolite(observation, context)
    if named is not None:
        message = (
            f"The result names {named}, the metabolite of {drug.name} or a sum with it; "
            f"it was not read as a level of {drug.name}."
        )
        return problem("level-of-metabolite", message, reference, field="code")
    words = concept(element(observation, "code")).text
    if words is None:
        return None
    if not names_drug(words, drug):
        others = context.terminology.ingredients_of(Concept(text=words))
        if others:
            message = f"The result is coded as a level of {drug.name}, but named {words[:60]!r}."
            return problem("level-code-mismatch", message, reference, field="code")
    if _FREE.search(words.lower()):
        message = f"The result ({words[:60]!r}) is of the free drug; targets hold for the total."
        return problem("level-of-free-drug", message, reference, field="code")
    return None


def _metabolite(observation: Element, context: ReadContext) -> str | None:
    """The metabolite's name in the words of the test, if they name it."""
    code = element(observation, "code") or {}
    displays = [text(coding, "display") for coding in codings_of(observation)]
    words = " ".join(shown for shown in (text(code, "text"), *displays) if shown).lower()
    names = sorted(context.drug.metabolite_names, key=len, reverse=True)
    return next((name for name in names if name in words), None)


def codings_of(observation: Element) -> list[Element]:
    """The codes of the test as they were sent, with their displays."""
    code = element(observation, "code")
    return elements(code, "coding") if code is not None else []
