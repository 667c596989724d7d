"""Tests inside rules, and the mutants that show which conditions they miss."""

from __future__ import annotations

import pytest

from cds.rulebook.cases import run_tests
from cds.rulebook.mutation import kill_ratio, mutate
from cds.rulebook.rulebook import load_files
from tests.rulebook.build import LOW, TEXTS, files, rulebook


def failures(low: str) -> list[str]:
    book = rulebook({"trough/low.yaml": low})
    return [str(result.failure) for result in run_tests(book) if result.failure]


def without_test(name: str) -> str:
    start = LOW.index(f"  - name: {name}")
    end = LOW.find("  - name:", start + 1)
    return LOW[:start] + (LOW[end:] if end > 0 else "")


def survivors(low: str) -> list[str]:
    book = rulebook({"trough/low.yaml": low})
    return [
        mutant.change for mutant in mutate(book, [book.rule("trough.low")]) if not mutant.killed
    ]


def test_every_test_of_the_small_rulebook_passes() -> None:
    results = run_tests(rulebook())
    assert len(results) == 21
    assert [result for result in results if result.failure] == []


def test_a_test_that_expects_another_text_fails_with_both_texts() -> None:
    assert failures(LOW.replace('"Trough 720', '"Trough 721')) == [
        "the text is 'Trough 720 ng/mL is below 1000 ng/mL', "
        "expected 'Trough 721 ng/mL is below 1000 ng/mL'"
    ]


def test_a_test_that_expects_another_outcome_fails_and_says_what_decided() -> None:
    (failure,) = failures(LOW.replace("expect: {undecided: level.trough_ng_ml}", "expect: silent"))
    assert failure == "expected silent, got undecided for want of level.trough_ng_ml"


def test_a_test_that_is_undecided_for_want_of_something_else_fails() -> None:
    (failure,) = failures(LOW.replace("undecided: level.trough_ng_ml", "undecided: level.age_days"))
    assert failure == "undecided for want of level.trough_ng_ml, not of level.age_days"


def test_changing_the_target_fails_the_tests_that_knew_it() -> None:
    table = TEXTS["tables/targets.yaml"].replace("us: 1000", "us: 1100")
    results = run_tests(rulebook({"tables/targets.yaml": table}))
    assert {result.name for result in results if result.failure} == {
        "low", "at the target, ninety days old",
    }  # fmt: skip


def test_a_test_with_two_facts_of_a_single_kind_cannot_be_run() -> None:
    (failure,) = failures(LOW.replace("disease: gist}", "disease: gist}\n      - {is: course}"))
    assert failure == "two facts of kind course, of which there is one"


def test_tests_cannot_be_run_on_a_rulebook_loaded_without_them() -> None:
    with pytest.raises(ValueError, match="without its tests"):
        run_tests(load_files(files()))


def test_every_mutant_of_the_small_rulebook_is_noticed() -> None:
    mutants = mutate(rulebook())
    assert len(mutants) > 20
    assert kill_ratio(mutants) == 1.0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("at the target", "level.trough_ng_ml at_most instead of below $low"),
        ("just below, ninety", "level.age_days below instead of at_most $fresh"),
        ("too early", "without level.gate"),
        ("too old", "without level.age_days"),
        ("another disease", "without course.disease"),
        ("with rifampicin", "without 'none: medicine'"),
        ("with a medicine", "without none.ingredient"),
        ("rifampicin was", "without none.current"),
    ],
)
def test_without_a_test_its_condition_is_named_as_untested(name: str, change: str) -> None:
    assert change in survivors(without_test(name))


def test_a_test_that_fails_anyway_notices_no_mutant() -> None:
    wrong = without_test("too old").replace('"Trough 720', '"Trough 721')
    assert "without level.age_days" in survivors(wrong)


def test_nothing_to_change_counts_as_tested() -> None:
    assert kill_ratio([]) == 1.0
