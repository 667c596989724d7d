"""The facts behind a card are said as a clinician would say them, and never across a limit."""

from __future__ import annotations

import pytest

from cds.cards.content import Limit
from cds.cards.quiet import Spoken
from cds.cards.trace import Matched
from cds.cards.why import fact_words, why_lines
from cds.rulebook import Fact
from cds.rulebook.rule import Word
from tests.cards.patients import CONTENT, low_trough


def said(kind: str, name: str, value: float, limit: float | None = None) -> str:
    """One attribute of a fact, beside an upper limit it may be held to."""
    fact = Fact(kind, {**_ALWAYS.get(kind, {}), name: value})
    limits = (Limit(name, Word.AT_MOST, limit),) if limit is not None else ()
    (words,) = fact_words(Matched.of(kind, fact, frozenset({name})), limits)[1]
    return words


_ALWAYS = {
    "level": {
        "reference": "Observation/1",
        "is_latest": True,
        "status": "final",
        "gate": "trough",
        "reported": "720 ng/mL",
        "converted": False,
    },
    "adherence": {"doubted": False},
}


LEVEL = Fact(
    "level", _ALWAYS["level"] | {"trough_ng_ml": 720.0, "age_days": 12.0, "percentile": 37.0}
)


def spoken(rule: str, *facts: Fact, looks_at: set[str]) -> Spoken:
    """A finding of a rule that looks at some values of facts."""
    matched = (Matched.of(fact.kind, fact, frozenset(looks_at)) for fact in facts)
    return Spoken(low_trough(rule_id=rule, revision=1), "digest", tuple(matched))


def test_what_an_earlier_rule_told_is_not_told_again() -> None:
    one = spoken("t.one", LEVEL, looks_at={"trough_ng_ml", "age_days"})
    two = spoken("t.two", LEVEL, looks_at={"trough_ng_ml", "percentile"})
    three = spoken("t.three", LEVEL, looks_at={"age_days"})

    (block,) = why_lines([one, two, three], CONTENT)

    assert block.splitlines()[1:] == [
        "- `t.one`, revision 1: level (Observation/1): trough 720 ng/mL, age 12 days",
        "- `t.two`, revision 1: as above; level: percentile 37 %",
        "- `t.three`, revision 1: as above",
    ]


def test_two_facts_that_share_a_word_are_both_told() -> None:
    labs = [
        Fact("lab", {"key": key, "name": key, "unit": "mL/min", "recent": False})
        for key in ("crcl", "egfr")
    ]

    (block,) = why_lines([spoken("t.one", *labs, looks_at={"key", "recent"})], CONTENT)

    assert block.splitlines()[1:] == [
        "- `t.one`, revision 1: lab: key crcl, recent no; lab: key egfr, recent no"
    ]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (12.3, "age 12 days (at most 90)"),
        (3.0, "age 3 days (at most 90)"),
        (2.1, "age 50 hours (at most 90 days)"),
        (0.02, "age 0 hours (at most 90 days)"),
        (89.7, "age 89.7 days (at most 90)"),
        (90.0, "age 90 days (at most 90)"),
        (90.3, "age 90.3 days"),
    ],
)
def test_days_are_whole_unless_a_limit_lies_between(days: float, words: str) -> None:
    assert said("level", "age_days", days, 90).endswith(words)


def test_hours_are_whole_unless_a_limit_lies_between() -> None:
    assert said("level", "age_days", 1.99, 2).endswith("age 47.8 hours (at most 2 days)")


def test_a_value_is_never_rounded_onto_its_limit() -> None:
    assert "trough 999.6 ng/mL" in said("level", "trough_ng_ml", 999.6, 1000)
    assert "trough 999 ng/mL" in said("level", "trough_ng_ml", 998.6, 1000)


@pytest.mark.parametrize(
    ("value", "words"), [(99.97, ">99 %"), (0.02, "<1 %"), (37.2, "37 %"), (100.0, ">99 %")]
)
def test_a_probability_of_the_model_is_never_certain(value: float, words: str) -> None:
    assert said("level", "percentile", value).endswith(f"percentile {words}")


def test_what_was_counted_may_be_all_of_it() -> None:
    assert said("adherence", "pdc_percent", 100.0).endswith("100 %")


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (18.0, "mL/min", "value 18 mL/min"),
        (0.7, "10*9/L", "value 0.70 ×10⁹/L"),
        (2.0, "1", "value 2"),
    ],
)
def test_a_result_stands_with_its_unit(value: float, unit: str, words: str) -> None:
    result = {"key": "crcl", "name": "Result", "value": value, "unit": unit, "recent": True}
    matched = Matched.of("lab", Fact("lab", result), frozenset({"key", "value"}))
    assert words in fact_words(matched, ())[1]


def test_the_reference_of_one_of_several_facts_of_a_kind_is_repeated() -> None:
    other = Fact("level", {**LEVEL.values, "reference": "Observation/2"})
    one = spoken("t.one", LEVEL, other, looks_at={"trough_ng_ml"})
    two = spoken("t.two", other, looks_at={"percentile"})

    (block,) = why_lines([one, two], CONTENT)

    assert block.endswith("- `t.two`, revision 1: level (Observation/2): percentile 37 %")


def test_what_holds_is_said_by_its_name_alone() -> None:
    (block,) = why_lines([spoken("t.one", LEVEL, looks_at={"is_latest", "converted"})], CONTENT)
    assert block.endswith("level (Observation/1): is latest, converted no")
