"""The fence around durable-rules: what is sent, across threads, processes and shards."""

from __future__ import annotations

import multiprocessing
import threading

import pytest

from cds.rulebook import Fact, Rulebook, catalogue
from cds.rulebook.conditions import Atom, Conjunction, FlatPattern
from cds.rulebook.program import EngineError, Program
from cds.rulebook.rule import Word
from cds.rulebook.translate import MAX_PATTERNS_OF_A_NAME, Scene, Translation
from tests.rulebook.build import CML, LOW_LEVEL, RIFAMPICIN, SETTING, rulebook, scene


def conjunctions(book: Rulebook) -> list[Conjunction]:
    found = [book.prepared(rule, "us") for rule in book.rules]
    return [c for prepared in found if prepared is not None for c in prepared.conjunctions]


def sent(*facts: Fact) -> list[dict[str, object]]:
    translation = Translation(dict(enumerate(conjunctions(rulebook()))), catalogue())
    arranged = Scene([(fact.kind, fact.values) for fact in facts], catalogue())
    return translation.send(arranged).messages


def test_no_text_of_the_record_reaches_durable_rules() -> None:
    secret = {**RIFAMPICIN, "name": "Anna Muster", "reference": "MedicationRequest/77"}
    messages = str(sent(*scene(CML, LOW_LEVEL, secret)))
    assert "rifampicin" in messages
    for text in ("Anna", "77", "Observation/1", "720 ng/mL"):
        assert text not in messages


def test_only_attributes_that_a_rule_compares_are_sent() -> None:
    (level,) = [m for m in sent(*scene(CML, LOW_LEVEL)) if str(m["kind"]).startswith("level")]
    assert set(level) == {"kind", "trough_ng_ml", "age_days", "flag0"}


def test_negated_facts_are_sent_before_all_others() -> None:
    kinds = [str(m["kind"]).partition(" ")[0] for m in sent(*scene(CML, LOW_LEVEL, RIFAMPICIN))]
    assert kinds[0] == "not"
    assert kinds.count("not") == 1


def test_a_fact_that_no_pattern_names_is_not_sent() -> None:
    other = {**RIFAMPICIN, "ingredient": "simvastatin"}
    kinds = [str(message["kind"]) for message in sent(*scene(CML, other))]
    assert not any(kind.startswith("not medicine") for kind in kinds)


def test_patterns_over_one_kind_are_dealt_out_before_durable_rules_stacks_too_many() -> None:
    patterns = [
        FlatPattern("level", "level", (Atom("age_days", Word.AT_MOST, float(days)),))
        for days in range(500)
    ]
    program = Program([Conjunction((pattern,), ()) for pattern in patterns])
    level = [fact for fact in scene(LOW_LEVEL) if fact.kind == "level"]
    hits = program.hits([(fact.kind, fact.values) for fact in level])
    assert len(hits) == 498  # the level is two days old
    assert MAX_PATTERNS_OF_A_NAME < 64


def test_conditions_on_single_facts_beyond_one_pattern_still_hold_together() -> None:
    single = [kind for kind in catalogue() if kind.one]
    positive = tuple(
        FlatPattern(
            kind.name,
            kind.name,
            tuple(Atom(a.name, Word.KNOWN, a.always) for a in list(kind.attributes.values())[:12]),
        )
        for kind in single
    )
    assert sum(len(pattern.atoms) for pattern in positive) > 48
    program = Program([Conjunction(positive, ())])
    facts = scene()
    ((number, matched),) = program.hits([(fact.kind, fact.values) for fact in facts])
    assert number == 0
    assert [facts[at].kind for at in matched] == [kind.name for kind in single]


def test_threads_share_one_program() -> None:
    book, facts = rulebook(), scene(CML, LOW_LEVEL)
    expected = book.evaluate(facts, SETTING)
    wrong: list[object] = []

    def work() -> None:
        verdicts = [book.evaluate(facts, SETTING) for _ in range(50)]
        wrong.extend(verdict for verdict in verdicts if verdict != expected)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def _answer(book: Rulebook, pipe: multiprocessing.connection.Connection) -> None:
    pipe.send(book.evaluate(scene(CML, LOW_LEVEL), SETTING).findings)
    pipe.close()


def test_a_forked_process_compiles_its_own_program() -> None:
    book = rulebook()
    expected = book.evaluate(scene(CML, LOW_LEVEL), SETTING).findings
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_answer, args=(book, there))
    child.start()
    got = here.recv() if here.poll(60) else None
    child.join(60)
    assert (got, child.exitcode) == (expected, 0)
    assert book.evaluate(scene(CML, LOW_LEVEL), SETTING).findings == expected


def test_more_sessions_than_the_pool_holds_are_served() -> None:
    program = Program(conjunctions(rulebook()))
    facts = [(fact.kind, fact.values) for fact in scene(CML, LOW_LEVEL)]
    first = program.hits(facts)
    assert first
    assert all(program.hits(facts) == first for _ in range(1100))


def test_an_evaluation_without_a_match_leaves_the_program_sound() -> None:
    program = Program(conjunctions(rulebook()))
    nothing = [(fact.kind, fact.values) for fact in scene()]
    something = [(fact.kind, fact.values) for fact in scene(CML, LOW_LEVEL)]
    for _ in range(20):
        assert program.hits(nothing) == frozenset()
        assert program.hits(something)


def test_a_ruleset_that_durable_rules_refuses_is_an_engine_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def misspelt(translation: Translation, number: int, conjunction: Conjunction) -> object:
        return {"alll": []}

    monkeypatch.setattr(Translation, "_rule", misspelt)
    with pytest.raises(EngineError, match=r"ruleset refused: .*error code: 105"):
        Program(conjunctions(rulebook()))
