"""Explaining: which conditions held, failed or could not be decided."""

from __future__ import annotations

from cds.rulebook import Fact, Outcome
from cds.rulebook.explain import as_text, explain
from cds.rulebook.rulebook import Rulebook
from tests.rulebook.build import CML, INDUCER, LOW_LEVEL, RIFAMPICIN, SETTING, rulebook, scene
from tests.rulebook.random_rules import Generator


def why(facts: list[Fact], rule: str = "trough.low", book: Rulebook | None = None) -> str:
    (explanation,) = explain(book or rulebook(), facts, SETTING, rule)
    return "\n".join(as_text(explanation))


def test_a_rule_that_fired_shows_every_condition_that_held() -> None:
    assert (
        why(scene(CML, LOW_LEVEL))
        == """\
trough.low: fired - Trough below target
  + course: course with disease cml
    + course
      + disease cml (is cml)
  + level: level with gate one of corrected, trough, trough_ng_ml below 1000, age_days at most 90
    + level trough Observation/1
      + gate one of corrected, trough (is trough)
      + trough_ng_ml below 1000 (is 720)
      + age_days at most 90 (is 2)
  + none: medicine with ingredient rifampicin, current"""
    )


def test_a_silent_rule_shows_what_failed() -> None:
    text = why(scene(CML, {**LOW_LEVEL, "age_days": 91}))
    assert text.startswith("trough.low: silent")
    assert "\n      - age_days at most 90 (is 91)" in text


def test_a_silent_rule_shows_the_fact_that_must_not_be_there() -> None:
    text = why(scene(CML, LOW_LEVEL, RIFAMPICIN))
    assert "  - none: medicine with ingredient rifampicin, current\n" in text
    assert "there is medicine rifampicin" in text


def test_an_undecided_rule_shows_what_is_unknown() -> None:
    level = {key: value for key, value in LOW_LEVEL.items() if key != "trough_ng_ml"}
    text = why(scene(CML, level))
    assert text.startswith("trough.low: undecided for want of level.trough_ng_ml")
    assert "\n      ? trough_ng_ml below 1000 (is unknown)" in text


def test_a_join_shows_both_codes() -> None:
    text = why(scene(RIFAMPICIN, {**INDUCER, "ingredient": "ketoconazole"}), "interactions.inducer")
    assert "- ingredient ketoconazole, wanted rifampicin" in text


def test_a_fact_that_is_not_there_is_said_to_be_missing() -> None:
    assert "- no level on record" in why(scene(CML))


def test_a_rule_that_was_not_asked_says_why() -> None:
    (explanation,) = explain(
        rulebook(), scene(), type(SETTING)(SETTING.occasion, SETTING.jurisdiction), "dosing.limit"
    )
    assert explanation.outcome is Outcome.SILENT
    retired = rulebook({"dosing/limit.yaml": _retired()})
    assert "- the rule is retired" in why(scene(), "dosing.limit", retired)


def _retired() -> str:
    from tests.rulebook.build import TEXTS

    return TEXTS["dosing/limit.yaml"].replace("status: shadow", "status: retired")


def test_every_rule_is_explained() -> None:
    book = rulebook()
    found = explain(book, scene(), SETTING)
    assert [explanation.rule_id for explanation in found] == [rule.id for rule in book.rules]


def test_the_tree_never_contradicts_the_verdict_on_random_patients() -> None:
    book, generator = rulebook(), Generator(3)
    for _ in range(60):
        facts = generator.scene(generator.random.randint(0, 25))
        verdict = book.evaluate(facts, SETTING)
        for explanation in explain(book, facts, SETTING):
            assert explanation.outcome is verdict.of(explanation.rule_id).outcome
            if explanation.outcome is Outcome.SILENT:
                assert all(branch.holds is not True for branch in explanation.why)
