"""Which conjunctions could match at all: an index from what is there to what asks for it.

A conjunction needs facts of certain kinds, and of most of them a certain code or flag: a medicine
that is rifampicin, a course for CML. Where one of these needs is not met, no fact can satisfy the
conjunction, and durable-rules need not be asked. The index is read from the facts, so its cost
follows what the patient has, not how many rules there are about other things.

The gate stands before durable-rules alone. The reference evaluator does not know it and judges
every rule, so that a gate wrongly shut is seen as a disagreement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cds.rulebook.conditions import Atom, Conjunction, Join
from cds.rulebook.facts import Value
from cds.rulebook.rule import Word

Need = tuple[str, Atom | None]
"""A fact of the kind that satisfies the comparison (None: any fact of the kind)."""
_PLAIN = (Word.IS, Word.ONE_OF, Word.KNOWN)


def needs_of(conjunction: Conjunction) -> frozenset[Need]:
    """What must be there before the conjunction could match; never more than it asks."""
    needs: set[Need] = set()
    for pattern in conjunction.positive:
        needs.add((pattern.kind, None))
        needs.update((pattern.kind, atom) for atom in pattern.atoms if atom.word in _PLAIN)
    return frozenset(needs)


def shards(needs: Sequence[frozenset[int]], size: int) -> list[list[int]]:
    """Deal conjunctions out so that those with like needs, given by number, share a shard.

    Sorted by their needs, the commonest first, those that open together come to lie together.
    """
    count = Counter(need for gate in needs for need in gate)
    ranks = {need: rank for rank, (need, _) in enumerate(count.most_common())}
    order = sorted(range(len(needs)), key=lambda at: sorted(ranks[need] for need in needs[at]))
    return [order[start : start + size] for start in range(0, len(order), size)]


class Numbering:
    """A number for each need; counting and comparing numbers is quick."""

    def __init__(self) -> None:
        self.numbers: dict[Need, int] = {}

    def of(self, needs: Iterable[Need]) -> frozenset[int]:
        """The numbers of some needs."""
        numbers = self.numbers
        return frozenset(numbers.setdefault(need, len(numbers)) for need in needs)


@dataclass(slots=True)
class _Asked:
    """The needs about one kind of fact, by number."""

    by_value: dict[str, dict[Value | None, tuple[int, ...]]] = field(default_factory=dict)
    """By attribute and value; None: the attribute is not known."""
    known: dict[str, int] = field(default_factory=dict)
    kind: tuple[int, ...] = ()
    """The need of any such fact."""

    def add(self, atom: Atom, number: int) -> None:
        if atom.word is Word.KNOWN and atom.value:
            self.known[atom.attribute] = number
            return
        numbers = self.by_value.setdefault(atom.attribute, {})
        for value in _values(atom):
            numbers[value] = (*numbers.get(value, ()), number)


def _values(atom: Atom) -> Iterable[Value | None]:
    """What the attribute must be; None: unknown."""
    if atom.word is Word.KNOWN:
        return (None,)
    if isinstance(atom.value, frozenset):
        return atom.value
    if isinstance(atom.value, Join):
        raise TypeError(f"{atom}: `is` takes no join")
    return (atom.value,)


class Gates:
    """Of several groups of conjunctions, which one could match."""

    def __init__(
        self, groups: Sequence[Iterable[frozenset[int]]], needs: Mapping[Need, int]
    ) -> None:
        gates = {(gate, group) for group, members in enumerate(groups) for gate in members}
        self._asked: dict[str, _Asked] = {}
        for (kind, atom), number in needs.items():
            asked = self._asked.setdefault(kind, _Asked())
            if atom is None:
                asked.kind = (number,)
            else:
                asked.add(atom, number)
        # Each gate hangs on its rarest need: it is looked at only when that one is met.
        count = Counter(need for gate, _ in gates for need in gate)
        self._hung: dict[int, list[tuple[frozenset[int], int]]] = {}
        for gate, group in gates:
            rarest = min(gate, key=lambda need: (count[need], need))
            self._hung.setdefault(rarest, []).append((gate, group))

    def open(self, scene: Sequence[tuple[str, Mapping[str, Value]]]) -> list[int]:
        """The groups of which a conjunction could match these facts, in order."""
        met: set[int] = set()
        for kind, values in scene:
            asked = self._asked.get(kind)
            if asked is None:
                continue
            met.update(asked.kind)
            for attribute, numbers in asked.by_value.items():
                found = numbers.get(values.get(attribute))
                if found is not None:
                    met.update(found)
            for attribute, number in asked.known.items():
                if attribute in values:
                    met.add(number)
        opened: set[int] = set()
        for need in met:
            for needed, group in self._hung.get(need, ()):
                if group not in opened and needed <= met:
                    opened.add(group)
        return sorted(opened)
