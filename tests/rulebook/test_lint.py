"""Each kind of mistake is named with its number, its place and its cure."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cds.rulebook import Remark
from cds.rulebook.lint import lint_files
from cds.rulebook.remarks import REMARK_KINDS, Level
from tests.rulebook.build import LOW, TARGETS, TEXTS, files

MISTAKES = YAML(typ="safe", pure=True).load(Path(__file__).with_name("data") / "mistakes.yaml")


def lint_with(file: str, old: str | None, new: str, today: date | None = None) -> list[Remark]:
    text = new if old is None else TEXTS[file].replace(old, new)
    assert old is None or text != TEXTS[file], f"'{old}' does not stand in {file}"
    return list(lint_files(files({file: text}), today=today))


def test_the_small_rulebook_is_without_remark() -> None:
    assert lint_files(files(), today=date(2026, 6, 1)) == ()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m['code']} {m['words'][:30]}")
def test_a_mistake_is_named_with_number_place_and_cure(mistake: dict[str, Any]) -> None:
    remarks = lint_with(mistake["file"], mistake["old"], mistake["new"])
    found = [
        remark
        for remark in remarks
        if remark.code == mistake["code"]
        and mistake["words"] in f"{remark.message} - {remark.cure}"
    ]
    assert found, "\n".join(map(str, remarks))
    assert mistake["line"] in {None, *(remark.place.line for remark in found)}


def test_a_rule_with_the_conditions_of_another_is_a_duplicate() -> None:
    again = LOW.replace("trough.low", "trough.again")
    (remark,) = lint_with("trough/again.yaml", None, again)
    assert (remark.code, remark.place.file) == ("RB501", "rules/trough/low.yaml")


def test_a_linter_number_is_an_error_or_a_warning_throughout() -> None:
    for mistake in MISTAKES:
        if mistake["file"] == "dosing/limit.yaml":
            continue  # a shadow rule: what it lacks is a warning
        for remark in lint_with(mistake["file"], mistake["old"], mistake["new"]):
            assert remark.level is REMARK_KINDS[remark.code].level, str(remark)


def test_a_remark_reads_as_file_line_column_number_message_and_cure() -> None:
    (remark,) = lint_with("trough/low.yaml", "age_days: {at", "age_day: {at")
    assert str(remark) == (
        "rules/trough/low.yaml:16:90: RB202 error: level has no attribute 'age_day'"
        " - did you mean 'age_days'?"
    )


def test_one_run_names_the_mistakes_of_every_file() -> None:
    changes = {
        "trough/low.yaml": LOW.replace("$low}", "$lo}"),
        "dosing/limit.yaml": "id: [",
        "tables/targets.yaml": TARGETS.replace("trial", "trail"),
    }
    places = {remark.place.file for remark in lint_files(files(changes))}
    assert {f"rules/{name}" for name in changes} <= places


def test_a_comma_that_ends_a_text_by_accident_is_explained() -> None:
    remarks = lint_with(
        "interactions/quiet.yaml", '"Studied, and of no consequence"', "Studied, and harmless"
    )
    assert "put the text in quotes" in str(remarks[0])


def test_a_rule_that_a_wider_one_always_accompanies_is_shadowed() -> None:
    narrow = LOW.replace("trough.low", "trough.lower").replace(
        "disease: cml}\n  - level", "disease: cml, on_hold: true}\n  - level"
    )
    remarks = lint_with("trough/lower.yaml", None, narrow)
    (shadow,) = [remark for remark in remarks if remark.code == "RB502"]
    assert shadow.place.file == "rules/trough/lower.yaml"
    assert "trough.low (rules/trough/low.yaml" in shadow.message


def test_a_more_urgent_rule_inside_a_wider_one_is_no_remark() -> None:
    narrow = LOW.replace("trough.low", "trough.lower").replace("warning", "critical")
    narrow = narrow.replace("disease: cml}\n  - level", "disease: cml, on_hold: true}\n  - level")
    codes = {remark.code for remark in lint_with("trough/lower.yaml", None, narrow)}
    assert not codes & {"RB501", "RB502"}


WIDE = """\
when:
  - med: {is: medicine, current: true}
then: {matter: interaction, severity: info, summary: A medicine, detail: Look}
tests:
  - {name: a, given: [{is: medicine, ingredient: rifampicin, current: true}], expect: fires}
  - {name: b, given: [{is: medicine, ingredient: rifampicin}], expect: silent}
"""


def test_a_silence_that_another_rule_breaks_is_named() -> None:
    wide = TEXTS["interactions/inducer.yaml"]
    wide = wide[: wide.index("when:")] + WIDE
    remarks = lint_files(files({"interactions/inducer.yaml": wide}))
    assert [remark.code for remark in remarks] == ["RB502"]
    assert "wants silence" in remarks[0].message


BANDS = """\
mild: {{crcl_from: {mild_from}, crcl_below: 60, sources: [trial], verified: true}}
moderate: {{crcl_from: 20, crcl_below: {moderate_below}, sources: [trial], verified: true}}
severe: {{crcl_below: 20, sources: [trial], verified: true}}
"""


@pytest.mark.parametrize(
    ("mild_from", "moderate_below", "codes"),
    [(40, 40, []), (41, 40, ["RB504"]), (40, 41, ["RB505"]), (30, 40, ["RB505"])],
)
def test_bands_that_divide_a_quantity_leave_no_gap_and_do_not_overlap(
    mild_from: int, moderate_below: int, codes: list[str]
) -> None:
    table = BANDS.format(mild_from=mild_from, moderate_below=moderate_below)
    remarks = lint_files(files({"tables/renal.yaml": table}))
    assert [remark.code for remark in remarks] == codes


def test_bands_are_checked_in_every_jurisdiction() -> None:
    table = BANDS.format(mild_from="{us: 40, eu: 45}", moderate_below=40)
    (remark,) = lint_files(files({"tables/renal.yaml": table}))
    assert remark.code == "RB504"
    assert "between 40 and 45" in remark.message


RANGES = """\
a: {low_ng_ml: 1000, high_ng_ml: 3000}
b: {low_ng_ml: 1100, high_ng_ml: 3000}
sources: [trial]
verified: true
"""


def test_ranges_that_rows_have_for_themselves_are_no_bands() -> None:
    assert lint_files(files({"tables/ranges.yaml": RANGES})) == ()


@pytest.mark.parametrize(
    ("today", "codes"),
    [(date(2025, 12, 31), {"RB602"}), (date(2026, 1, 1), set()), (date(2027, 1, 1), set()),
     (date(2027, 1, 2), {"RB601"})],
)  # fmt: skip
def test_dates_are_checked_against_the_day_given(today: date, codes: set[str]) -> None:
    remarks = [r for r in lint_files(files(), today=today) if r.place.file.endswith("low.yaml")]
    assert {remark.code for remark in remarks} == codes


def test_what_an_active_rule_lacks_refuses_but_a_draft_may_lack_it() -> None:
    untested = LOW[: LOW.index("tests:")] + "tests: []\n"
    active = lint_files(files({"trough/low.yaml": untested}))
    draft = lint_files(files({"trough/low.yaml": untested.replace("active", "draft")}))
    assert {r.code for r in active} == {r.code for r in draft} >= {"RB701", "RB702", "RB703"}
    assert all(remark.level is Level.ERROR for remark in active)
    assert all(remark.level is Level.WARNING for remark in draft)


def test_too_many_alternatives_are_refused() -> None:
    choice = "any_of: [{is_latest: true}, {converted: true}, {age_days: $fresh}]"
    lines = "".join(f"  - l{number}: {{is: level, {choice}}}\n" for number in range(4))
    remarks = lint_with("trough/low.yaml", "when:\n", f"when:\n{lines}")
    assert "RB212" in {remark.code for remark in remarks}


def test_every_number_has_a_title_and_is_written_once() -> None:
    assert all(kind.title for kind in REMARK_KINDS.values())
    titles = [kind.title for kind in REMARK_KINDS.values()]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("snooze", ["{days: 0}", "{days: 7}", "{days: 30, why: read monthly}"])
def test_an_answer_may_silence_for_less_or_with_a_reason_for_longer(snooze: str) -> None:
    assert lint_with("trough/low.yaml", "  show: [level]", f"  snooze: {snooze}") == []
