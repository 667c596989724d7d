"""Into which rulesets conjunctions are dealt, so that few rulesets have to be asked.

A ruleset costs a session whenever one of its conjunctions could match. What could match of a
patient is a tenth of all, and mostly the same tenth of every patient: whether results are alarming,
whether the dose is too high. The rules do not say which tenth that is, so it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

RULESET_SIZE = 48
"""Conjunctions in one ruleset: a smaller one is asked more seldom, a larger one costs less each."""
FIRST_LOOK = 64
"""Evaluations after which it is first looked at what was asked; the next after eight times more."""
LOOK_AGAIN = 8
OFTEN = 16
"""A conjunction is asked often if it could match in one of so many evaluations."""


def alike(gates: Sequence[frozenset[Hashable]]) -> list[list[int]]:
    """Deal conjunctions, given by what they need, so that those with like needs share a ruleset.

    Sorted by their needs, the commonest first, those that open together come to lie together.
    """
    count = Counter(need for gate in gates for need in gate)
    ranks = {need: rank for rank, (need, _) in enumerate(count.most_common())}
    return _cut(sorted(range(len(gates)), key=lambda at: sorted(ranks[need] for need in gates[at])))


class Tally:
    """How often each conjunction could have matched."""

    def __init__(self) -> None:
        self._asked: Counter[int] = Counter()
        self._evaluations, self._next_look = 0, FIRST_LOOK
        self.often: list[list[int]] = []
        """What was asked often when it was last looked at, dealt out."""

    def note(self, asked: Iterable[int]) -> bool:
        """Count what could match in one evaluation; whether `often` has changed by it."""
        self._asked.update(asked)
        self._evaluations += 1
        if self._evaluations < self._next_look:
            return False
        self._next_look *= LOOK_AGAIN
        before = self.often
        ordered = [
            n for n, times in self._asked.most_common() if times * OFTEN >= self._evaluations
        ]
        self.often = _cut(ordered)
        return self.often != before


def _cut(order: Sequence[int]) -> list[list[int]]:
    return [sorted(order[at : at + RULESET_SIZE]) for at in range(0, len(order), RULESET_SIZE)]
