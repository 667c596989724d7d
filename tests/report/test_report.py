"""What the report says about the story patients."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cds.assess import Assessment
from cds.report import level_report
from cds.report.report import LevelReport
from cds.services.knowledge import Knowledge

Assessed = Callable[[str], Assessment]


@pytest.fixture(scope="session")
def reported(assessed: Assessed, knowledge: Knowledge) -> Callable[[str], LevelReport]:
    return lambda name: level_report(assessed(name), knowledge.rulebook)


def said(report: LevelReport) -> str:
    return " ".join(report.interpretation).replace("\u202f", " ")


def test_a_low_trough_is_put_against_target_current_dose_and_best_dose(reported):
    text = said(reported("cml-low-trough"))
    assert "The latest level is 720 ng/mL" in text
    assert "below the trough target of 1 000 to 3 000 ng/mL" in text
    assert "on 400 mg once daily the model expects" in text
    assert "600 mg once daily is the likeliest to reach the target" in text
    assert "This is arithmetic and no advice to change the dose" in text


def test_what_the_rules_say_stands_before_what_the_model_computes(reported):
    text = said(reported("cml-low-trough"))
    assert 0 < text.index("The rules say (warning)") < text.index("the model expects")


def test_the_report_knows_no_name_and_no_number_of_the_patient(assessed, reported):
    report = reported("cml-low-trough")
    person = assessed("cml-low-trough").record.person.id
    for part in (report.headline, report.patient, report.made, *report.interpretation):
        assert person not in part
    assert report.patient.replace("\u202f", " ") == "male, 54 years, CML CP, 400 mg a day"


def test_a_level_that_is_no_trough_is_not_compared_and_says_why(reported):
    report = reported("level-four-hours")
    assert "It is not compared with the trough target" in said(report)
    assert report.headline == "Imatinib level 2150 ng/mL"
    assert [(row.verdict, row.reason) for row in report.levels] == [
        ("used", "sampled 4.0 h after the dose, which is no trough")
    ]


def test_a_level_before_steady_state_is_listed_as_not_used(reported):
    rows = reported("before-steady-state").levels
    assert [row.verdict for row in rows] == ["not used"]
    assert "steady" in rows[0].reason or "days" in rows[0].reason


def test_an_unreadable_unit_is_shown_with_the_value_as_reported(reported):
    report = reported("level-unit-unreadable")
    assert report.levels[0].verdict == "not used"
    assert any("unit" in row.code for row in report.problems)


def test_another_unit_is_shown_as_reported_and_converted(reported):
    row = reported("unit-umol").levels[0]
    assert row.reported.startswith("1.8 ")
    assert "ng/mL" in row.reported


@pytest.mark.parametrize("story", ["child-body-surface", "duplicate-orders"])
def test_without_a_model_no_dose_number_is_given(reported, story):
    report = reported(story)
    assert report.doses == ()
    assert report.shifts == ()
    assert "No dose numbers are given" in said(report)


def test_a_doubtful_fit_gives_no_dose_number_and_its_levels_are_not_relied_on(doubtful, knowledge):
    report = level_report(doubtful, knowledge.rulebook)
    assert report.doses == ()
    assert report.shifts == ()
    assert [row.verdict for row in report.levels] == ["not relied on", "not relied on"]
    assert "does not explain this patient's levels" in said(report)


@pytest.mark.parametrize("story", ["cml-low-trough", "gist-gastrectomy", "neutropenia"])
def test_the_chances_of_every_dose_add_up_to_one_whole(reported, story):
    for row in reported(story).doses:
        assert sum(share for _, share, _ in row.chances) == pytest.approx(100.0)


def test_each_regimen_stands_once_and_the_current_one_is_marked(reported):
    rows = reported("cml-low-trough").doses
    names = [row.name for row in rows]
    assert len(names) == len(set(names))
    assert [row.option.amount_mg for row in rows if "current" in row.marks] == [400.0]


def test_the_levels_narrow_what_is_known_of_clearance(reported):
    clearance = next(s for s in reported("cml-low-trough").shifts if s.name == "Clearance")
    before, after = clearance.prior, clearance.posterior
    assert after.high - after.low < before.high - before.low
    assert 0 <= clearance.place(after.low) < clearance.place(after.high) <= 100


def test_without_a_level_patient_and_population_are_the_same(reported):
    for shift in reported("neutropenia").shifts:
        assert shift.change_percent == pytest.approx(0.0, abs=0.5)


def test_every_rule_of_the_rulebook_is_accounted_for(reported, knowledge):
    account = reported("cml-low-trough").rules
    assert account.count == len(knowledge.rulebook.rules)
    assert {row.id for row in account.fired} >= {"trough.cml-below-target"}
    for row in account.undecided:
        assert row.missing
        assert row.reasons
    for row in account.silent:
        assert row.because, row.id


def test_a_fired_rule_shows_the_comparison_that_decided(reported):
    fired = next(r for r in reported("cml-low-trough").rules.fired if r.id.startswith("trough."))
    assert any("720" in reason.words and reason.holds for reason in fired.reasons)


def test_sources_say_whether_they_were_verified(reported):
    sources = {one.key: one.verified for one in reported("cml-low-trough").sources}
    assert sources["guilhot-2012"] is True
    assert sources["product-proposal"] is False


def test_an_interacting_medicine_is_listed_with_what_it_does(reported):
    row = reported("rifampicin-order").medicines[0]
    assert row.name == "rifampicin"
    assert row.state == "being ordered"
    assert row.role == "strong inducer: exposure about 26 % of usual"


def test_the_strip_says_at_a_glance_what_the_numbers_rest_on(reported):
    marks = {mark.words: mark.good for mark in reported("cml-low-trough").strip}
    assert "fitted to this patient" in marks
    unread = {mark.words: mark.good for mark in reported("level-unit-unreadable").strip}
    assert any("could not be read or used" in words and not good for words, good in unread.items())
    assert any(words.startswith("0 of 1 levels used") for words in unread)


def test_beside_a_critical_finding_no_dose_is_put_forward(reported):
    held = " ".join(reported("hepatotoxicity").interpretation)
    assert "hold imatinib" in held
    assert "A critical finding stands" in held
    assert "likeliest to reach the target" not in held
    low = " ".join(reported("cml-low-trough").interpretation)
    assert "likeliest to reach the target" in low
