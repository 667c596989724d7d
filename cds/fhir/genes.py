"""Genetic Observations -> genotypes and mutations that were found, each by its own verdict.

A panel says of several mutations at once which was found and which was not, in components or in
sentences. A mutation counts only where its own part affirms it; where the words leave that open,
it is a question: a missed T315I is as dangerous as one that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cds.clinical.medication import GeneResult
from cds.clinical.problem import Problem
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, concept, element, elements, flag, number, reference_of, text
from cds.fhir.problems import problem
from cds.fhir.results import counting_status, sampled_at

_FOUND: Final = (
    r"(?:detected|positive|present|found|identified|seen|nachgewiesen|nachweisbar|gefunden|positiv"
    r"|d[ée]tect[ée]e?s?|positi[fv]e?|pr[ée]sente?|detectad[oa]s?|positiv[oa]|aangetoond|gevonden)"
)
_NOT: Final = r"(?:no|not|non|none|without|kein\w*|nicht|ohne|sans|sin|geen|niet|zonder|pas de)"
_DENIED: Final = re.compile(
    rf"\b{_NOT}\b(?:\W+\w+){{0,5}}?\W+{_FOUND}\b|\b{_NOT}\b"
    r"|\b(?:negativ\w*|n[ée]gati[fv]\w*|neg|nd|absen\w+|ausente|afwezig|undetect\w*|unmutated"
    r"|excluded|wild[- ]?typ\w*|false|la9634-2|la6577-6|260385009|260415000|2667000)\b"
)
_AFFIRMED: Final = re.compile(rf"\b{_FOUND}\b")
_DOUBTED: Final = re.compile(
    r"\b(?:not (?:be )?(?:excluded|ruled out)|nicht (?:sicher )?ausgeschlossen|equivocal"
    r"|indeterminate|inconclusive|failed|not evaluable|nicht auswertbar)\b"
)
_NAMES_A_VARIANT: Final = re.compile(r"\b[a-z]\d{2,4}(?:[a-z]|_)|\bexon \d|\b[pc]\.\S")
_SENTENCE_END: Final = re.compile(r"[;\n|]|\.(?=\s|$)")
_LISTED: Final = re.compile(r",\s")
_NEGATIVE: Final = frozenset({"NEG", "ND", "N"})


class _Verdict(Enum):
    FOUND = auto()
    NOT_FOUND = auto()
    OPEN = auto()
    """Two things at once, or nothing beside something that was not found."""


class _Said(Struct, frozen=True):
    """Words of a result and what they say of the mutations they name; None if they only name."""

    words: str
    verdict: _Verdict | None
    of_panel: bool = False


def read_genes(
    observation: Element, context: ReadContext
) -> tuple[list[GeneResult], list[Problem]]:
    """Genotypes and variants the rulebook knows, by the words in which they are reported."""
    if counting_status(observation) is None:
        return [], []
    code = concept(element(observation, "code")).text or ""
    own = list(_own(observation))
    said = _settled([*own, *_of_components(observation, _overall(own))])
    reference = reference_of(observation)
    found = _named(code, said, _Verdict.FOUND, context)
    if any(key not in found for key in _named(code, said, _Verdict.OPEN, context)):
        shown = "; ".join(part.words for part in said)[:80]
        message = f"A genetic result ({shown!r}) does not say plainly what was found; please check."
        return [], [problem("gene-result-unclear", message, reference)]
    at = sampled_at(observation, context.zone)
    shown = "; ".join(part.words for part in said if part.verdict is _Verdict.FOUND)[:120]
    return [GeneResult(key, shown, reference, at) for key in found], []


def _named(code: str, said: list[_Said], verdict: _Verdict, context: ReadContext) -> list[str]:
    """Keys of the mutations that the words with a verdict name, read with the name of the test.

    What the name of a panel lists was looked for, not found: it counts only where the answer names
    no variant itself.
    """
    chosen = [part for part in said if part.verdict is verdict]
    if not chosen:
        return []
    words = " ".join(part.words for part in chosen).lower()
    several = len(said) > len(chosen) or any(part.of_panel for part in said)
    test = code.lower()
    looked_for = test if several or _NAMES_A_VARIANT.search(words) else ""
    together = f"{test} {words}"
    return list(
        dict.fromkeys(
            key
            for name, key in context.terminology.genes.items()
            if _stands_in(name, words)
            or (_stands_in(name, together) and not _stands_in(name, looked_for))
        )
    )


def _settled(said: list[_Said]) -> list[_Said]:
    """A name alone means that it was found, unless something beside it was not."""
    denied = any(part.verdict is _Verdict.NOT_FOUND for part in said)
    alone = _Verdict.OPEN if denied else _Verdict.FOUND
    return [replace(part, verdict=part.verdict or alone) for part in said]


def _overall(own: list[_Said]) -> _Verdict | None:
    """The one verdict of the result as a whole, which its components describe."""
    stated = {part.verdict for part in own if part.verdict is not None}
    return stated.pop() if len(stated) == 1 else None


def _own(observation: Element) -> Iterator[_Said]:
    """What the Observation says itself, sentence by sentence and item by item."""
    denied = _is_negative(observation)
    for answer in _answers(observation):
        for sentence in filter(str.strip, _SENTENCE_END.split(answer)):
            items = [item.strip() for item in _LISTED.split(sentence)]
            verdicts = [_Verdict.NOT_FOUND if denied else _verdict(item) for item in items]
            yield from map(_Said, items, _shared(verdicts))


def _shared(verdicts: Sequence[_Verdict | None]) -> Iterator[_Verdict | None]:
    """An item without a verdict shares that of the last one before, else of the first after."""
    latest = next((verdict for verdict in verdicts if verdict is not None), None)
    for verdict in verdicts:
        latest = verdict or latest
        yield latest


def _of_components(observation: Element, overall: _Verdict | None) -> Iterator[_Said]:
    for part in elements(observation, "component"):
        answers = list(_answers(part))
        if not answers:
            continue
        verdict = _Verdict.NOT_FOUND if _is_negative(part) else _verdict("; ".join(answers))
        words = " ".join([concept(element(part, "code")).text or "", *answers])
        yield _Said(words, verdict or overall, of_panel=True)


def _verdict(words: str) -> _Verdict | None:
    """What words say, or None where they only name something."""
    if _DOUBTED.search(words.lower()):
        return _Verdict.OPEN
    rest, denials = _DENIED.subn(" ", words.lower())
    affirmed = _AFFIRMED.search(rest) is not None
    if denials and affirmed:
        return _Verdict.OPEN
    if denials:
        return _Verdict.NOT_FOUND
    return _Verdict.FOUND if affirmed else None


def _is_negative(part: Element) -> bool:
    codes = (c for found in elements(part, "interpretation") for c in concept(found).codes)
    return any(code.code in _NEGATIVE for code in codes)


def _answers(part: Element) -> Iterator[str]:
    answer = flag(part, "valueBoolean")
    if answer is not None:
        yield "detected" if answer else "not detected"
    written = text(part, "valueString")
    if written:
        yield written
    words = concept(element(part, "valueCodeableConcept"))
    if words.text:
        yield words.text
    else:
        yield from (code.code for code in words.codes)
    measured = number(element(part, "valueQuantity") or {}, "value")
    if measured is not None:
        below = (element(part, "valueQuantity") or {}).get("comparator") in {"<", "<="}
        yield "not detected" if below or measured <= 0 else "detected"


def _stands_in(name: str, words: str) -> bool:
    """Whether a result's name stands in lower-case words, as a whole word."""
    parts, pattern = _pattern(name)
    return all(part in words for part in parts) and pattern.search(words) is not None


@lru_cache(maxsize=512)
def _pattern(name: str) -> tuple[list[str], re.Pattern[str]]:
    """A result's name however laboratories space and punctuate it; its parts, which are looked for
    first because that takes a hundredth of the time."""
    parts = re.findall(r"[a-z0-9]+|[^\sa-z0-9:()]", name.lower())
    written = r"[\s:()]*".join(re.escape(part) for part in parts)
    return parts, re.compile(rf"(?<![a-z0-9]){written}(?![a-z0-9])" if parts else r"(?!)")
