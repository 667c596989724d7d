"""Containment and contradiction of conditions, against brute force."""

from __future__ import annotations

import random

import pytest

from cds.rulebook.conditions import Atom, FlatPattern
from cds.rulebook.limits import limits_of, narrower
from cds.rulebook.reference import compare_atom
from cds.rulebook.rule import Word

NUMBER_WORDS = (
    Word.BELOW, Word.AT_MOST, Word.ABOVE, Word.AT_LEAST, Word.IS, Word.NOT, Word.KNOWN,
)  # fmt: skip
NUMBERS = (1.0, 2.0, 3.0)
PROBES = (None, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
CODES = ("us", "eu")


def number_pattern(source: random.Random) -> FlatPattern:
    atoms = []
    for _ in range(source.randint(0, 3)):
        word = source.choice(NUMBER_WORDS)
        value = source.random() < 0.5 if word is Word.KNOWN else source.choice(NUMBERS)
        atoms.append(Atom("age_days", word, value))
    return FlatPattern("level", "level", tuple(atoms))


def holds(pattern: FlatPattern, value: float | None) -> bool:
    return all(compare_atom(atom, value) is True for atom in pattern.atoms)


@pytest.mark.parametrize("seed", range(4))
def test_narrower_and_empty_agree_with_trying_every_value(seed: int) -> None:
    source, contained = random.Random(seed), 0
    for _ in range(2000):
        inner, outer = number_pattern(source), number_pattern(source)
        truth = all(holds(outer, value) for value in PROBES if holds(inner, value))
        if narrower(inner, outer):
            contained += 1
            assert truth, f"{inner} is not inside {outer}"
        empty = any(limits.empty for limits in limits_of(inner).values())
        if empty:
            assert not any(holds(inner, value) for value in PROBES), str(inner)
    assert contained > 200


@pytest.mark.parametrize(
    ("atoms", "empty"),
    [
        ([(Word.BELOW, 1.0), (Word.ABOVE, 1.0)], True),
        ([(Word.AT_MOST, 1.0), (Word.AT_LEAST, 1.0)], False),
        ([(Word.AT_MOST, 1.0), (Word.AT_LEAST, 1.0), (Word.NOT, 1.0)], True),
        ([(Word.KNOWN, False), (Word.BELOW, 1.0)], True),
        ([(Word.KNOWN, False)], False),
        ([(Word.KNOWN, False), (Word.KNOWN, True)], True),
    ],
)
def test_conditions_that_contradict_each_other_are_recognised(
    atoms: list[tuple[Word, float | bool]], empty: bool
) -> None:
    pattern = FlatPattern("x", "level", tuple(Atom("age_days", *atom) for atom in atoms))
    assert limits_of(pattern)["age_days"].empty is empty


def test_a_code_outside_its_closed_set_leaves_nothing() -> None:
    atoms = (
        Atom("jurisdiction", Word.NOT, "us"),
        Atom("jurisdiction", Word.NOT_ONE_OF, frozenset({"eu"})),
    )
    assert limits_of(FlatPattern("x", "setting", atoms))["jurisdiction"].empty
