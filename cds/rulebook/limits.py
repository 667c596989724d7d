"""Which values a pattern allows, so that rules can be compared: contained, contradictory, equal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import Attribute, AttributeType, Value, catalogue
from cds.rulebook.rule import Word

_PLACED = 6
"""Patterns of a wider rule up to which containment is looked for; there are n! ways to place n."""


class Limits(Struct, frozen=True):
    """The values one attribute may have: an interval, or a set, or what is left of one."""

    low: float = -math.inf
    low_open: bool = False
    high: float = math.inf
    high_open: bool = False
    allowed: frozenset[Value] | None = None
    refused: frozenset[Value] = frozenset()
    known: bool = False
    """It must be known: asked for, or needed by a comparison."""
    unknown: bool = False
    """It must be unknown."""

    @property
    def empty(self) -> bool:
        """Whether no fact can satisfy this."""
        if self.unknown:
            return self.known
        if self.allowed is not None:
            return not any(self._holds(value) for value in self.allowed)
        if self.low == self.high:
            return self.low_open or self.high_open or self.low in self.refused
        return self.low > self.high

    def within(self, other: Limits) -> bool:
        """Whether every value allowed here is allowed there."""
        if other.unknown or self.unknown:
            return self.unknown and not other.known
        if other.known and not self.known:
            return False
        if self.allowed is not None:
            return all(other._holds(v) for v in self.allowed if self._holds(v))
        return (
            other.allowed is None
            and (self.low, self.low_open) >= (other.low, other.low_open)
            and (-self.high, self.high_open) >= (-other.high, other.high_open)
            and all(not self._holds(value) for value in other.refused)
        )

    def _holds(self, value: Value) -> bool:
        if value in self.refused or (self.allowed is not None and value not in self.allowed):
            return False
        if isinstance(value, bool | str):
            return True
        above = value > self.low or (value == self.low and not self.low_open)
        return above and (value < self.high or (value == self.high and not self.high_open))

    def meet(self, atom: Atom) -> Limits:
        """These limits and one comparison more."""
        value = atom.value
        if atom.word is Word.KNOWN:
            return replace(self, known=True) if value else replace(self, unknown=True)
        both = replace(self, known=True)
        if isinstance(value, frozenset):
            if atom.word is Word.NOT_ONE_OF:
                return replace(both, refused=both.refused | value)
            kept = frozenset(value) if both.allowed is None else both.allowed & value
            return replace(both, allowed=kept)
        if isinstance(value, Join):
            return both
        if atom.word is Word.NOT:
            return replace(both, refused=both.refused | {value})
        if isinstance(value, bool | str):
            only = frozenset({value})
            return replace(both, allowed=only if both.allowed is None else both.allowed & only)
        return both._meet_number(atom.word, float(value))

    def _meet_number(self, word: Word, value: float) -> Limits:
        low, high = (self.low, self.low_open), (self.high, self.high_open)
        if word in (Word.ABOVE, Word.AT_LEAST, Word.IS):
            low = max(low, (value, word is Word.ABOVE))
        if word in (Word.BELOW, Word.AT_MOST, Word.IS):
            high = min(high, (value, word is Word.BELOW), key=lambda end: (end[0], not end[1]))
        return replace(self, low=low[0], low_open=low[1], high=high[0], high_open=high[1])


@lru_cache(maxsize=20_000)
def limits_of(pattern: FlatPattern) -> Mapping[str, Limits]:
    """The limits on every attribute that a pattern compares."""
    found: dict[str, Limits] = {}
    for atom in pattern.atoms:
        attribute = catalogue().attribute(pattern.kind, atom.attribute)
        found[atom.attribute] = found.get(atom.attribute, _domain(attribute)).meet(atom)
    return found


def _domain(attribute: Attribute) -> Limits:
    if attribute.type is AttributeType.BOOLEAN:
        return Limits(allowed=frozenset({True, False}))
    if attribute.values:
        return Limits(allowed=frozenset(attribute.values))
    return Limits()


def impossible(conjunction: Conjunction) -> str | None:
    """Why no facts can satisfy a conjunction, or None."""
    single: set[str] = set()
    for pattern in conjunction.positive:
        for name, limits in limits_of(pattern).items():
            if limits.empty:
                return f"{pattern.kind}.{name} can never be all of this"
        if catalogue().kinds[pattern.kind].one:
            if pattern.kind in single:
                return f"two patterns over {pattern.kind}, of which there is one"
            single.add(pattern.kind)
    for refused in conjunction.negative:
        if any(isinstance(atom.value, Join) for atom in refused.atoms):
            continue
        for pattern in conjunction.positive:
            if narrower(pattern, refused):
                return f"it wants {pattern}, and refuses {refused}"
    return None


def narrower(inner: FlatPattern, outer: FlatPattern) -> bool:
    """Whether every fact that satisfies `inner` satisfies `outer` (joins left aside)."""
    if inner.kind != outer.kind:
        return False
    have = limits_of(inner)
    for name, wanted in limits_of(outer).items():
        attribute = catalogue().attribute(inner.kind, name)
        own = have.get(name, _domain(attribute))
        if attribute.always:
            own = replace(own, known=True)
        if not own.within(wanted):
            return False
    return True


def contained(inner: Conjunction, outer: Conjunction) -> bool:
    """Whether `outer` holds whenever `inner` does, whatever the facts are called."""
    return any(
        all(
            any(_refuses_more(mine, theirs, place) for mine in inner.negative)
            for theirs in outer.negative
        )
        for place in _placements(inner, outer)
    )


def _placements(inner: Conjunction, outer: Conjunction) -> Iterator[tuple[int, ...]]:
    """Ways to find each pattern of `outer` in `inner`: its position there, for each of outer's."""
    wanted = len(outer.positive)
    kinds = {pattern.kind for pattern in inner.positive}
    if wanted > min(len(inner.positive), _PLACED) or any(
        pattern.kind not in kinds for pattern in outer.positive
    ):
        return
    spots: list[list[int]] = []
    for pattern in outer.positive:
        found = [at for at, mine in enumerate(inner.positive) if narrower(mine, pattern)]
        if not found:
            return
        spots.append(found)
    for place in product(*spots):
        if len(set(place)) == wanted and all(
            _same_joins(inner.positive[spot], pattern, place)
            for pattern, spot in zip(outer.positive, place, strict=True)
        ):
            yield place


def _same_joins(inner: FlatPattern, outer: FlatPattern, place: tuple[int, ...]) -> bool:
    """Whether every join of `outer` stands in `inner`, positions translated."""
    return _joins(outer, place) <= _joins(inner, None)


def _joins(pattern: FlatPattern, place: tuple[int, ...] | None) -> frozenset[tuple[str, int, str]]:
    return frozenset(
        (
            atom.attribute,
            atom.value.position if place is None else place[atom.value.position],
            atom.value.attribute,
        )
        for atom in pattern.atoms
        if isinstance(atom.value, Join)
    )


def _refuses_more(mine: FlatPattern, theirs: FlatPattern, place: tuple[int, ...]) -> bool:
    """Whether refusing `mine` refuses `theirs` too."""
    return narrower(theirs, mine) and _joins(mine, None) <= _joins(theirs, place)
