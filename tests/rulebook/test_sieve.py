"""One look at each attribute says of every pattern what comparing it says."""

from __future__ import annotations

import pytest

from cds.rulebook.conditions import Atom, Conjunction, FlatPattern
from cds.rulebook.facts import Fact, Value, catalogue
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.reference import Matcher, PatternMatcher, Scene
from cds.rulebook.rule import Word
from cds.rulebook.sieve import Sieve
from tests.rulebook.random_rules import Generator
from tests.rulebook.test_gate import random_conjunctions

ORDERED = (Word.BELOW, Word.AT_MOST, Word.ABOVE, Word.AT_LEAST, Word.IS, Word.NOT)


def pattern(kind: str, *atoms: Atom) -> PatternMatcher:
    """A pattern as a conjunction has it."""
    return Matcher(Conjunction((FlatPattern(kind, kind, atoms),), ())).positive[0]


def course(**values: Value) -> Fact:
    """A course that says so much."""
    return with_neutral_values(catalogue().kinds["course"], dict(values))


@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_of_random_patterns_is_what_comparing_leaves(seed: int) -> None:
    generator = Generator(5000 + seed)
    matchers = [Matcher(found) for found in random_conjunctions(generator, 60)]
    patterns = list(dict.fromkeys(p for matcher in matchers for p in matcher.positive))
    sieve, left = Sieve(patterns), 0
    for _ in range(20):
        facts = generator.scene(20)
        sifted, scene = sieve.sift(facts), Scene(facts)
        for one in patterns:
            compared = [(number, values) for number, values, _ in scene.candidates(one)]
            assert sifted.get(one, []) == compared
            left += len(compared)
    assert left > 500


@pytest.mark.parametrize("value", [0.0, 299.9999, 300.0, 300.0001, 350.0, 400.0, 400.0001, 1e14])
def test_a_number_is_told_from_a_limit_by_the_least_that_facts_can_tell(value: float) -> None:
    patterns = [
        pattern("course", Atom("daily_mg", word, limit))
        for word in ORDERED
        for limit in (300.0, 400.0)
    ]
    facts = [course(daily_mg=value)]
    sifted = Sieve(patterns).sift(facts)
    assert [one in sifted for one in patterns] == [
        bool(one.candidates([(0, facts[0].values)])) for one in patterns
    ]


def test_what_is_unknown_rules_out_only_what_must_be_known() -> None:
    known = pattern("course", Atom("daily_mg", Word.KNOWN, True))
    unknown = pattern("course", Atom("daily_mg", Word.KNOWN, False))
    low = pattern("course", Atom("daily_mg", Word.BELOW, 300.0))
    sieve = Sieve([known, unknown, low])
    assert set(sieve.sift([course()])) == {unknown, low}
    assert set(sieve.sift([course(daily_mg=400)])) == {known}


def test_a_code_that_no_pattern_names_is_none_of_those_named() -> None:
    named = pattern("course", Atom("disease", Word.ONE_OF, frozenset({"cml", "gist"})))
    other = pattern("course", Atom("disease", Word.NOT_ONE_OF, frozenset({"cml", "gist"})))
    sieve = Sieve([named, other])
    assert set(sieve.sift([course(disease="hes")])) == {other}
    assert set(sieve.sift([course(disease="gist")])) == {named}
