"""Bring a rule's `when` into disjunctive normal form, with the numbers of one jurisdiction.

Both evaluators work on these conjunctions: flat patterns of comparisons with plain values. Flat,
because durable-rules matches nested alternatives wrongly; the same for both, so that they can be
compared match by match.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from cds.rulebook.facts import AttributeType, Catalogue, Value
from cds.rulebook.rule import (
    Alternatives,
    Comparison,
    JoinRef,
    ParamRef,
    Pattern,
    Rule,
    Word,
)

MAX_CONJUNCTIONS = 64
MAX_PATTERNS = 12
MAX_COMPARISONS = 24

_SIGNS = {
    Word.BELOW: "below", Word.AT_MOST: "at most", Word.ABOVE: "above", Word.AT_LEAST: "at least",
    Word.NOT: "not", Word.ONE_OF: "one of", Word.NOT_ONE_OF: "none of", Word.SAME_AS: "same as",
}  # fmt: skip


class Join(Struct, frozen=True):
    """The attribute of the fact matched at an earlier position."""

    position: int
    attribute: str


class Atom(Struct, frozen=True):
    """One comparison with its value filled in."""

    attribute: str
    word: Word
    value: Value | frozenset[str] | Join

    def __str__(self) -> str:
        name = self.attribute
        if self.word is Word.KNOWN:
            return f"{name} known" if self.value else f"{name} not known"
        if isinstance(self.value, bool):
            wanted = self.value is (self.word is Word.IS)
            return name if wanted else f"not {name}"
        sign = _SIGNS.get(self.word, "")
        return " ".join(part for part in (name, sign, show_operand(self.value)) if part)


class FlatPattern(Struct, frozen=True):
    """One fact wanted (or, negated, not wanted): a kind and comparisons that must all hold."""

    binding: str | None
    kind: str
    atoms: tuple[Atom, ...]

    def __str__(self) -> str:
        conditions = ", ".join(str(atom) for atom in self.atoms)
        return f"{self.kind} with {conditions}" if conditions else self.kind


class Conjunction(Struct, frozen=True):
    """One alternative of a rule: facts that must exist together, and facts that must not."""

    positive: tuple[FlatPattern, ...]
    negative: tuple[FlatPattern, ...]

    @property
    def bindings(self) -> tuple[str, ...]:
        """Names of the matched facts, in order."""
        return tuple(str(pattern.binding) for pattern in self.positive)


def show_operand(value: Value | frozenset[str] | Join) -> str:
    """A value in a condition, as words."""
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    if isinstance(value, Join):
        return f"fact {value.position + 1}.{value.attribute}"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value).lower() if isinstance(value, bool) else str(value)


def conjunctions(
    rule: Rule, jurisdiction: str, catalogue: Catalogue
) -> tuple[Conjunction, ...] | None:
    """All alternatives of a rule; None when the rule does not exist in the jurisdiction."""
    if jurisdiction not in rule.jurisdictions:
        return None
    values = {name: param.values.get(jurisdiction) for name, param in rule.params.items()}
    if any(value is None for value in values.values()):
        return None
    filled = {name: value for name, value in values.items() if value is not None}
    found: list[Conjunction] = []
    for patterns in _alternatives(rule):
        found.extend(_flatten(patterns, filled, catalogue))
    return tuple(dict.fromkeys(found))


def count_conjunctions(rule: Rule) -> int:
    """How many alternatives there are, without building them."""
    total = 1
    for condition in rule.when:
        if isinstance(condition, Alternatives):
            total *= sum(_ways(option) for option in condition.options)
        else:
            total *= _ways((condition,))
    return total


def _ways(patterns: tuple[Pattern, ...]) -> int:
    ways = 1
    for pattern in patterns:
        if not pattern.negated:  # a negated choice becomes several negations, not alternatives
            for condition in pattern.conditions:
                if not isinstance(condition, Comparison):
                    ways *= len(condition.alternatives)
    return ways


def _alternatives(rule: Rule) -> Iterator[tuple[Pattern, ...]]:
    """Choose one option of every top-level `any_of`."""
    steps = [
        condition.options if isinstance(condition, Alternatives) else ((condition,),)
        for condition in rule.when
    ]
    for chosen in product(*steps):
        yield tuple(pattern for option in chosen for pattern in option)


def _flatten(
    patterns: tuple[Pattern, ...], values: dict[str, Value], catalogue: Catalogue
) -> Iterator[Conjunction]:
    """Choose one alternative of every `any_of` inside the patterns."""
    positive = [pattern for pattern in patterns if not pattern.negated]
    order = {str(pattern.binding): number for number, pattern in enumerate(positive)}
    negative = tuple(
        _flat(pattern, comparisons, order, values, catalogue)
        for pattern in patterns
        if pattern.negated
        for comparisons in _choices(pattern)
    )
    for chosen in product(*(list(_choices(pattern)) for pattern in positive)):
        flat = tuple(
            _flat(pattern, comparisons, order, values, catalogue)
            for pattern, comparisons in zip(positive, chosen, strict=True)
        )
        yield Conjunction(flat, negative)


def _choices(pattern: Pattern) -> Iterator[tuple[Comparison, ...]]:
    steps = [
        ((condition,),) if isinstance(condition, Comparison) else condition.alternatives
        for condition in pattern.conditions
    ]
    for chosen in product(*steps):
        yield tuple(comparison for part in chosen for comparison in part)


def _flat(
    pattern: Pattern,
    comparisons: tuple[Comparison, ...],
    order: dict[str, int],
    values: dict[str, Value],
    catalogue: Catalogue,
) -> FlatPattern:
    atoms = tuple(_atom(pattern.kind, c, order, values, catalogue) for c in comparisons)
    return FlatPattern(pattern.binding, pattern.kind, atoms)


def _atom(
    kind: str,
    comparison: Comparison,
    order: dict[str, int],
    values: dict[str, Value],
    catalogue: Catalogue,
) -> Atom:
    operand = comparison.operand
    value: Value | frozenset[str] | Join
    if isinstance(operand, ParamRef):
        value = values[operand.name]
        whole = catalogue.attribute(kind, comparison.attribute).type is AttributeType.INTEGER
        if whole and isinstance(value, float) and value.is_integer():
            value = int(value)
    elif isinstance(operand, JoinRef):
        value = Join(order[operand.binding], operand.attribute)
    elif isinstance(operand, tuple):
        value = frozenset(operand)
    else:
        value = operand
    return Atom(comparison.attribute, comparison.word, value)
