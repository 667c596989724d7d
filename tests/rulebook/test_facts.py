"""The catalogue and the facts it allows."""

from __future__ import annotations

import math

import pytest

from cds.rulebook import Fact, FactError, catalogue
from cds.rulebook.facts import AttributeType
from cds.rulebook.read_tests import with_neutral_values


def lab(**values: bool | int | float | str) -> Fact:
    return with_neutral_values(catalogue().kinds["lab"], {"key": "anc", **values})


def test_a_number_is_rounded_once_so_that_both_evaluators_see_the_same() -> None:
    assert lab(value=1.00004).values["value"] == 1.0
    assert lab(value=-0.00001).values["value"] == 0.0
    assert math.copysign(1, float(lab(value=-0.00001).values["value"])) == 1.0


def test_a_whole_number_is_a_number_but_a_truth_value_is_not() -> None:
    assert lab(value=3).values["value"] == 3.0
    with pytest.raises(FactError, match="value: True is not a number"):
        lab(value=True)


def test_a_number_is_not_an_integer_and_a_word_is_not_a_truth_value() -> None:
    with pytest.raises(FactError, match=r"count: 2\.0 is not an integer"):
        with_neutral_values(catalogue().kinds["levels"], {"count": 2.0})
    with pytest.raises(FactError, match="recent: 'true' is not a boolean"):
        lab(recent="true")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e15, -1e300])
def test_numbers_that_durable_rules_cannot_read_never_become_facts(value: float) -> None:
    with pytest.raises(FactError):
        lab(value=value)


@pytest.mark.parametrize("word", ["x" * 513, "a\0b", "\ud800"])
def test_words_that_durable_rules_cannot_read_never_become_facts(word: str) -> None:
    with pytest.raises(FactError):
        lab(coded=word)


def test_a_code_outside_its_closed_set_is_refused() -> None:
    with pytest.raises(FactError, match="disease: 'flu' is not one of"):
        with_neutral_values(catalogue().kinds["course"], {"disease": "flu"})


def test_what_the_catalogue_does_not_know_is_refused() -> None:
    with pytest.raises(FactError, match="unknown kind of fact 'mood'"):
        Fact("mood", {})
    with pytest.raises(FactError, match="lab has no attribute 'colour'"):
        lab(colour="red")


def test_what_is_always_known_must_be_given() -> None:
    with pytest.raises(FactError, match=r"lab\.key must always be known"):
        Fact("lab", {"recent": True})


def test_every_default_and_every_closed_set_of_the_catalogue_is_sound() -> None:
    for kind in catalogue():
        assert kind.attributes, kind.name
        for attribute in kind.attributes.values():
            assert attribute.meaning, f"{kind.name}.{attribute.name}"
            assert attribute.accept(attribute.neutral()) == attribute.neutral()
            if attribute.values:
                assert attribute.type is AttributeType.CODE, f"{kind.name}.{attribute.name}"


def test_no_kind_has_more_attributes_than_durable_rules_can_carry() -> None:
    single = sum(len(kind.attributes) for kind in catalogue() if kind.one)
    assert single < 200
    assert max(len(kind.attributes) for kind in catalogue()) < 64
