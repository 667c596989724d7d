"""Where a conjunction stands spares sessions and changes no match."""

from __future__ import annotations

import pytest

from cds.rulebook import Fact, catalogue, deal, program
from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, conjunctions
from cds.rulebook.deal import FIRST_LOOK, LOOK_AGAIN, OFTEN, RULESET_SIZE, Tally
from cds.rulebook.program import Program
from cds.rulebook.reference import Matcher, Scene
from cds.rulebook.rule import Word
from tests.rulebook.build import RIFAMPICIN, scene
from tests.rulebook.random_rules import Generator


def told(facts: list[Fact]) -> list[tuple[str, dict[str, bool | int | float | str]]]:
    return [(fact.kind, dict(fact.values)) for fact in facts]


def about(ingredient: str) -> Conjunction:
    atoms = (Atom("ingredient", Word.IS, ingredient),)
    return Conjunction((FlatPattern("medicine", "medicine", atoms),), ())


@pytest.mark.parametrize("seed", range(4))
def test_dealing_anew_changes_no_match(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deal, "FIRST_LOOK", 4)
    generator = Generator(5000 + seed)
    found = [conjunctions(rule, "us", catalogue()) for rule in generator.rules(80)]
    asked = [conjunction for several in found if several for conjunction in several]
    compiled, matchers = Program(asked), [Matcher(conjunction) for conjunction in asked]
    matched = 0
    for _ in range(4 * LOOK_AGAIN + 4):  # two looks
        facts = generator.scene(20)
        expected = {
            (number, match)
            for number, matcher in enumerate(matchers)
            for match in matcher.judge(Scene(facts)).matches
        }
        assert compiled.hits(told(facts)) == expected
        matched += len(expected)
    assert matched > 100


def test_what_is_asked_of_every_patient_comes_to_stand_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions: list[str] = []
    real = program.engine.assert_facts
    monkeypatch.setattr(
        program.engine, "assert_facts", lambda h, text: sessions.append(text) or real(h, text)
    )
    names = sorted(f"medicine-{number:03}" for number in range(5 * RULESET_SIZE))
    compiled = Program([about(name) for name in names])
    facts = told(scene(*({**RIFAMPICIN, "ingredient": name} for name in names[::RULESET_SIZE])))
    first = compiled.hits(facts)
    assert (len(first), len(sessions)) == (5, 5)
    for _ in range(FIRST_LOOK):
        sessions.clear()
        assert compiled.hits(facts) == first
    assert len(sessions) == 1


def test_what_is_asked_seldom_stays_where_it_was() -> None:
    tally = Tally()
    seldom = FIRST_LOOK // OFTEN - 1
    for number in range(FIRST_LOOK - 1):
        assert not tally.note([7, 8] if number < seldom else [7])
    assert tally.note([7])
    assert tally.often == [[7]]


def test_it_is_looked_again_and_nothing_is_compiled_for_what_has_not_changed() -> None:
    tally = Tally()
    changed = [at for at in range(FIRST_LOOK * LOOK_AGAIN) if tally.note([1])]
    assert changed == [FIRST_LOOK - 1]
    changed = [at for at in range(FIRST_LOOK * LOOK_AGAIN**2) if tally.note([1, 2])]
    assert len(changed) == 1
    assert tally.often == [[1, 2]]
