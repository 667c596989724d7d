"""Facts: what the rules may know about a patient, and what stays unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

import pk
from cds.assess import assess
from cds.clinical.medication import UseState
from cds.clinical.person import Sex
from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus, Supply
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Fact, Rulebook, catalogue
from tests.assess.build import (
    NOW,
    ago,
    condition,
    lab,
    level,
    medicine,
    once_daily,
    order,
    record,
)

Facts = Callable[..., list[Fact]]


@pytest.fixture
def facts(rulebook: Rulebook, models: dict[str, pk.PopulationModel]) -> Facts:
    def derive(
        patient: PatientRecord, kind: str, *, jurisdiction: Jurisdiction = Jurisdiction.US
    ) -> list[Fact]:
        setting = Setting(Occasion.ORDER_SIGN, jurisdiction)
        found = assess(patient, rulebook, models, setting, now=NOW).facts
        return [f for f in found if f.kind == kind]

    return derive


def one(found: list[Fact]) -> dict[str, object]:
    assert len(found) == 1
    return dict(found[0].values)


def test_every_kind_with_exactly_one_fact_is_always_there(
    rulebook: Rulebook, models: dict[str, pk.PopulationModel]
) -> None:
    """Even for a patient about whom nothing is known; unknown is an absent attribute."""
    nobody = PatientRecord(record().person.__class__("p"))
    found = assess(nobody, rulebook, models, Setting(Occasion.PATIENT_VIEW), now=NOW).facts
    kinds = [f.kind for f in found]
    for name, kind in catalogue().kinds.items():
        if kind.one:
            assert kinds.count(name) == 1, name


def test_an_unknown_weight_is_absent_rather_than_zero(facts: Facts) -> None:
    assert "weight_kg" not in one(facts(record(orders=(order(),)), "patient"))


def test_body_surface_comes_from_weight_and_height_by_mosteller(facts: Facts) -> None:
    labs = (lab("weight", 28, unit="kg"), lab("height", 128.57, unit="cm", days=40))
    patient = one(facts(record(age=9, labs=labs, orders=(order(),)), "patient"))
    assert patient["bsa_m2"] == pytest.approx(1.0, abs=1e-3)
    assert patient["bsa_age_days"] == pytest.approx(40)
    assert patient["population"] == "child"


@pytest.mark.parametrize(("kg", "cm"), [(280, 131), (28, 13.1), (3, 131)])
def test_weight_and_height_of_no_body_give_no_surface(kg: float, cm: float, facts: Facts) -> None:
    labs = (lab("weight", kg, unit="kg"), lab("height", cm, unit="cm"))
    assert "bsa_m2" not in one(facts(record(age=9, labs=labs, orders=(order(),)), "patient"))


def test_a_pregnancy_condition_is_a_pregnancy(facts: Facts) -> None:
    patient = record(
        sex=Sex.FEMALE, age=30, conditions=(condition("pregnancy", days=20),), orders=(order(),)
    )
    assert one(facts(patient, "patient"))["pregnancy"] == "pregnant"


def test_a_childs_600_mg_on_one_square_metre_is_far_above_the_usual_dose(facts: Facts) -> None:
    labs = (lab("bsa", 1.0, unit="m2"),)
    draft = order(600, draft=True)
    found = one(facts(record(age=9, labs=labs, orders=(draft,)), "order"))
    assert found["mg_per_m2"] == 600
    assert found["percent_of_usual_per_m2"] == pytest.approx(100 * 600 / 340, abs=0.01)
    assert found["suggested_mg"] == 300


@pytest.mark.parametrize(
    ("mg", "change", "steps"), [(600, "increase", 1), (400, "same", 0), (300, "decrease", 1)]
)
def test_an_order_is_compared_with_the_current_course(
    facts: Facts, mg: float, change: str, steps: int
) -> None:
    draft = order(mg, draft=True, reference="MedicationRequest/draft")
    found = one(facts(record(orders=(order(400), draft)), "order"))
    assert (found["change"], found["steps"]) == (change, steps)


def test_a_first_order_is_a_start_and_one_after_a_stop_a_restart(facts: Facts) -> None:
    draft = order(400, draft=True, reference="MedicationRequest/draft")
    assert one(facts(record(orders=(draft,)), "order"))["change"] == "start"
    old = order(400, status=OrderStatus.STOPPED, stopped_days=50)
    assert one(facts(record(orders=(old, draft)), "order"))["change"] == "restart"


def test_450_mg_cannot_be_made_of_whole_tablets(facts: Facts) -> None:
    found = one(facts(record(orders=(order(450, draft=True),)), "order"))
    assert found["makeable"] is False
    assert found["nearest_mg"] in (400, 500)


def test_a_molecular_result_is_judged_by_the_month_of_its_sample(facts: Facts) -> None:
    patient = record(orders=(order(since_days=210),), labs=(lab("bcr_abl_is", 4.0, days=20),))
    response = one(facts(patient, "response"))
    assert response["milestone_window"] == "6-months"
    assert response["milestone"] == "warning"
    assert response["on_track"] is False


@pytest.mark.parametrize(
    ("percent", "category"), [(10.0, "warning"), (10.1, "failure"), (1.0, "optimal")]
)
def test_milestones_include_their_limits(facts: Facts, percent: float, category: str) -> None:
    patient = record(orders=(order(since_days=190),), labs=(lab("bcr_abl_is", percent, days=5),))
    assert one(facts(patient, "response"))["milestone"] == category


@pytest.mark.parametrize(("stopped_days", "judged"), [(95, False), (25, True)])
def test_a_transcript_drawn_in_a_long_pause_is_no_milestone(
    stopped_days: float, judged: bool, facts: Facts
) -> None:
    ended = order(since_days=400, status=OrderStatus.STOPPED, stopped_days=stopped_days)
    patient = record(orders=(ended,), labs=(lab("bcr_abl_is", 2.0, days=10),))
    assert ("milestone" in one(facts(patient, "response"))) is judged


@pytest.mark.parametrize("earlier", [0.6, 10.0])
def test_a_milestone_is_not_met_by_a_renewal_of_an_older_treatment(
    facts: Facts, earlier: float
) -> None:
    """Only the last prescription is on record; a low transcript long before it tells of more."""
    series = (lab("bcr_abl_is", earlier, days=400), lab("bcr_abl_is", 8.0, days=20))
    response = one(facts(record(orders=(order(since_days=130),), labs=series), "response"))
    assert {"milestone", "milestone_window", "bcr_abl_month", "on_track"}.isdisjoint(response)


def test_a_missed_milestone_stays_missed_however_old_the_treatment_is(facts: Facts) -> None:
    series = (lab("bcr_abl_is", 0.6, days=400), lab("bcr_abl_is", 12.0, days=20))
    response = one(facts(record(orders=(order(since_days=130),), labs=series), "response"))
    assert response["on_track"] is False


def test_major_response_is_good_at_any_month(facts: Facts) -> None:
    series = (lab("bcr_abl_is", 0.6, days=400), lab("bcr_abl_is", 0.05, days=20))
    response = one(facts(record(orders=(order(since_days=130),), labs=series), "response"))
    assert response["on_track"] is True


def test_a_diagnosis_years_before_the_first_order_leaves_the_month_open(facts: Facts) -> None:
    parts = {"orders": (order(since_days=130),), "labs": (lab("bcr_abl_is", 8.0, days=20),)}
    recent = record(conditions=(condition("cml-cp", "cml", days=140),), **parts)
    old = record(conditions=(condition("cml-cp", "cml", days=2900),), **parts)
    assert one(facts(recent, "response"))["milestone"] == "optimal"
    assert "on_track" not in one(facts(old, "response"))


def test_a_level_is_usable_now_only_if_judged_recent_and_of_the_present_dose(facts: Facts) -> None:
    def usable(**parts: object) -> object:
        return one(facts(record(**parts), "levels"))["usable_now"]

    assert usable(orders=(order(),), levels=(level(700),)) is True
    assert usable(orders=(order(),), levels=(level(700, hours_post_dose=2),)) is False
    assert usable(orders=(order(),), levels=(level(700, days=91),)) is False
    changed = (
        order(400, status=OrderStatus.STOPPED, stopped_days=20),
        order(600, since_days=20, reference="MedicationRequest/2"),
    )
    assert usable(orders=changed, levels=(level(700, days=30),)) is False


def test_an_inducer_that_is_taken_is_named_and_one_being_ordered_is_not(facts: Facts) -> None:
    on_it = one(facts(record(orders=(order(),), medicines=(medicine("rifampicin"),)), "course"))
    assert (on_it["inducer_taken"], on_it["inducer_name"]) == (True, "Rifampicin")
    draft = medicine("rifampicin", state=UseState.DRAFT, is_draft=True)
    ordered = one(facts(record(orders=(order(),), medicines=(draft,)), "course"))
    assert ordered["inducer_taken"] is False


@pytest.mark.parametrize(("mg", "at_limit"), [(400, False), (600, True)])
def test_the_course_knows_whether_a_higher_dose_is_possible(
    facts: Facts, mg: float, at_limit: bool
) -> None:
    course = one(facts(record(orders=(order(mg),)), "course"))
    assert (course["at_dose_limit"], course["dose_limit_mg"]) == (at_limit, 600)


def test_without_a_result_the_response_is_unknown_not_good(facts: Facts) -> None:
    assert "on_track" not in one(facts(record(orders=(order(),)), "response"))


def test_loss_of_a_reached_response_needs_two_results(facts: Facts) -> None:
    series = tuple(
        lab("bcr_abl_is", value, days=days) for value, days in ((0.05, 300), (0.2, 100), (0.3, 10))
    )
    reached = record(orders=(order(since_days=900),), labs=series)
    assert one(facts(reached, "response"))["mmr_lost_twice"] is True
    once = record(orders=(order(since_days=900),), labs=series[:2])
    assert one(facts(once, "response"))["mmr_lost_twice"] is False


def test_covered_days_are_counted_over_the_window_and_a_late_refill_is_seen(facts: Facts) -> None:
    supplies = (
        Supply(ago(days=80), 30, 30, "MedicationDispense/1"),
        Supply(ago(days=50), 30, 30, "MedicationDispense/2"),
    )
    found = one(facts(record(orders=(order(),), supplies=supplies), "adherence"))
    assert found["pdc_percent"] == pytest.approx(100 * 60 / 80)
    assert found["refill_late_days"] == pytest.approx(20)


def test_an_early_refill_is_carried_over(facts: Facts) -> None:
    supplies = (
        Supply(ago(days=80), 60, 60, "MedicationDispense/1"),
        Supply(ago(days=70), 30, 30, "MedicationDispense/2"),
    )
    found = one(facts(record(orders=(order(),), supplies=supplies), "adherence"))
    assert found["pdc_percent"] == pytest.approx(100)


def test_without_dispensing_data_coverage_is_unknown(facts: Facts) -> None:
    assert "pdc_percent" not in one(facts(record(orders=(order(),)), "adherence"))


def test_a_partner_brings_its_row_of_the_interaction_table(facts: Facts) -> None:
    patient = record(orders=(order(),), medicines=(medicine("rifampicin", days=3),))
    assert one(facts(patient, "medicine"))["new"] is True
    row = one(facts(patient, "interaction"))
    assert (row["effect"], row["strength"]) == ("inducer", "strong")
    assert row["exposure_percent"] == pytest.approx(26)


def test_a_stopped_partner_is_not_current(facts: Facts) -> None:
    gone = medicine("rifampicin", days=100, state=UseState.STOPPED, stopped=ago(days=12))
    found = one(facts(record(orders=(order(),), medicines=(gone,)), "medicine"))
    assert found["current"] is False
    assert found["stopped_days_ago"] == pytest.approx(12)


def test_low_counts_select_the_table_of_the_indication(facts: Facts) -> None:
    labs = (lab("anc", 0.7), lab("platelets", 60))
    found = one(facts(record(orders=(order(),), labs=labs), "toxicity"))
    assert found["cytopenia_group"] == "H1"
    assert found["cytopenia"] is True
    assert found["resume_mg"] == 400
    assert found["present"] is True
    assert found["severe"] is True


@pytest.mark.parametrize(("anc", "low"), [(0.99, True), (1.0, False)])
def test_the_hold_limit_itself_is_not_below(facts: Facts, anc: float, low: bool) -> None:
    labs = (lab("anc", anc), lab("platelets", 200))
    assert one(facts(record(orders=(order(),), labs=labs), "toxicity"))["cytopenia"] is low


def test_one_normal_count_alone_does_not_exclude_cytopenia(facts: Facts) -> None:
    patient = record(orders=(order(),), labs=(lab("anc", 3.0),))
    assert "cytopenia" not in one(facts(patient, "toxicity"))


def test_a_second_episode_steps_the_dose_down(facts: Facts) -> None:
    labs = tuple(lab("anc", value, days=days) for value, days in ((0.8, 90), (2.0, 60), (0.7, 2)))
    found = one(facts(record(orders=(order(),), labs=(*labs, lab("platelets", 200))), "toxicity"))
    assert found["cytopenia_before"] is True
    assert found["resume_mg"] == 300


def test_a_long_single_episode_is_not_a_second_one(facts: Facts) -> None:
    labs = tuple(lab("anc", value, days=days) for value, days in ((0.8, 20), (0.9, 9), (0.7, 2)))
    found = one(facts(record(orders=(order(),), labs=labs), "toxicity"))
    assert found["cytopenia_before"] is False


def test_liver_limits_are_multiples_of_the_laboratorys_own_limit(facts: Facts) -> None:
    labs = (
        lab("alt", 310, unit="U/L", upper_limit=50),
        lab("bilirubin", 18, unit="umol/L", upper_limit=17),
    )
    found = one(facts(record(orders=(order(),), labs=labs), "toxicity"))
    assert found["liver_hold"] is True
    assert found["liver_resume_mg"] == 300


def test_without_an_upper_limit_liver_tests_decide_nothing(facts: Facts) -> None:
    patient = record(orders=(order(),), labs=(lab("alt", 310, unit="U/L"),))
    assert "liver_hold" not in one(facts(patient, "toxicity"))


def test_a_diagnosis_older_than_the_drug_is_not_its_toxicity(facts: Facts) -> None:
    old = condition("heart-failure", days=1000)
    new = condition("heart-failure", days=20)
    for found, expected in ((old, False), (new, True)):
        patient = record(orders=(order(),), conditions=(condition("cml"), found))
        assert one(facts(patient, "toxicity"))["present"] is expected


def test_the_fall_of_a_trough_is_measured_per_mg_against_the_own_median(facts: Facts) -> None:
    levels = tuple(
        level(value, days=days, reference=f"Observation/{days}")
        for value, days in ((1200, 160), (1000, 100), (450, 2))
    )
    found = one(facts(record(orders=(order(),), levels=levels), "levels"))
    assert found["fall_percent"] == pytest.approx(100 * (1 - 450 / 1100))
    assert found["cv_percent"] > 40


def test_a_level_in_another_unit_says_that_it_was_converted(facts: Facts) -> None:
    plain = one(facts(record(orders=(order(),), levels=(level(888),)), "level"))
    assert plain["converted"] is False
    assert plain["reported"] == "888 ng/mL"


def test_problems_of_the_reader_reach_the_rules(facts: Facts) -> None:
    found = Problem("level-unit-unreadable", "unit", Impact.LIMITS, "Observation/9")
    patient = record(orders=(order(),), problems=(found,))
    assert one(facts(patient, "problem"))["about"] == "level"


def test_a_blood_count_is_overdue_by_the_week_of_therapy(facts: Facts) -> None:
    def overdue(days_of_therapy: float, count_days_ago: float) -> object:
        patient = record(
            orders=(order(since_days=days_of_therapy),),
            labs=(lab("anc", 3, days=count_days_ago),),
        )
        return one(facts(patient, "monitoring"))["cbc_overdue"]

    assert overdue(20, 9) is True
    assert overdue(20, 7) is False
    assert overdue(200, 60) is False
    assert overdue(200, 91) is True


def test_mastocytosis_has_no_table_in_europe(facts: Facts) -> None:
    patient = record(orders=(order(),), conditions=(condition("asm"),), labs=(lab("anc", 0.5),))
    assert one(facts(patient, "toxicity"))["cytopenia_group"] == "H1"
    found = one(facts(patient, "toxicity", jurisdiction=Jurisdiction.EU))
    assert "cytopenia_group" not in found


def test_a_regimen_that_is_not_even_has_no_single_amount(facts: Facts) -> None:
    uneven = once_daily(400).__class__(
        (*once_daily(400).doses, once_daily(200).doses[0].__class__(14.0, 200)), 24.0
    )
    found = one(facts(record(orders=(order(regimen=uneven),)), "course"))
    assert found["daily_mg"] == 600
    assert "amount_mg" not in found


@pytest.mark.parametrize(("state", "on_track"), [("stable", True), ("progression", False)])
def test_the_state_of_a_solid_tumour_says_whether_it_is_on_track(
    facts: Facts, state: str, on_track: bool
) -> None:
    patient = record(
        orders=(order(),),
        conditions=(condition("gist"),),
        labs=(lab("disease_status", None, coded=state),),
    )
    response = one(facts(patient, "response"))
    assert response["disease_state"] == state
    assert response["on_track"] is on_track


def test_after_one_recovered_episode_the_full_dose_is_resumed(facts: Facts) -> None:
    labs = (*(lab("anc", v, days=d) for v, d in ((0.8, 30), (2.0, 2))), lab("platelets", 200))
    found = one(facts(record(orders=(order(),), labs=labs), "toxicity"))
    assert found["cytopenia_before"] is True
    assert found["counts_recovered"] is True
    assert found["resume_mg"] == 400


def test_an_old_negative_test_does_not_hide_a_recorded_pregnancy(facts: Facts) -> None:
    patient = record(
        sex=Sex.FEMALE,
        age=30,
        conditions=(condition("pregnancy", days=20),),
        labs=(lab("pregnancy", None, coded="not-pregnant", days=500),),
        orders=(order(),),
    )
    found = one(facts(patient, "patient"))
    assert found["pregnancy"] == "pregnant"
    assert found["pregnancy_age_days"] == pytest.approx(20)


def test_advanced_disease_never_gets_the_table_of_chronic_phase(facts: Facts) -> None:
    child = record(
        age=9, orders=(order(),), conditions=(condition("cml-bc", "cml"),), labs=(lab("anc", 0.7),)
    )
    assert "cytopenia_group" not in one(facts(child, "toxicity"))


def test_a_change_of_dose_does_not_make_an_old_combination_new(facts: Facts) -> None:
    orders = (
        order(400, since_days=300, status=OrderStatus.STOPPED, stopped_days=20),
        order(600, since_days=20, reference="MedicationRequest/2"),
    )
    patient = record(orders=orders, medicines=(medicine("simvastatin", days=200),))
    assert one(facts(patient, "medicine"))["pair_new"] is False


def test_creatinine_clearance_is_computed_when_it_was_not_measured(facts: Facts) -> None:
    """(140 - 60) x 72 kg / (72 x 2.0 mg/dL) = 40 mL/min."""
    labs = (lab("weight", 72, unit="kg"), lab("creatinine", 2 * 88.4, unit="umol/L"))
    found = facts(record(age=60, orders=(order(),), labs=labs), "lab")
    crcl = next(f.values for f in found if f.values["key"] == "crcl")
    assert crcl["value"] == pytest.approx(40, abs=0.1)
    assert crcl["reference"] == "Observation/creatinine-3"


def test_a_deep_response_is_on_track_in_any_month(facts: Facts) -> None:
    """Nobody wrote down when the drug was started."""
    undated = replace(order(), authored=None)
    patient = record(orders=(undated,), labs=(lab("bcr_abl_is", 0.05),))
    assert one(facts(patient, "response"))["on_track"] is True
    patient = record(orders=(undated,), labs=(lab("bcr_abl_is", 0.5),))
    assert "on_track" not in one(facts(patient, "response"))


@pytest.mark.parametrize(
    ("status", "changes"), [(OrderStatus.STOPPED, ["stop"]), (OrderStatus.ON_HOLD, [])]
)
def test_while_an_end_or_a_hold_is_signed_the_drug_is_not_in_use(
    facts: Facts, status: OrderStatus, changes: list[str]
) -> None:
    ending = replace(order(400, draft=True), status=status)
    patient = record(orders=(ending,))
    assert one(facts(patient, "course"))["in_use"] is False
    assert [found.values["change"] for found in facts(patient, "order")] == changes


def test_what_was_there_before_the_drug_is_not_its_toxicity(facts: Facts) -> None:
    before = lab("creatinine", 260.0, days=5, upper_limit=106.0)
    starting = record(orders=(order(400, draft=True),), labs=(before,))
    assert one(facts(starting, "toxicity"))["present"] is False
    later = record(orders=(order(400, since_days=3),), labs=(before,))
    assert one(facts(later, "toxicity"))["present"] is False
    under_it = record(orders=(order(400, since_days=30),), labs=(before,))
    assert one(facts(under_it, "toxicity"))["present"] is True


def test_a_long_product_name_gives_way_to_the_ingredient(facts: Facts) -> None:
    short = medicine("clarithromycin", days=3)
    long = replace(short, display="amoxicillin / clarithromycin / lansoprazole combination pack")
    names = [one(facts(record(medicines=(m,)), "medicine"))["name"] for m in (short, long)]
    assert names == [short.display, "Clarithromycin"]


@pytest.mark.parametrize(
    ("ages", "current"),
    [((1, 2, 3), [False, False, True]), ((1,), [False]), ((5, 6), [False, False])],
)
def test_a_medicine_given_several_times_of_late_is_being_taken(
    facts: Facts, ages: tuple[float, ...], current: list[bool]
) -> None:
    given = [
        replace(
            medicine("rifampicin", days=age, state=UseState.UNKNOWN),
            reference=f"MedicationAdministration/{age}",
            stopped=ago(days=age),
            administered=True,
        )
        for age in sorted(ages, reverse=True)
    ]
    found = facts(record(medicines=tuple(given)), "medicine")
    assert [one_of.values["current"] for one_of in found] == current


def test_nobody_restarts_above_the_dose_that_did_harm(facts: Facts) -> None:
    low = [lab("anc", 0.7, days=20), lab("anc", 2.0, days=1), lab("platelets", 200.0, days=1)]
    held = order(200, since_days=60, status=OrderStatus.ON_HOLD)
    assert one(facts(record(orders=(held,), labs=tuple(low)), "toxicity"))["resume_mg"] == 200
    usual = order(400, since_days=60, status=OrderStatus.ON_HOLD)
    assert one(facts(record(orders=(usual,), labs=tuple(low)), "toxicity"))["resume_mg"] == 400


def test_hepatitis_b_on_the_problem_list_is_as_good_as_a_positive_marker(facts: Facts) -> None:
    carrier = record(conditions=(condition("hepatitis-b"), condition("cml-cp", "cml")))
    found = one(facts(carrier, "monitoring"))
    assert (found["hbv_tested"], found["hbv_positive"]) == (True, True)
    over = record(conditions=(replace(condition("hepatitis-b"), active=False),))
    assert one(facts(over, "monitoring")).get("hbv_positive") is not True
