"""Which tests a rule lacks: firing, silent, undecided, and one exactly at each boundary."""

from __future__ import annotations

from collections.abc import Iterator

from cds.rulebook.facts import catalogue
from cds.rulebook.remarks import Level, Place, Remarks
from cds.rulebook.render import show_number
from cds.rulebook.rule import ORDERED, Outcome, ParamRef, Rule, Word


def check_tests(rule: Rule, default: str, remarks: Remarks, level: Level | None) -> None:
    """Note every kind of test that is missing."""
    place = rule.places.get("tests", rule.place)
    outcomes = {test.expect for test in rule.tests}
    if Outcome.FIRED not in outcomes:
        remarks.add("RB701", place, "no test fires the rule", "add expect: fires", level=level)
    if Outcome.SILENT not in outcomes:
        cure = "add expect: silent"
        remarks.add("RB702", place, "no test leaves the rule silent", cure, level=level)
    wanting = _may_be_unknown(rule)
    if wanting and Outcome.UNDECIDED not in outcomes:
        text = f"no test leaves the rule undecided, e.g. without {wanting}"
        remarks.add("RB704", place, text, "add expect: undecided", level=level)
    for kind, name, value, param, at in _boundaries(rule, default):
        tested = any(
            fact.kind == kind and fact.values.get(name) == value
            for test in rule.tests
            for fact in test.given
        )
        if not tested:
            cure = f"add a test with {{is: {kind}, {name}: {show_number(value)}}}"
            text = f"no test with {kind}.{name} exactly at {param} ({show_number(value)})"
            remarks.add("RB703", at, text, cure, level=level)


def _may_be_unknown(rule: Rule) -> str | None:
    """An attribute whose absence can leave the rule undecided."""
    for pattern in rule.patterns():
        attributes = catalogue().kinds[pattern.kind].attributes
        for comparison in pattern.comparisons():
            compared = comparison.word is not Word.KNOWN
            if compared and not attributes[comparison.attribute].always:
                return f"{pattern.kind}.{comparison.attribute}"
    return None


def _boundaries(rule: Rule, default: str) -> Iterator[tuple[str, str, float, str, Place]]:
    """Every limit in the default jurisdiction (or the rule's first): kind, attribute, value."""
    jurisdiction = default if default in rule.jurisdictions else rule.jurisdictions[0]
    seen = set()
    for pattern in rule.patterns():
        for comparison in pattern.comparisons():
            if comparison.word not in ORDERED or not isinstance(comparison.operand, ParamRef):
                continue
            name = comparison.operand.name
            value = rule.params[name].values[jurisdiction]
            key = (pattern.kind, comparison.attribute, value)
            if value is None or isinstance(value, bool | str) or key in seen:
                continue
            seen.add(key)
            yield pattern.kind, comparison.attribute, float(value), name, comparison.place
