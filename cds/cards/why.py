"""Why a card is shown: the rule and its revision, the facts that matched, and the sources."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache

from cds.cards import words
from cds.cards.content import CardContent, Limit
from cds.cards.quiet import Spoken
from cds.cards.trace import Matched
from cds.clinical.finding import Finding, SourceCitation
from cds.clinical.probability import edge
from cds.rulebook import Fact, catalogue
from cds.rulebook.facts import DECIMALS_KEPT, Attribute
from cds.rulebook.rule import Word

_SCREEN = {"setting"}
_UNITS = {
    "1": "",
    "a": "years",
    "mo": "months",
    "wk": "weeks",
    "d": "days",
    "m2": "m²",
    "mg/m2": "mg/m²",
    "10*9/L": "×10⁹/L",
}
_SPOKEN = {"h": "hours", "d": "days", "mo": "month", "wk": "week", "a": "years"}
_ABOVE = "as above"
_DAYS_IN_HOURS = 3
"""Durations of fewer days are said in hours."""
_FINE_DECIMALS = 3
"""A share measured over powers of ten needs its decimals only where they are not zero."""
_HOLDS: Mapping[Word, Callable[[float, float], bool]] = {
    Word.BELOW: operator.lt,
    Word.AT_MOST: operator.le,
    Word.ABOVE: operator.gt,
    Word.AT_LEAST: operator.ge,
}


def why_lines(group: Sequence[Spoken], content: CardContent) -> list[str]:
    """Return one Markdown list: each rule with what made it fire, said once for all of them."""
    told: set[tuple[int, str]] = set()
    named: dict[str, set[str]] = {}
    for item in group:
        for matched in item.facts:
            named.setdefault(matched.fact.kind, set()).add(matched.fact.reference or "")
    only = frozenset(kind for kind, references in named.items() if len(references) == 1)
    lines = []
    for item in group:
        rule = f"- `{item.finding.rule_id}`, revision {item.finding.revision}"
        because = "; ".join(_reasons(item, content, told, only))
        lines.append(f"{rule}: {because}" if because else rule)
    return ["\n".join(["**Why:**", *lines])]


def _reasons(
    item: Spoken, content: CardContent, told: set[tuple[int, str]], only: frozenset[str]
) -> list[str]:
    """What a rule matched, without what an earlier one on the card has told of the same fact.

    Of the `only` fact of a kind the reference is not repeated either.
    """
    reasons = []
    before = frozenset(told)
    bound = {matched.binding: matched.fact for matched in item.facts}
    for matched in item.facts:
        if matched.fact.kind in _SCREEN:
            continue
        limits = content.limits_met(item.finding.rule_id, matched.binding, bound)
        place, said = fact_words(matched, limits)
        about = id(matched.fact)
        new = [phrase for phrase in said if (about, phrase) not in before]
        told.update((about, phrase) for phrase in said)
        if new:
            known = len(new) < len(said) or any(fact == about for fact, _ in before)
            shown = matched.fact.kind if known and matched.fact.kind in only else place
            reasons.append(words.plain(f"{shown}: {', '.join(new)}"))
        if len(new) < len(said) and reasons[:1] != [_ABOVE]:
            reasons.insert(0, _ABOVE)
    return reasons


def source_lines(findings: Iterable[Finding]) -> list[str]:
    """Return the citations of the findings, each once, saying which nobody has verified."""
    cited = {c.key: c for finding in findings for c in finding.citations}
    if not cited:
        return []
    return ["\n".join(["**Sources:**", *(f"- {_citation(c)}" for c in cited.values())])]


def fact_words(item: Matched, limits: Sequence[Limit]) -> tuple[str, list[str]]:
    """Return a matched fact as a reader would say it: level; trough 720 ng/mL (below 1000)."""
    values = item.values
    said = [
        _attribute_words(catalogue().attribute(item.fact.kind, name), value, limits, item.fact)
        for name, value in values.items()
        if name != "reference" or len(values) == 1
    ]
    where = f" ({item.fact.reference})" if item.fact.reference else ""
    return f"{item.fact.kind}{where}", said


def _attribute_words(
    attribute: Attribute, value: object, limits: Sequence[Limit], fact: Fact
) -> str:
    """The attribute's name without its unit, the value with it, and the limits it was held to."""
    label, unit = _label_and_unit(attribute.name, attribute.unit)
    if attribute.name == "value":  # of a result, whose unit is that of its key
        unit = _UNITS.get(own := str(fact.values.get("unit") or ""), own)
    met = [limit for limit in limits if limit.attribute == attribute.name]
    held, marks = _held(value, met), [limit.value for limit in met]
    if attribute.unit == "d" and isinstance(value, float) and abs(value) < _DAYS_IN_HOURS:
        marks = [24.0 * mark for mark in marks]
        shown, held = f"{_rounded(24.0 * value, 0, marks)} hours", [f"{one} days" for one in held]
    else:
        shown = f"{_value(value, attribute, marks)} {unit}".rstrip()
    said = label if value is True else f"{label} {shown}"
    return f"{said} ({' and '.join(held)})" if held else said


def _held(value: object, limits: Sequence[Limit]) -> list[str]:
    """The comparisons with a number that hold: a rule may have matched by another alternative."""
    if not limits or not isinstance(value, int | float):
        return []
    found = {
        f"{limit.word.value.replace('_', ' ')} {_trimmed(limit.value)}": None
        for limit in limits
        if _HOLDS[limit.word](value, limit.value)
    }
    return list(found)


@cache
def _label_and_unit(name: str, unit: str | None) -> tuple[str, str]:
    """How an attribute is called, and its unit unless the name says it: hours post dose."""
    label = _label(name, unit)
    if unit in _SPOKEN and _SPOKEN[unit] in label.split():
        return label, ""
    return label, _UNITS.get(unit or "", unit or "")


def _label(name: str, unit: str | None) -> str:
    """The attribute's name in words; endings that only repeat the unit are left out."""
    endings = ("_ng_ml", "_mg", "_percent", "_kg", "_m2", "_days", "_h", "_years")
    if name.endswith("_per_m2"):
        return name.replace("_", " ")
    ending = next((e for e in endings if unit and name.endswith(e)), "")
    return name.removesuffix(ending).replace("_", " ")


def _value(value: object, attribute: Attribute, marks: Sequence[float]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        near = edge(value) if attribute.probability else None
        return near or _rounded(value, attribute.decimals, marks)
    return str(value)


def _rounded(value: float, decimals: int, marks: Sequence[float]) -> str:
    """A number as a clinician writes it, but never rounded onto or across a limit beside it."""
    while decimals < DECIMALS_KEPT and any(_hides(round(value, decimals), value, m) for m in marks):
        decimals += 1
    text = words.number(value, decimals)
    whole = value == round(value) and "." in text
    return text.rstrip("0").rstrip(".") if whole or decimals >= _FINE_DECIMALS else text


def _hides(rounded: float, value: float, mark: float) -> bool:
    """Whether rounding moves a value to the other side of a limit, or onto it."""
    return value != mark and (rounded - mark) * (value - mark) <= 0


def _trimmed(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


@lru_cache(maxsize=1024)
def _citation(citation: SourceCitation) -> str:
    """A source of the rulebook, of which nothing is a patient's."""
    text = words.plain(citation.citation)
    linked = f"[{text}]({citation.url})" if citation.url else text
    return linked if citation.verified else f"{linked} (unverified)"
