"""Which of many patterns a fact does not rule out, by one look at each of its attributes.

How many patterns compare an attribute does not matter: for every code, and for every stretch
between two limits, it was worked out beforehand which patterns such a value rules out, by asking
their own comparisons. An unknown value rules out only what must be known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from cds.rulebook.facts import Fact, Value
from cds.rulebook.reference import Numbered, PatternMatcher

_OTHER: Any = object()
"""A value that no pattern names."""


class Sieve:
    """Patterns of the reference evaluator, by kind of fact."""

    def __init__(self, patterns: Iterable[PatternMatcher]) -> None:
        of_kind: dict[str, list[PatternMatcher]] = {}
        for pattern in patterns:
            of_kind.setdefault(pattern.kind, []).append(pattern)
        self._kinds = {kind: _Kind(several) for kind, several in of_kind.items()}

    def sift(self, facts: Sequence[Fact]) -> dict[PatternMatcher, list[Numbered]]:
        """The facts that each pattern does not rule out; without one the pattern is not there."""
        found: dict[PatternMatcher, list[Numbered]] = {}
        for number, fact in enumerate(facts):
            kind = self._kinds.get(fact.kind)
            if kind is not None:
                values = fact.values
                left = kind.left_by(values)
                while left:
                    lowest = left & -left
                    pattern = kind.patterns[lowest.bit_length() - 1]
                    found.setdefault(pattern, []).append((number, values))
                    left ^= lowest
        return found


class _Kind:
    """The patterns of one kind; sets of them are bits of an integer."""

    def __init__(self, patterns: Sequence[PatternMatcher]) -> None:
        self.patterns = patterns
        self._all = (1 << len(patterns)) - 1
        asked = Counter(name for pattern in patterns for name in pattern.asked)
        # What most patterns ask about comes first: often nothing is left after it.
        self._columns = [_column(name, patterns) for name, _ in asked.most_common()]

    def left_by(self, values: Mapping[str, Value]) -> int:
        """The patterns that a fact does not rule out."""
        out, everything = 0, self._all
        for attribute, unknown, named, limits, between in self._columns:
            value = values.get(attribute)
            if value is None:
                out |= unknown
            elif value in named:
                out |= named[value]
            else:
                out |= between[bisect_left(limits, value)]
            if out == everything:
                return 0
        return everything ^ out


_Column = tuple[str, int, dict[Any, int], list[Any], list[int]]
"""An attribute and what rules out which patterns: that it is unknown, each value that a pattern
names, and the stretches before, between and after those of them that are numbers."""


def _column(attribute: str, patterns: Sequence[PatternMatcher]) -> _Column:
    tests = [
        (1 << place, compare, wanted)
        for place, pattern in enumerate(patterns)
        for name, compare, wanted in pattern.tests
        if name == attribute
    ]
    known = [
        (1 << place, wanted)
        for place, pattern in enumerate(patterns)
        for name, wanted in pattern.known
        if name == attribute
    ]

    def ruled_out(value: object) -> int:
        out = 0
        for bit, compare, wanted in tests:
            if not compare(value, wanted):
                out |= bit
        for bit, wanted in known:
            if wanted is False:
                out |= bit
        return out

    named: set[Any] = set()
    for _, _, wanted in tests:
        named |= wanted if isinstance(wanted, frozenset) else {wanted}
    limits = sorted(v for v in named if isinstance(v, int | float) and not isinstance(v, bool))
    stretches = [_OTHER]
    if limits:
        inner = [(low + high) / 2 for low, high in pairwise(limits)]
        stretches = [limits[0] - 1, *inner, limits[-1] + 1]
    unknown = sum({bit for bit, wanted in known if wanted is True})
    return (
        attribute, unknown, {value: ruled_out(value) for value in named}, limits,
        [ruled_out(value) for value in stretches],
    )  # fmt: skip
