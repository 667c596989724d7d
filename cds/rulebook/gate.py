"""Which conjunctions could match at all: an index from what is there to what asks for it.

Each pattern of a conjunction needs one fact of its kind with certain codes and flags, in which all
that it compares is known: a medicine that is rifampicin, a haemoglobin with a value. Where such a
fact is wanting, nothing can satisfy the conjunction, and durable-rules need not be asked. How a
number compares is no need: that is judged by the evaluators alone. The index is read from the
facts, so its cost follows what the patient has, not how many rules there are about other things.

The gate stands before durable-rules alone. The reference evaluator does not know it and judges
every rule, so that a gate wrongly shut is seen as a disagreement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import Value
from cds.rulebook.rule import Word

Choice = tuple[str, frozenset[Value]]
"""An attribute, and what it may be."""


class Need(Struct, frozen=True):
    """One fact of a kind that must be there; never more than the pattern asks."""

    kind: str
    choices: frozenset[Choice]
    known: frozenset[str]
    """Attributes of which it is only asked that they are known."""
    unknown: frozenset[str]

    @property
    def attributes(self) -> frozenset[str]:
        """All that it asks about."""
        return frozenset({name for name, _ in self.choices} | self.known | self.unknown)


def need_of(pattern: FlatPattern) -> Need:
    """What a pattern needs."""
    unknown = {a.attribute for a in pattern.atoms if a.word is Word.KNOWN and a.value is False}
    compared = {a.attribute for a in pattern.atoms if not isinstance(a.value, Join)}
    choices = {
        (a.attribute, _allowed(a)) for a in pattern.atoms if a.word in (Word.IS, Word.ONE_OF)
    }
    known = compared - unknown - {attribute for attribute, _ in choices}
    return Need(pattern.kind, frozenset(choices), frozenset(known), frozenset(unknown))


def needs_of(conjunction: Conjunction) -> frozenset[Need]:
    """What must be there before the conjunction could match."""
    return frozenset(need_of(pattern) for pattern in conjunction.positive)


def _allowed(atom: Atom) -> frozenset[Value]:
    if isinstance(atom.value, Join):
        raise TypeError(f"{atom}: `is` takes no join")
    return atom.value if isinstance(atom.value, frozenset) else frozenset({atom.value})


class Gates:
    """Of many conjunctions, given by what they need, which ones could match.

    Sets of needs are bits of integers. Each attribute of a fact is looked at once: its value tells
    which needs of the kind the fact does not meet.
    """

    def __init__(self, gates: Sequence[frozenset[Need]]) -> None:
        count = Counter(need for gate in gates for need in gate)
        bits = {need: 1 << number for number, need in enumerate(count)}
        self._kinds = {
            kind: _arranged({need: bit for need, bit in bits.items() if need.kind == kind})
            for kind in dict.fromkeys(need.kind for need in bits)
        }
        alike: dict[frozenset[Need], list[int]] = {}
        for conjunction, gate in enumerate(gates):
            alike.setdefault(gate, []).append(conjunction)
        # Each gate hangs on its rarest need: it is looked at only when that one is met.
        self._hung: dict[int, list[tuple[int, list[int]]]] = {}
        for gate, behind in alike.items():
            needed = sum(bits[need] for need in gate)
            rarest = min(gate, key=lambda need: (count[need], bits[need]))
            self._hung.setdefault(bits[rarest], []).append((needed, behind))

    def open(self, scene: Iterable[tuple[str, Mapping[str, Value]]]) -> list[int]:
        """The conjunctions that could match these facts."""
        met = 0
        for kind, values in scene:
            if kind in self._kinds:
                met |= _met(*self._kinds[kind], values)
        opened: list[int] = []
        left = met
        while left:
            lowest = left & -left
            for needed, behind in self._hung.get(lowest, ()):
                if needed & met == needed:
                    opened += behind
            left ^= lowest
        return opened


_Column = tuple[str, int, dict[Value, int], int]
"""An attribute, and which needs a fact fails in which it is unknown, this, or anything else."""


def _met(needs: int, columns: Sequence[_Column], values: Mapping[str, Value]) -> int:
    """The needs of its kind that a fact meets."""
    failed = 0
    for attribute, unknown, named, other in columns:
        value = values.get(attribute)
        failed |= unknown if value is None else named.get(value, other)
        if failed == needs:
            return 0
    return needs ^ failed


def _arranged(bits: Mapping[Need, int]) -> tuple[int, list[_Column]]:
    """All needs of one kind, and what each attribute says about them, the most telling first."""
    asking = Counter(name for need in bits for name in need.attributes)
    return sum(bits.values()), [_column(name, bits) for name, _ in asking.most_common()]


def _column(attribute: str, bits: Mapping[Need, int]) -> _Column:
    chosen = [(allowed, bit) for need, bit in bits.items() for name, allowed in need.choices
              if name == attribute]  # fmt: skip
    known = sum(bit for need, bit in bits.items() if attribute in need.known)
    absent = sum(bit for need, bit in bits.items() if attribute in need.unknown)

    def failed(value: Value | None) -> int:
        out = 0
        for allowed, bit in chosen:
            if value not in allowed:
                out |= bit
        return out

    values = {value for allowed, _ in chosen for value in allowed}
    return (
        attribute, known | failed(None), {value: absent | failed(value) for value in values},
        absent | failed(None),
    )  # fmt: skip
