"""The second evaluator: plain Python over the same conjunctions, three-valued, able to say why.

A pattern is true for a fact that satisfies every comparison, false for one that fails any, and
unknown when it fails only for attributes the fact lacks. A rule fires for every combination of
different facts that is true; with none, it is undecided if one is unknown, and silent otherwise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import Fact, Value, catalogue
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

    __slots__ = ("_by_code", "_by_kind", "seen")

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._by_kind: dict[str, list[_Numbered]] = {}
        for number, fact in enumerate(facts):
            self._by_kind.setdefault(fact.kind, []).append((number, fact.values))
        self._by_code: dict[tuple[str, str], dict[Value, list[_Numbered]]] = {}
        self.seen: dict[_Prepared, list[_Candidate]] = {}
        """The candidates of patterns that were asked about."""

    def candidates(self, pattern: _Prepared) -> list[_Candidate]:
        """Facts that a pattern does not rule out, each with the attributes it lacks."""
        found = self.seen.get(pattern)
        if found is None:
            facts: Sequence[_Numbered] = self._by_kind.get(pattern.kind, ())
            if pattern.key is not None and len(facts) > 1:
                facts = self._with_code(pattern.kind, *pattern.key)
            found = self.seen[pattern] = pattern.candidates(facts) if facts else []
        return found

    def _with_code(self, kind: str, attribute: str, code: str) -> Sequence[_Numbered]:
        """The facts of a kind in which an attribute that is always known has this code."""
        arranged = self._by_code.get((kind, attribute))
        if arranged is None:
            arranged = self._by_code[kind, attribute] = {}
            for numbered in self._by_kind.get(kind, ()):
                arranged.setdefault(numbered[1][attribute], []).append(numbered)
        return arranged.get(code, ())


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one conjunction."""

    matches: tuple[Match, ...] = ()
    missing: frozenset[str] = frozenset()
    """`binding.attribute` that would have decided."""
    blocked: str | None = None
    """The pattern that no fact satisfies, or the fact that must not exist."""


class Matcher:
    """One conjunction prepared for matching."""

    __slots__ = ("_negative", "positive")

    def __init__(self, conjunction: Conjunction) -> None:
        self.positive = tuple(_prepared(pattern) for pattern in conjunction.positive)
        self._negative = tuple(_prepared(pattern) for pattern in conjunction.negative)

    def judge(self, scene: Scene) -> Judged:
        """Match against facts."""
        candidates = []
        for pattern in self.positive:
            found = scene.candidates(pattern)
            if not found:
                return pattern.absent
            candidates.append(found)
        return self.combine(scene, candidates)

    def combine(self, scene: Scene, candidates: list[list[_Candidate]]) -> Judged:
        """Conclude from the candidates of every positive pattern, each at least one."""
        for pattern in self._negative:
            if not pattern.joins and scene.candidates(pattern):
                return pattern.present
        matches, unknown = [], []
        for chosen in self._combinations(candidates, ()):
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
        self, candidates: list[list[_Candidate]], chosen: tuple[_Candidate, ...]
    ) -> Iterator[tuple[_Candidate, ...]]:
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


class Panel:
    """Many conjunctions judged together; those that begin alike are judged alike, once.

    A tree: each step is a pattern, and everything below a pattern that no fact satisfies is
    blocked by it. Every conjunction gets the very judgement that its matcher would give alone.
    """

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._count, self._root = len(matchers), _Step()
        for number, matcher in enumerate(matchers):
            step = self._root
            for pattern in matcher.positive:
                step = step.then.setdefault(pattern, _Step())
                step.below.append(number)
            step.ends.append((number, matcher))

    def judge(self, scene: Scene) -> list[Judged]:
        """The judgement of each conjunction, in order."""
        judged = [_NOTHING] * self._count
        self._walk(self._root, scene, [], judged)
        return judged

    def _walk(
        self, step: _Step, scene: Scene, chosen: list[list[_Candidate]], judged: list[Judged]
    ) -> None:
        for number, matcher in step.ends:
            judged[number] = matcher.combine(scene, chosen)
        seen = scene.seen
        for pattern, following in step.then.items():
            candidates = seen.get(pattern)
            if candidates is None:
                candidates = scene.candidates(pattern)
            if candidates:
                self._walk(following, scene, [*chosen, candidates], judged)
                continue
            absent = pattern.absent
            for number in following.below:
                judged[number] = absent


class _Step:
    """One place in the tree: where to go on, and the conjunctions below and ending here."""

    __slots__ = ("below", "ends", "then")

    def __init__(self) -> None:
        self.then: dict[_Prepared, _Step] = {}
        self.below: list[int] = []
        self.ends: list[tuple[int, Matcher]] = []


_NOTHING = Judged()
_Numbered = tuple[int, Mapping[str, Value]]
_Candidate = tuple[int, Mapping[str, Value], tuple[str, ...]]


class _Prepared:
    """One pattern with its comparisons turned into functions."""

    __slots__ = (
        "absent",
        "binding",
        "joins",
        "key",
        "kind",
        "known",
        "present",
        "same",
        "tests",
    )

    def __init__(self, pattern: FlatPattern) -> None:
        self.kind, self.binding = pattern.kind, pattern.binding or "none"
        self.same = tuple(
            (atom.attribute, atom.value) for atom in pattern.atoms if atom.word is Word.IS
        )
        self.tests = tuple(
            (atom.attribute, _COMPARE[atom.word], atom.value)
            for atom in pattern.atoms
            if atom.word in _COMPARE and atom.word is not Word.IS
        )
        self.known = tuple(
            (atom.attribute, atom.value) for atom in pattern.atoms if atom.word is Word.KNOWN
        )
        self.joins = tuple(
            (atom.attribute, atom.value.position, atom.value.attribute)
            for atom in pattern.atoms
            if isinstance(atom.value, Join)
        )
        self.key = next((key for atom in pattern.atoms if (key := _key(pattern, atom))), None)
        self.absent = Judged(blocked=f"no {pattern}")
        self.present = Judged(blocked=f"there is {pattern}")

    def candidates(self, facts: Sequence[_Numbered]) -> list[_Candidate]:
        """The facts that are not ruled out, each with the attributes it lacks."""
        found: list[_Candidate] = []
        for number, values in facts:
            lacks: tuple[str, ...] = ()
            for attribute, wanted in self.same:
                value = values.get(attribute)
                if value != wanted:
                    if value is not None:
                        break
                    lacks = (*lacks, f"{self.binding}.{attribute}")
            else:
                for attribute, compare, limit in self.tests:
                    value = values.get(attribute)
                    if value is None:
                        lacks = (*lacks, f"{self.binding}.{attribute}")
                    elif not compare(value, limit):
                        break
                else:
                    if not self.known or all((name in values) is is_ for name, is_ in self.known):
                        found.append((number, values, lacks))
        return found

    def exists_with(self, scene: Scene, chosen: tuple[_Candidate, ...]) -> bool:
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
    chosen: tuple[_Candidate, ...],
) -> bool:
    return all(values[name] == chosen[position][1][other] for name, position, other in joins)


def _order(missing: frozenset[str]) -> tuple[int, list[str]]:
    return len(missing), sorted(missing)


@lru_cache(maxsize=20_000)
def _prepared(pattern: FlatPattern) -> _Prepared:
    """Rules that share a pattern share its preparation, and so its result in a scene."""
    return _Prepared(pattern)


def _key(pattern: FlatPattern, atom: Atom) -> tuple[str, str] | None:
    """The attribute and code by which facts of the kind can be looked up."""
    always = catalogue().attribute(pattern.kind, atom.attribute).always
    if atom.word is Word.IS and isinstance(atom.value, str) and always:
        return atom.attribute, atom.value
    return None
