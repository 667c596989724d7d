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
from dataclasses import dataclass

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join
from cds.rulebook.facts import Value
from cds.rulebook.rule import Word

Choice = tuple[str, frozenset[Value]]
"""An attribute, and what it may be."""


@dataclass(frozen=True, slots=True)
class Need:
    """One fact of a kind that must be there; never more than the pattern asks."""

    kind: str
    choices: frozenset[Choice]
    known: frozenset[str]
    """Attributes of which it is only asked that they are known."""
    unknown: frozenset[str]

    def met_by(self, values: Mapping[str, Value]) -> bool:
        """Whether a fact of the kind is such a one."""
        for attribute, allowed in self.choices:
            if values.get(attribute) not in allowed:
                return False
        return self.known <= values.keys() and self.unknown.isdisjoint(values)


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
    """Of many conjunctions, given by what they need, which ones could match."""

    def __init__(self, gates: Sequence[frozenset[Need]]) -> None:
        count = Counter(need for gate in gates for need in gate)
        numbers = {need: number for number, need in enumerate(count)}
        self._asked = {
            kind: _arranged({n: number for n, number in numbers.items() if n.kind == kind})
            for kind in {need.kind for need in numbers}
        }
        alike: dict[frozenset[Need], list[int]] = {}
        for conjunction, gate in enumerate(gates):
            alike.setdefault(gate, []).append(conjunction)
        # Each gate hangs on its rarest need: it is looked at only when that one is met.
        self._hung: dict[int, list[tuple[frozenset[int], list[int]]]] = {}
        for gate, behind in alike.items():
            needed = frozenset(numbers[need] for need in gate)
            rarest = min(gate, key=lambda need: (count[need], numbers[need]))
            self._hung.setdefault(numbers[rarest], []).append((needed, behind))

    def open(self, scene: Iterable[tuple[str, Mapping[str, Value]]]) -> list[int]:
        """The conjunctions that could match these facts."""
        met: set[int] = set()
        for kind, values in scene:
            for attribute, by_value in self._asked.get(kind, ()):
                for number, need in by_value.get(values.get(attribute), ()):
                    if number not in met and need.met_by(values):
                        met.add(number)
        opened: list[int] = []
        for need_met in met:
            for needed, behind in self._hung.get(need_met, ()):
                if needed <= met:
                    opened += behind
        return opened


_Arranged = list[tuple[str, dict[Value | None, list[tuple[int, Need]]]]]
"""By attribute and by value of it: the needs to look at. No attribute: for every fact."""
_NONE = ""


def _arranged(needs: Mapping[Need, int]) -> _Arranged:
    """Needs of one kind, each under the values of the attribute that fewest others ask for."""
    asking = Counter(
        (attribute, value)
        for need in needs
        for attribute, allowed in need.choices
        for value in allowed
    )
    found: dict[str, dict[Value | None, list[tuple[int, Need]]]] = {}
    for need, number in needs.items():
        attribute, allowed = min(
            need.choices,
            key=lambda choice: (sum(asking[choice[0], value] for value in choice[1]), choice[0]),
            default=(_NONE, frozenset({None})),
        )
        for value in allowed:
            found.setdefault(attribute, {}).setdefault(value, []).append((number, need))
    return list(found.items())
