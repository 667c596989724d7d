"""Conditions as words a reader of rules understands, before any number of a jurisdiction is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cds.rulebook.render import show_number
from cds.rulebook.rule import (
    Choice,
    Comparison,
    Condition,
    JoinRef,
    Param,
    ParamRef,
    Pattern,
    Rule,
    Word,
)

_SIGNS = {
    Word.IS: "is", Word.NOT: "is not", Word.BELOW: "below", Word.AT_MOST: "at most",
    Word.ABOVE: "above", Word.AT_LEAST: "at least", Word.ONE_OF: "is one of",
    Word.NOT_ONE_OF: "is none of", Word.SAME_AS: "is the same as",
}  # fmt: skip


def condition_lines(rule: Rule) -> Iterator[tuple[int, str]]:
    """Every condition of a rule as (depth, words)."""
    for condition in rule.when:
        yield from _condition(condition, rule.params, 0)


def _condition(
    condition: Condition, params: Mapping[str, Param], depth: int
) -> Iterator[tuple[int, str]]:
    if isinstance(condition, Pattern):
        yield depth, pattern_words(condition, params)
        return
    yield depth, "any of:"
    for number, option in enumerate(condition.options, start=1):
        if len(option) == 1:
            yield depth + 1, pattern_words(option[0], params)
            continue
        yield depth + 1, f"alternative {number}, all of:"
        for pattern in option:
            yield depth + 2, pattern_words(pattern, params)


def pattern_words(pattern: Pattern, params: Mapping[str, Param]) -> str:
    """One pattern in a line."""
    article = "an" if pattern.kind[0] in "aeiou" else "a"
    start = f"no {pattern.kind}"
    if not pattern.negated:
        start = f"{pattern.binding}: {article} {pattern.kind}"
    if not pattern.negated and pattern.binding == pattern.kind:
        start = f"the {pattern.kind}"
    conditions = [_part(condition, params) for condition in pattern.conditions]
    return f"{start} with {', '.join(conditions)}" if conditions else start


def _part(condition: Comparison | Choice, params: Mapping[str, Param]) -> str:
    if isinstance(condition, Comparison):
        return comparison_words(condition, params)
    options = [
        " and ".join(comparison_words(c, params) for c in alternative)
        for alternative in condition.alternatives
    ]
    return f"({' or '.join(options)})"


def comparison_words(comparison: Comparison, params: Mapping[str, Param]) -> str:
    """One comparison, with the parameter's value, unit and name."""
    name, word, operand = comparison.attribute, comparison.word, comparison.operand
    if word is Word.KNOWN:
        return f"{name} known" if operand else f"{name} unknown"
    if isinstance(operand, bool):
        return name if operand is (word is Word.IS) else f"not {name}"
    if isinstance(operand, ParamRef):
        shown = param_words(params[operand.name]) if operand.name in params else "?"
        return f"{name} {_SIGNS[word]} {shown}"
    if isinstance(operand, JoinRef):
        return f"{name} {_SIGNS[word]} {operand.binding}.{operand.attribute}"
    if isinstance(operand, tuple):
        return f"{name} {_SIGNS[word]} {', '.join(operand)}"
    return f"{name} {_SIGNS[word]} {operand}"


def param_words(param: Param) -> str:
    """A parameter's value with its unit; by jurisdiction where it differs."""
    unit = f" {param.unit}" if param.unit and param.unit != "1" else ""
    values = {where: "none" if v is None else show_number(v) for where, v in param.values.items()}
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values()))}{unit}"
    return ", ".join(f"{value}{unit} ({where.upper()})" for where, value in values.items())
