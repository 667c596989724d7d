"""Why a card is shown: the rule and its revision, the facts that matched, and the sources."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from cds.cards import words
from cds.cards.content import CardContent, Limit, Regard
from cds.cards.quiet import Spoken
from cds.cards.trace import Matched
from cds.clinical.finding import Finding, SourceCitation
from cds.rulebook import catalogue
from cds.rulebook.facts import Attribute
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
}
_SPOKEN = {"h": "hours", "d": "days", "mo": "month", "wk": "week", "a": "years"}
_HOLDS: Mapping[Word, Callable[[float, float], bool]] = {
    Word.BELOW: operator.lt,
    Word.AT_MOST: operator.le,
    Word.ABOVE: operator.gt,
    Word.AT_LEAST: operator.ge,
}


def why_lines(group: Sequence[Spoken], content: CardContent) -> list[str]:
    """Return one Markdown list: each rule with what made it fire."""
    lines = []
    for item in group:
        finding = item.finding
        regards = [
            (matched, content.regard(finding.rule_id, matched.binding))
            for matched in item.facts
            if matched.fact.kind not in _SCREEN
        ]
        said = [fact_words(matched, regard) for matched, regard in regards]
        because = "; ".join(words.plain(text) for text in said if text)
        line = f"- rule `{finding.rule_id}`, revision {finding.revision}"
        lines.append(f"{line}: {because}" if because else line)
    return ["\n".join(["**Why:**", *lines])]


def source_lines(findings: Iterable[Finding]) -> list[str]:
    """Return the citations of the findings, each once, saying which nobody has verified."""
    cited = {c.key: c for finding in findings for c in finding.citations}
    if not cited:
        return []
    return ["\n".join(["**Sources:**", *(f"- {_citation(c)}" for c in cited.values())])]


def fact_words(item: Matched, regard: Regard | None) -> str:
    """Return a matched fact as a reader would say it: level: trough 720 ng/mL (below 1000)."""
    limits = regard.limits if regard else ()
    values = item.values
    said = [
        _attribute_words(catalogue().attribute(item.fact.kind, name), value, limits)
        for name, value in values.items()
        if name != "reference" or len(values) == 1
    ]
    where = f" ({item.fact.reference})" if item.fact.reference else ""
    return f"{item.fact.kind}{where}: {', '.join(said)}" if said else ""


def _attribute_words(attribute: Attribute, value: object, limits: Sequence[Limit]) -> str:
    """The attribute's name without its unit, the value with it, and the limits it was held to."""
    label, unit = _label_and_unit(attribute.name, attribute.unit)
    held = _held(attribute.name, value, limits)
    shown = f"{label} {_value(value, attribute)} {unit}".rstrip()
    return f"{shown} ({' and '.join(held)})" if held else shown


def _held(name: str, value: object, limits: Sequence[Limit]) -> list[str]:
    """The comparisons with a number that hold: a rule may have matched by another alternative."""
    if not isinstance(value, int | float):
        return []
    found = {
        f"{limit.word.value.replace('_', ' ')} {_trimmed(limit.value)}": None
        for limit in limits
        if limit.attribute == name and _HOLDS[limit.word](value, limit.value)
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


def _value(value: object, attribute: Attribute) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        # A value is never rounded onto a limit that stands beside it.
        rounded = words.number(value, attribute.decimals)
        return rounded if float(rounded) == value else words.number(value, attribute.decimals + 1)
    return str(value)


def _trimmed(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _citation(citation: SourceCitation) -> str:
    text = words.plain(citation.citation)
    linked = f"[{text}]({citation.url})" if citation.url else text
    return linked if citation.verified else f"{linked} (unverified: not checked at the source)"
