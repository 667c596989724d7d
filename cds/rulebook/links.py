"""Check what a rule refers to: parameters against attributes, texts against bindings and facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cds.rulebook.conditions import (
    MAX_COMPARISONS,
    MAX_CONJUNCTIONS,
    MAX_PATTERNS,
    count_conjunctions,
)
from cds.rulebook.facts import Attribute, AttributeType, Catalogue, Value
from cds.rulebook.remarks import Place, Remarks, did_you_mean
from cds.rulebook.rule import (
    Alternatives,
    Comparison,
    ParamRef,
    Pattern,
    Rule,
    Slot,
    Template,
    Word,
)


def check_links(
    rule: Rule,
    catalogue: Catalogue,
    keys: Mapping[str, frozenset[str]],
    lab_units: Mapping[str, str],
    remarks: Remarks,
) -> None:
    """Note everything that does not fit together; a rule with such an error is never evaluated."""
    _check_size(rule, remarks)
    used: set[str] = set()
    for pattern in rule.patterns():
        unit = _lab_unit(pattern, lab_units)
        for comparison in pattern.comparisons():
            attribute = catalogue.attribute(pattern.kind, comparison.attribute)
            _check_codes(attribute, comparison, keys, remarks)
            if pattern.negated and not attribute.always:
                cure = "negate only what every fact has, or compare 'known: false'"
                text = f"none: {pattern.kind}.{attribute.name} may be unknown"
                remarks.add("RB209", comparison.place, text, cure)
            if isinstance(comparison.operand, ParamRef):
                used.add(comparison.operand.name)
                wanted = unit if attribute.name == "value" and unit else attribute.unit
                _check_param(rule, comparison, attribute, wanted, keys, remarks)
    for template in (rule.then.subject, rule.then.summary, rule.then.detail):
        if template is not None:
            used.update(_check_text(rule, template, catalogue, remarks))
    for name in sorted(set(rule.params) - used):
        place = rule.params[name].place
        remarks.add("RB302", place, f"param {name} is never used", "remove it")


def _check_size(rule: Rule, remarks: Remarks) -> None:
    place = rule.places.get("when", rule.place)
    ways = count_conjunctions(rule)
    if ways > MAX_CONJUNCTIONS:
        cure = f"at most {MAX_CONJUNCTIONS}; use one_of, or write two rules"
        remarks.add("RB212", place, f"any_of makes {ways} alternatives", cure)
    for branch in _branches(rule):
        if all(pattern.negated for pattern in branch):
            cure = "bind at least one fact, e.g. - course: {is: course}"
            remarks.add("RB213", place, "nothing but negations to match", cure)
        if len(branch) > MAX_PATTERNS:
            cure = f"at most {MAX_PATTERNS}"
            remarks.add("RB212", place, f"{len(branch)} patterns in one alternative", cure)
    for pattern in rule.patterns():
        count = len(list(pattern.comparisons()))
        if count > MAX_COMPARISONS:
            cure = f"at most {MAX_COMPARISONS}"
            remarks.add("RB212", pattern.place, f"{count} comparisons in one pattern", cure)


def _branches(rule: Rule) -> Iterator[tuple[Pattern, ...]]:
    """Every way through the top-level alternatives, one option of each at a time."""
    plain = tuple(c for c in rule.when if isinstance(c, Pattern))
    choices = [c for c in rule.when if isinstance(c, Alternatives)]
    if not choices:
        yield plain
    for number, choice in enumerate(choices):
        others = tuple(p for c in choices[:number] + choices[number + 1 :] for p in c.options[0])
        for option in choice.options:
            yield (*plain, *others, *option)


def _lab_unit(pattern: Pattern, lab_units: Mapping[str, str]) -> str | None:
    """The unit of `value` in a pattern over one laboratory key."""
    if pattern.kind != "lab":
        return None
    for condition in pattern.conditions:
        if (
            isinstance(condition, Comparison)
            and condition.attribute == "key"
            and condition.word is Word.IS
        ):
            return lab_units.get(str(condition.operand))
    return None


def _check_codes(
    attribute: Attribute,
    comparison: Comparison,
    keys: Mapping[str, frozenset[str]],
    remarks: Remarks,
) -> None:
    known = keys.get(attribute.terms or "")
    if known is None or comparison.word in (Word.SAME_AS, Word.KNOWN):
        return
    operand = comparison.operand
    for code in operand if isinstance(operand, tuple) else (operand,):
        if isinstance(code, str) and code not in known:
            cure = did_you_mean(code, known)
            remarks.add("RB207", comparison.place, f"{attribute.terms} has no '{code}'", cure)


def _check_param(
    rule: Rule,
    comparison: Comparison,
    attribute: Attribute,
    unit: str | None,
    keys: Mapping[str, frozenset[str]],
    remarks: Remarks,
) -> None:
    name = str(getattr(comparison.operand, "name", ""))
    param = rule.params.get(name)
    if param is None:
        cure = did_you_mean(name, rule.params) or "add it to params"
        remarks.add("RB301", comparison.place, f"no param '{name}'", cure)
        return
    for value in param.values.values():
        if value is not None and not _fits(attribute, value):
            cure = f"{attribute.name} is a {attribute.type}"
            remarks.add("RB204", comparison.place, f"param {name} is {value!r}", cure)
            return
        known = keys.get(attribute.terms or "") or frozenset(attribute.values)
        if isinstance(value, str) and known and value not in known:
            cure = did_you_mean(value, known)
            remarks.add("RB207", comparison.place, f"{attribute.name} is never '{value}'", cure)
    if attribute.is_number and unit is not None and param.unit is not None and param.unit != unit:
        cure = f"convert it and write unit: {unit}"
        text = f"param {name} is in {param.unit}, {attribute.name} in {unit}"
        remarks.add("RB205", comparison.place, text, cure)
    ordered = comparison.word not in (Word.IS, Word.NOT)
    if ordered and not attribute.is_number:
        cure = f"{attribute.name} is a {attribute.type}; write a plain value or one_of"
        remarks.add("RB204", comparison.place, f"{comparison.word} compares numbers", cure)


def _fits(attribute: Attribute, value: Value) -> bool:
    if attribute.is_number:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if attribute.type is AttributeType.BOOLEAN:
        return isinstance(value, bool)
    return isinstance(value, str)


def _check_text(
    rule: Rule, template: Template, catalogue: Catalogue, remarks: Remarks
) -> Iterator[str]:
    """Check the slots of one text; yield the parameters it uses."""
    branches = [
        {p.binding: p for p in branch if p.binding is not None} for branch in _branches(rule)
    ]
    everywhere = set.intersection(*(set(branch) for branch in branches)) if branches else set()
    for slot in template.slots:
        if slot.binding is None:
            yield slot.name
            if slot.name not in rule.params:
                cure = did_you_mean(slot.name, rule.params) or "add it to params"
                remarks.add("RB401", template.place, f"no param '{slot.name}'", cure)
        elif slot.binding not in everywhere:
            some = any(slot.binding in branch for branch in branches)
            where = "in every alternative" if some else "by the conditions"
            cure = did_you_mean(slot.binding, everywhere)
            text = f"'{{{slot}}}': '{slot.binding}' is not bound {where}"
            remarks.add("RB401", template.place, text, cure)
        else:
            patterns = [branch[slot.binding] for branch in branches]
            _check_slot(slot, patterns, template.place, catalogue, remarks)


def _check_slot(
    slot: Slot, patterns: list[Pattern], place: Place, catalogue: Catalogue, remarks: Remarks
) -> None:
    for kind in {pattern.kind for pattern in patterns}:
        attributes = catalogue.kinds[kind].attributes
        if slot.name not in attributes:
            cure = did_you_mean(slot.name, attributes)
            remarks.add("RB401", place, f"'{{{slot}}}': {kind} has no '{slot.name}'", cure)
            return
        if attributes[slot.name].always:
            continue
        if not all(_makes_known(pattern, slot.name) for pattern in patterns):
            cure = f"add {slot.name}: {{known: true}} to the condition, or leave it out"
            remarks.add("RB405", place, f"'{{{slot}}}' may be unknown when the rule fires", cure)


def _makes_known(pattern: Pattern, name: str) -> bool:
    """Whether a match of the pattern implies that the attribute is known."""
    for condition in pattern.conditions:
        options = (
            [(condition,)] if isinstance(condition, Comparison) else list(condition.alternatives)
        )
        if all(any(c.attribute == name and _needs_value(c) for c in option) for option in options):
            return True
    return False


def _needs_value(comparison: Comparison) -> bool:
    return comparison.word is not Word.KNOWN or comparison.operand is True
