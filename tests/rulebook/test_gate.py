"""What spares an evaluation work must not change what it finds."""

from __future__ import annotations

import pytest

from cds.rulebook import program
from cds.rulebook.conditions import Atom, Conjunction, FlatPattern, Join, conjunctions
from cds.rulebook.deal import RULESET_SIZE, alike
from cds.rulebook.evaluate import Deck, prepare
from cds.rulebook.facts import catalogue
from cds.rulebook.gate import Gates, Need, needs_of
from cds.rulebook.panel import Panel
from cds.rulebook.program import Program
from cds.rulebook.reference import Matcher, Scene
from cds.rulebook.render import Renderer
from cds.rulebook.rule import Word
from tests.rulebook.build import CML, LOW_LEVEL, RIFAMPICIN, scene
from tests.rulebook.random_rules import Generator


def random_conjunctions(generator: Generator, count: int) -> list[Conjunction]:
    found = [conjunctions(rule, "us", catalogue()) for rule in generator.rules(count)]
    return [conjunction for several in found if several for conjunction in several]


def asking(kind: str, *atoms: Atom) -> Conjunction:
    """A rule with one pattern."""
    return Conjunction((FlatPattern(kind, kind, atoms),), ())


def about(ingredient: str) -> Conjunction:
    """A rule about one medicine in use."""
    in_use = Atom("current", Word.IS, True)
    return asking("medicine", Atom("ingredient", Word.IS, ingredient), in_use)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_matches_has_an_open_gate(seed: int) -> None:
    generator = Generator(3000 + seed)
    asked = random_conjunctions(generator, 60)
    gates = Gates([needs_of(conjunction) for conjunction in asked])
    matchers = [Matcher(conjunction) for conjunction in asked]
    matched = 0
    for _ in range(20):
        facts = generator.scene(20)
        opened = set(gates.open([(fact.kind, fact.values) for fact in facts]))
        firing = {n for n, m in enumerate(matchers) if m.judge(Scene(facts)).matches}
        assert firing <= opened
        matched += len(firing)
    assert matched > 50


@pytest.mark.parametrize("seed", range(8))
def test_judging_together_is_judging_each_alone(seed: int) -> None:
    generator = Generator(4000 + seed)
    found = [conjunctions(rule, "us", catalogue()) for rule in generator.rules(60)]
    rules = [[Matcher(one) for one in several] for several in found if several]
    panel = Panel(rules, lambda rule, absent: (rule, absent))
    assert sorted(panel.rules) == list(range(len(rules)))
    blocked = 0
    for _ in range(10):
        facts = generator.scene(20)
        silences, judged = panel.judge(Scene(facts))
        for rule, silence in zip(panel.rules, silences, strict=True):
            alone = [matcher.judge(Scene(facts)) for matcher in rules[rule]]
            assert [judged[number] for number in panel.alternatives[rule]] == alone
            if silence is not None:
                assert silence == (rule, alone[0])
                assert alone == [alone[0]] * len(alone)
                blocked += 1
    assert blocked > 200


def test_every_conjunction_has_one_place() -> None:
    asked = [needs_of(c) for c in random_conjunctions(Generator(1), 200)]
    dealt = alike(asked)
    assert sorted(number for members in dealt for number in members) == list(range(len(asked)))
    assert max(map(len, dealt)) == RULESET_SIZE


def test_a_gate_opens_for_what_is_there_and_for_nothing_else() -> None:
    above = Atom("daily_mg", Word.ABOVE, 100.0)
    gates = Gates([
        needs_of(about("rifampicin")),
        needs_of(about("ketoconazole")),
        needs_of(asking("medicine", Atom("daily_mg", Word.KNOWN, False))),
        needs_of(asking("medicine", Atom("daily_mg", Word.KNOWN, True))),
        needs_of(asking("medicine", above)),
        needs_of(asking("course", Atom("disease", Word.ONE_OF, frozenset({"cml", "gist"})))),
        needs_of(asking("course", Atom("disease", Word.IS, "gist"))),
        needs_of(asking("course")),
    ])  # fmt: skip
    facts = scene(CML, LOW_LEVEL, {**RIFAMPICIN, "current": True})
    opened = gates.open([(fact.kind, fact.values) for fact in facts])
    assert sorted(opened) == [0, 2, 5, 7]


def test_a_number_opens_the_gate_however_it_compares() -> None:
    limits = (Atom("daily_mg", Word.ABOVE, 100.0), Atom("daily_mg", Word.BELOW, 100.0))
    gates = Gates([needs_of(asking("medicine", limit)) for limit in limits])
    facts = scene({**RIFAMPICIN, "daily_mg": 600})
    opened = gates.open([(fact.kind, fact.values) for fact in facts])
    assert sorted(opened) == [0, 1]


def test_what_one_pattern_asks_one_fact_must_meet() -> None:
    gates = Gates([needs_of(about("rifampicin")), needs_of(about("simvastatin"))])
    stopped = {**RIFAMPICIN, "current": False}
    taken = {**RIFAMPICIN, "ingredient": "simvastatin", "current": True}
    facts = scene(stopped, taken)
    assert gates.open([(fact.kind, fact.values) for fact in facts]) == [1]


def test_every_pattern_needs_its_fact() -> None:
    in_gist = asking("course", Atom("disease", Word.IS, "gist")).positive
    in_cml = asking("course", Atom("disease", Word.IS, "cml")).positive
    gates = Gates([
        needs_of(Conjunction((*about("rifampicin").positive, *disease), ()))
        for disease in (in_gist, in_cml)
    ])  # fmt: skip
    facts = scene(CML, {**RIFAMPICIN, "current": True})
    assert gates.open([(fact.kind, fact.values) for fact in facts]) == [1]


def test_a_join_is_no_need_because_its_value_is_not_known_beforehand() -> None:
    joined = asking("interaction", Atom("ingredient", Word.SAME_AS, Join(0, "x")))
    nothing: frozenset[str] = frozenset()
    assert needs_of(joined) == {Need("interaction", frozenset(), nothing, nothing)}


def test_rules_about_medicines_the_patient_does_not_take_are_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions: list[str] = []
    real = program.engine.assert_facts
    monkeypatch.setattr(
        program.engine, "assert_facts", lambda h, text: sessions.append(text) or real(h, text)
    )
    facts = scene(CML, LOW_LEVEL, {**RIFAMPICIN, "current": True})
    counts = []
    for others in (50, 500):
        sessions.clear()
        asked = [about("rifampicin"), *(about(f"other-{number}") for number in range(others))]
        hits = Program(asked).hits([(fact.kind, fact.values) for fact in facts])
        assert [number for number, _ in hits] == [0]
        counts.append(len(sessions))
    assert counts == [1, 1]


def test_a_gate_wrongly_shut_is_a_disagreement_and_not_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Gates, "open", lambda gates, facts: [])
    generator = Generator(7)
    found = [prepare(rule, "us", catalogue(), {}) for rule in generator.rules(60)]
    deck = Deck([p for p in found if p is not None], [], Renderer(catalogue(), {}), "r")
    verdict = deck.evaluate(generator.scene(20))
    assert not verdict.agreed
    assert str(verdict.disagreement).startswith("reference alone: random.rule-")
