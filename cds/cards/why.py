"""Why a card is shown: the rule and its revision, the facts that matched, and the sources."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from cds.cards import words
from cds.cards.content import CardContent
from cds.cards.trace import Matched, matched_facts
from cds.clinical.finding import Finding, SourceCitation
from cds.rulebook import Rule, Verdict, catalogue
from cds.rulebook.facts import Attribute
from cds.rulebook.rule import ORDERED, Comparison, ParamRef, Word

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


def why_lines(findings: Sequence[Finding], verdict: Verdict, content: CardContent) -> list[str]:
    """Return one Markdown list: each rule with what made it fire."""
    lines = []
    for finding in findings:
        rule = content.rules.get(finding.rule_id)
        facts = matched_facts(finding, verdict, rule)
        said = [fact_words(item, rule, content) for item in facts if item.fact.kind not in _SCREEN]
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


def fact_words(item: Matched, rule: Rule | None, content: CardContent) -> str:
    """Return a matched fact as a reader would say it: level: trough 720 ng/mL (below 1000)."""
    said = [
        _attribute_words(name, value, item, rule, content)
        for name, value in item.values.items()
        if name != "reference" or len(item.values) == 1
    ]
    where = f" ({item.fact.reference})" if item.fact.reference else ""
    return f"{item.fact.kind}{where}: {', '.join(said)}" if said else ""


def _attribute_words(
    name: str, value: object, item: Matched, rule: Rule | None, content: CardContent
) -> str:
    """The attribute's name without its unit, the value with it, and the limits it was held to."""
    attribute = catalogue().attribute(item.fact.kind, name)
    label = _label(name, attribute)
    named = attribute.unit or ""
    unit = "" if _says_unit(label, attribute) else _UNITS.get(named, named)
    limits = _limits(name, value, item.binding, rule, content)
    shown = f"{label} {_value(value, attribute)} {unit}".rstrip()
    return f"{shown} ({' and '.join(limits)})" if limits else shown


def _limits(
    name: str, value: object, binding: str, rule: Rule | None, content: CardContent
) -> list[str]:
    """The comparisons with a number that hold: a rule may have matched by another alternative."""
    if rule is None or not isinstance(value, int | float):
        return []
    found = {
        f"{comparison.word.value.replace('_', ' ')} {_trimmed(limit)}": None
        for pattern in rule.patterns()
        if pattern.binding == binding
        for comparison in pattern.comparisons()
        if comparison.attribute == name
        and comparison.word in ORDERED
        and (limit := _limit(comparison, rule, content)) is not None
        and _HOLDS[comparison.word](value, limit)
    }
    return list(found)


def _limit(comparison: Comparison, rule: Rule, content: CardContent) -> float | None:
    operand = comparison.operand
    param = rule.params.get(operand.name) if isinstance(operand, ParamRef) else None
    value = param.values.get(content.jurisdiction) if param else None
    return value if isinstance(value, int | float) else None


def _says_unit(label: str, attribute: Attribute) -> bool:
    """Whether the name of the attribute says its unit already: hours post dose."""
    return attribute.unit in _SPOKEN and _SPOKEN[attribute.unit] in label.split()


def _label(name: str, attribute: Attribute) -> str:
    """The attribute's name in words; endings that only repeat the unit are left out."""
    endings = ("_ng_ml", "_mg", "_percent", "_kg", "_m2", "_days", "_h", "_years")
    if name.endswith("_per_m2"):
        return name.replace("_", " ")
    ending = next((e for e in endings if attribute.unit and name.endswith(e)), "")
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
