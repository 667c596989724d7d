"""Comparing two rulebooks in words, and by what they say about patients."""

from __future__ import annotations

from cds.rulebook import Fact, Rulebook
from cds.rulebook.diff import PatientChange, compare, compare_patients
from tests.rulebook.build import CML, LOW, LOW_LEVEL, SETTING, TARGETS, TEXTS, rulebook, scene


def changes(files: dict[str, str | None]) -> list[str]:
    return [str(change) for change in compare(rulebook(), rulebook(files))]


def test_the_same_rulebook_has_no_differences() -> None:
    assert changes({}) == []


def test_a_changed_table_is_told_with_the_rules_that_read_it() -> None:
    assert changes({"tables/targets.yaml": TARGETS.replace("us: 1000", "us: 1100")}) == [
        "rule trough.low: param low: 1000 ng/mL (US), 900 ng/mL (EU)"
        " -> 1100 ng/mL (US), 900 ng/mL (EU)",
        "rule trough.low: revision is still 2: raise it, cards and figures name it",
        "table targets.cml.low_ng_ml.us: 1000 -> 1100",
    ]


def test_a_changed_condition_is_told_as_what_is_asked_no_longer_and_now() -> None:
    low = LOW.replace("ingredient: rifampicin, current: true}\nthen", "current: true}\nthen")
    assert changes({"trough/low.yaml": low}) == [
        "rule trough.low: no longer asks: no medicine with ingredient is rifampicin, current",
        "rule trough.low: now asks: no medicine with current",
        "rule trough.low: revision is still 2: raise it, cards and figures name it",
    ]


def test_status_severity_and_text_are_told_before_and_after() -> None:
    low = LOW.replace("status: active", "status: shadow").replace("warning", "critical")
    low = low.replace("Trough {level", "The trough {level")
    assert changes({"trough/low.yaml": low})[:3] == [
        "rule trough.low: status: active -> shadow",
        "rule trough.low: severity: warning -> critical",
        "rule trough.low: summary: Trough {level.trough_ng_ml} ng/mL is below {low} ng/mL"
        " -> The trough {level.trough_ng_ml} ng/mL is below {low} ng/mL",
    ]


def test_new_and_removed_rules_codes_and_tests_are_told() -> None:
    codes = TEXTS["terminology/medicines.yaml"].replace('code: "1"', 'code: "2"')
    low = LOW.replace("- name: too old", "- name: too old by a day")
    found = changes(
        {"terminology/medicines.yaml": codes, "trough/low.yaml": low, "dosing/limit.yaml": None}
    )
    assert "rule dosing.limit: removed: Above the US maximum" in found
    assert "rule trough.low: test removed: 'too old'" in found
    assert "rule trough.low: test added: 'too old by a day'" in found
    assert "terminology/medicines.rifampicin.codes.2.code: new: 2" in found


def test_patients_are_told_apart_by_what_appears_vanishes_and_changes() -> None:
    def assess(book: Rulebook, facts: list[Fact]) -> tuple[object, ...]:
        return book.evaluate(facts, SETTING).findings

    patients = {
        "low": scene(CML, LOW_LEVEL),
        "nearly": scene(CML, {**LOW_LEVEL, "trough_ng_ml": 1050}),
        "high": scene(CML, {**LOW_LEVEL, "trough_ng_ml": 1500}),
    }
    higher = rulebook({"tables/targets.yaml": TARGETS.replace("us: 1000", "us: 1100")})
    said = "trough.low (warning): Trough {} ng/mL is below {} ng/mL"
    appears = PatientChange("nearly", (said.format(1050, 1100),), (), ())
    vanishes = PatientChange("nearly", (), (said.format(1050, 1100),), ())
    reads = (said.format(720, 1000), said.format(720, 1100))
    forward = compare_patients(rulebook(), higher, patients, assess)  # type: ignore[arg-type]
    assert forward == (PatientChange("low", (), (), (reads,)), appears)
    backward = compare_patients(higher, rulebook(), patients, assess)  # type: ignore[arg-type]
    assert backward[1] == vanishes


def test_of_a_long_text_and_of_lists_only_what_differs_is_told() -> None:
    low = LOW.replace("revision: 2", "revision: 3").replace("Ask whether", "Find out whether")
    low = low.replace("occasions: [patient-view, order-sign]", "occasions: [order-sign, new-level]")
    low = low.replace("  show: [level]", "  show: [level]\n  snooze: {days: 30, why: read monthly}")
    assert changes({"trough/low.yaml": low}) == [
        "rule trough.low: revision: 2 -> 3",
        "rule trough.low: occasions: no longer patient-view; now new-level",
        "rule trough.low: detail:\n"
        "    - Ask whether doses are taken.\n"
        "    + Find out whether doses are taken.",
        "rule trough.low: quiet after an answer: 7 days -> 30 days (read monthly)",
    ]


def test_a_card_whose_summary_stays_says_what_else_differs() -> None:
    other = rulebook({"trough/low.yaml": LOW.replace("Ask whether", "Find out whether")})
    (change,) = compare_patients(
        rulebook(), other, {"low": scene(CML, LOW_LEVEL)},
        lambda book, facts: book.evaluate(facts, SETTING).findings,
    )  # fmt: skip
    ((_, now),) = change.changes
    assert now == "the same words, another detail"
