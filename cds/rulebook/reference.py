"""The second evaluator: plain Python over the same conjunctions, three-valued, able to say why.

A pattern is true for a fact that satisfies every comparison, false for one that fails any, and
unknown when it fails only for attributes the fact lacks. A rule fires for every combination of
different facts that is true; with none, it is undecided if one is unknown, and silent otherwise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

from msgspec import Struct

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import Fact, Value
from cds.rulebook.rule import Word

Match = tuple[int, ...]
"""The facts matched, by number, in the order of the positive patterns."""

_COMPARE: dict[Word, Callable[[Any, Any], bool]] = {
    Word.IS: operator.eq,
    Word.NOT: operator.ne,
    Word.BELOW: operator.lt,
    Word.AT_MOST: operator.le,
    Word.ABOVE: operator.gt,
    Word.AT_LEAST: operator.ge,
    Word.ONE_OF: lambda value, allowed: value in allowed,
    Word.NOT_ONE_OF: lambda value, refused: value not in refused,
}


class Scene:
    """Facts arranged for matching; what one rule found out, the next need not look for again."""

    __slots__ = ("_by_kind", "_seen", "facts")

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts = facts
        self._by_kind: dict[str, list[Numbered]] = {}
        for number, fact in enumerate(facts):
            self._by_kind.setdefault(fact.kind, []).append((number, fact.values))
        self._seen: dict[PatternMatcher, list[Candidate]] = {}

    def candidates(
        self, pattern: PatternMatcher, among: Sequence[Numbered] | None = None
    ) -> list[Candidate]:
        """Facts that a pattern does not rule out, each with the attributes it lacks.

        `among`: those of its kind that could be such facts, where others are known to be none.
        """
        found = self._seen.get(pattern)
        if found is None:
            facts = self._by_kind.get(pattern.kind, ()) if among is None else among
            found = self._seen[pattern] = pattern.candidates(facts)
        return found


class Judged(Struct, frozen=True):
    """What became of one conjunction."""

    matches: tuple[Match, ...] = ()
    missing: frozenset[str] = frozenset()
    """`binding.attribute` that would have decided."""
    blocked: str | None = None
    """The pattern that no fact satisfies, or the fact that must not exist."""


class Matcher:
    """One conjunction prepared for matching."""

    __slots__ = ("_free", "_negative", "positive")

    def __init__(self, conjunction: Conjunction) -> None:
        self.positive = tuple(_prepared(pattern) for pattern in conjunction.positive)
        self._negative = tuple(_prepared(pattern) for pattern in conjunction.negative)
        kinds = {pattern.kind for pattern in self.positive}
        self._free = len(kinds) == len(self.positive) and not any(p.joins for p in self.positive)
        """Whether every combination of candidates is one: none is of two, and none joins others."""

    def judge(self, scene: Scene) -> Judged:
        """Match against facts."""
        candidates = []
        for pattern in self.positive:
            found = scene.candidates(pattern)
            if not found:
                return pattern.absent
            candidates.append(found)
        return self.combine(scene, candidates)

    def combine(self, scene: Scene, candidates: list[list[Candidate]]) -> Judged:
        """Conclude from the candidates of every positive pattern, each at least one."""
        for pattern in self._negative:
            if not pattern.joins and scene.candidates(pattern):
                return pattern.present
        matches, unknown = [], []
        every = product(*candidates) if self._free else self._combinations(candidates, ())
        for chosen in every:
            if any(pattern.exists_with(scene, chosen) for pattern in self._negative):
                continue
            missing = frozenset(word for _, _, lacks in chosen for word in lacks)
            if missing:
                unknown.append(missing)
            else:
                matches.append(tuple(number for number, _, _ in chosen))
        if not matches and not unknown:
            return self._last_join()
        return Judged(tuple(matches), min(unknown, key=_order, default=frozenset()))

    def _combinations(
        self, candidates: list[list[Candidate]], chosen: tuple[Candidate, ...]
    ) -> Iterator[tuple[Candidate, ...]]:
        position = len(chosen)
        if position == len(candidates):
            yield chosen
            return
        joins = self.positive[position].joins
        taken = {number for number, _, _ in chosen}  # two bindings never share one fact
        for candidate in candidates[position]:
            if candidate[0] in taken:
                continue
            if not joins or _joined(candidate[1], joins, chosen):
                yield from self._combinations(candidates, (*chosen, candidate))

    def _last_join(self) -> Judged:
        joined = [pattern.absent for pattern in self.positive if pattern.joins]
        present = [pattern.present for pattern in self._negative if pattern.joins]
        return (joined or present or [self.positive[-1].absent])[-1]


Numbered = tuple[int, Mapping[str, Value]]
"""A fact: its number, and what it says."""
Candidate = tuple[int, Mapping[str, Value], tuple[str, ...]]
"""A fact that a pattern does not rule out: its number, what it says, and what it lacks."""


class PatternMatcher:
    """One pattern with its comparisons turned into functions."""

    __slots__ = (
        "absent",
        "binding",
        "joins",
        "kind",
        "known",
        "present",
        "tests",
    )

    def __init__(self, pattern: FlatPattern) -> None:
        self.kind, self.binding = pattern.kind, pattern.binding or "none"
        self.tests = tuple(
            (atom.attribute, _COMPARE[atom.word], atom.value)
            for atom in pattern.atoms
            if atom.word in _COMPARE
        )
        self.known = tuple(
            (atom.attribute, atom.value) for atom in pattern.atoms if atom.word is Word.KNOWN
        )
        self.joins = tuple(
            (atom.attribute, atom.value.position, atom.value.attribute)
            for atom in pattern.atoms
            if isinstance(atom.value, Join)
        )
        self.absent = Judged(blocked=f"no {pattern}")
        self.present = Judged(blocked=f"there is {pattern}")

    @property
    def asked(self) -> set[str]:
        """The attributes that are compared with a value, or must be known or unknown."""
        return {test[0] for test in self.tests} | {name for name, _ in self.known}

    def candidates(self, facts: Sequence[Numbered]) -> list[Candidate]:
        """The facts that are not ruled out, each with the attributes it lacks."""
        found: list[Candidate] = []
        for number, values in facts:
            lacks: tuple[str, ...] = ()
            for attribute, compare, wanted in self.tests:
                value = values.get(attribute)
                if value is None:
                    lacks = (*lacks, f"{self.binding}.{attribute}")
                elif not compare(value, wanted):
                    break
            else:
                if not self.known or all((name in values) is is_ for name, is_ in self.known):
                    found.append((number, values, lacks))
        return found

    def exists_with(self, scene: Scene, chosen: tuple[Candidate, ...]) -> bool:
        """Whether a fact satisfies this pattern together with the chosen ones."""
        return bool(self.joins) and any(
            _joined(values, self.joins, chosen) for _, values, _ in scene.candidates(self)
        )


def compare_atom(atom: Atom, value: Value | None) -> bool | None:
    """One comparison on one value (not a join); None: it depends on an unknown value."""
    if atom.word is Word.KNOWN:
        return (value is not None) is atom.value
    return None if value is None else _COMPARE[atom.word](value, atom.value)


def _joined(
    values: Mapping[str, Value],
    joins: tuple[tuple[str, int, str], ...],
    chosen: tuple[Candidate, ...],
) -> bool:
    return all(values[name] == chosen[position][1][other] for name, position, other in joins)


def _order(missing: frozenset[str]) -> tuple[int, list[str]]:
    return len(missing), sorted(missing)


@lru_cache(maxsize=20_000)
def _prepared(pattern: FlatPattern) -> PatternMatcher:
    """Rules that share a pattern share its preparation, and so its result in a scene."""
    return PatternMatcher(pattern)
