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
        "table targets.cml.low_ng_ml.us: 1000 -> 1100",
    ]


def test_a_changed_condition_is_told_as_what_is_asked_no_longer_and_now() -> None:
    low = LOW.replace("ingredient: rifampicin, current: true}\nthen", "current: true}\nthen")
    assert changes({"trough/low.yaml": low}) == [
        "rule trough.low: no longer asks: no medicine with ingredient is rifampicin, current",
        "rule trough.low: now asks: no medicine with current",
    ]


def test_status_severity_and_text_are_told_before_and_after() -> None:
    low = LOW.replace("status: active", "status: shadow").replace("warning", "critical")
    low = low.replace("Trough {level", "The trough {level")
    assert changes({"trough/low.yaml": low})[:3] == [
        "rule trough.low: status 'active' -> 'shadow'",
        "rule trough.low: severity 'warning' -> 'critical'",
        "rule trough.low: summary 'Trough {level.trough_ng_ml} ng/mL is below {low} ng/mL'"
        " -> 'The trough {level.trough_ng_ml} ng/mL is below {low} ng/mL'",
    ]


def test_new_and_removed_rules_codes_and_tests_are_told() -> None:
    codes = TEXTS["terminology/medicines.yaml"].replace('code: "1"', 'code: "2"')
    low = LOW.replace("- name: too old", "- name: too old by a day")
    found = changes(
        {"terminology/medicines.yaml": codes, "trough/low.yaml": low, "dosing/limit.yaml": None}
    )
    assert "rule dosing.limit: removed: Above the US maximum" in found
    assert "rule trough.low: test 'too old' removed" in found
    assert "rule trough.low: test 'too old by a day' added" in found
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
