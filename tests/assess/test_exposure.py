"""Numbers are given only when they can be relied on; otherwise the state says why not."""

from __future__ import annotations

from datetime import timedelta

import pytest

import pk
from cds.assess import Assessment, assess
from cds.assess.assessment import ExposureState, Gate
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus, PlannedDose, Regimen
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Rulebook
from tests.assess.build import NOW, lab, level, medicine, order, record

Models = dict[str, pk.PopulationModel]


def run(
    patient: PatientRecord,
    rulebook: Rulebook,
    models: Models,
    *,
    jurisdiction: Jurisdiction = Jurisdiction.US,
    paediatric_doses: bool = False,
) -> Assessment:
    setting = Setting(
        Occasion.PATIENT_VIEW, jurisdiction, "Europe/Zurich", paediatric_doses=paediatric_doses
    )
    return assess(patient, rulebook, models, setting, now=NOW)


def test_a_trough_is_fitted_and_every_allowed_dose_is_weighed(
    rulebook: Rulebook, models: Models
) -> None:
    patient = record(orders=(order(400),), levels=(level(720),))
    exposure = run(patient, rulebook, models).exposure
    assert exposure.state is ExposureState.FITTED
    assert exposure.levels_used == ("Observation/level",)
    assert exposure.current is not None
    assert exposure.current.daily_mg == 400
    assert exposure.best is not None
    assert exposure.best.daily_mg == 600
    for option in exposure.options:
        total = option.percent_below + option.percent_in + option.percent_above
        assert total == pytest.approx(100)
        assert option.trough_low_ng_ml < option.trough_ng_ml < option.trough_high_ng_ml


def test_the_assessment_says_which_model_was_used_and_how_far_others_differ(
    rulebook: Rulebook, models: Models
) -> None:
    assessment = run(record(orders=(order(400),), levels=(level(720),)), rulebook, models)
    exposure = assessment.exposure
    assert exposure.model_id == assessment.policy.model_ids[0]
    assert set(exposure.model_troughs_ng_ml) == set(assessment.policy.model_ids)
    assert set(assessment.versions.models) == set(assessment.policy.model_ids)


def test_without_a_level_the_numbers_are_the_populations_and_say_so(
    rulebook: Rulebook, models: Models
) -> None:
    exposure = run(record(orders=(order(400),)), rulebook, models).exposure
    assert exposure.state is ExposureState.POPULATION
    assert exposure.levels_used == ()


def test_no_option_exceeds_the_labels_maximum_of_the_jurisdiction(
    rulebook: Rulebook, models: Models
) -> None:
    patient = record(orders=(order(400),), levels=(level(300),))
    for jurisdiction, limit in ((Jurisdiction.US, 600), (Jurisdiction.EU, 800)):
        exposure = run(patient, rulebook, models, jurisdiction=jurisdiction).exposure
        offered = [o.daily_mg for o in exposure.options if o.why_not is None]
        assert max([o.daily_mg for o in exposure.options]) == limit
        assert all(daily <= limit for daily in offered)


def test_an_order_above_the_maximum_is_weighed_but_not_offered(
    rulebook: Rulebook, models: Models
) -> None:
    draft = order(800, draft=True, reference="MedicationRequest/draft")
    patient = record(orders=(order(400), draft), levels=(level(500),))
    exposure = run(patient, rulebook, models).exposure
    ordered = exposure.ordered["MedicationRequest/draft"]
    assert ordered.is_ordered
    assert ordered.why_not is not None
    assert "600 mg" in ordered.why_not


def test_impaired_kidneys_lower_the_maximum_and_say_why(rulebook: Rulebook, models: Models) -> None:
    patient = record(
        orders=(order(400),),
        levels=(level(720),),
        labs=(lab("weight", 70, unit="kg"), lab("crcl", 30, unit="mL/min")),
    )
    assessment = run(patient, rulebook, models)
    assert assessment.policy.limits.max_daily_mg == 400
    assert "creatinine clearance 30" in assessment.policy.limits.why[0]
    assert assessment.exposure.best is None
    assert assessment.exposure.no_option_reason is not None


def test_a_once_daily_patient_is_not_offered_the_same_dose_split(
    rulebook: Rulebook, models: Models
) -> None:
    exposure = run(record(orders=(order(400),), levels=(level(720),)), rulebook, models).exposure
    assert {o.interval_h for o in exposure.options} == {24.0}


def test_a_twice_daily_patient_may_stay_so(rulebook: Rulebook, models: Models) -> None:
    twice = Regimen((PlannedDose(0, 200), PlannedDose(12, 200)), 24.0)
    patient = record(orders=(order(regimen=twice),), levels=(level(900, hours_post_dose=12),))
    exposure = run(patient, rulebook, models).exposure
    assert exposure.current is not None
    assert exposure.current.interval_h == 12
    assert 24.0 in {o.interval_h for o in exposure.options}


def test_overlapping_orders_yield_no_number(rulebook: Rulebook, models: Models) -> None:
    orders = (order(400), order(400, reference="MedicationRequest/2"))
    assessment = run(record(orders=orders, levels=(level(720),)), rulebook, models)
    assert assessment.exposure.state is ExposureState.NOT_POSSIBLE
    assert assessment.exposure.options == ()
    assert "orders-overlap" in [p.code for p in assessment.problems]


def test_a_child_gets_no_dose_number_by_default(rulebook: Rulebook, models: Models) -> None:
    patient = record(age=9, orders=(order(300),), levels=(level(720),))
    exposure = run(patient, rulebook, models).exposure
    assert exposure.state is ExposureState.WITHHELD
    assert exposure.options == ()
    assert exposure.current is None


def test_a_patient_outside_every_models_domain_gets_reasons_instead_of_numbers(
    rulebook: Rulebook, models: Models
) -> None:
    patient = record(age=97, orders=(order(400),), levels=(level(720),))
    exposure = run(patient, rulebook, models).exposure
    if exposure.state is ExposureState.OUT_OF_DOMAIN:
        assert exposure.reasons
        assert exposure.options == ()
    else:
        assert any("age" in reason for reason in exposure.reasons)


def test_a_level_no_patient_could_have_makes_the_fit_unreliable_and_offers_no_dose(
    rulebook: Rulebook, models: Models
) -> None:
    exposure = run(record(orders=(order(400),), levels=(level(10),)), rulebook, models).exposure
    assert exposure.state is ExposureState.UNRELIABLE
    assert exposure.reasons
    assert exposure.options == ()


def test_a_level_soon_after_the_dose_shows_an_estimate_but_stays_no_trough(
    rulebook: Rulebook, models: Models
) -> None:
    patient = record(orders=(order(400),), levels=(level(1900, hours_post_dose=4),))
    gated = run(patient, rulebook, models).levels[-1]
    assert gated.gate is Gate.TOO_EARLY
    assert gated.correction == "model"
    assert gated.trough_ng_ml is not None
    assert not gated.gate.comparable


def test_the_models_correction_never_narrows_the_interval(
    rulebook: Rulebook, models: Models
) -> None:
    patient = record(orders=(order(400),), levels=(level(800, hours_post_dose=30),))
    gated = run(patient, rulebook, models).levels[-1]
    assert gated.gate is Gate.CORRECTED
    assert gated.trough_low_ng_ml is not None
    assert gated.trough_high_ng_ml is not None
    assert gated.trough_low_ng_ml <= 918.5
    assert gated.trough_high_ng_ml >= 1217.5


def test_rifampicin_explains_a_low_level_instead_of_the_patient(
    rulebook: Rulebook, models: Models
) -> None:
    plain = record(orders=(order(400),), levels=(level(260),))
    induced = record(
        orders=(order(400),), levels=(level(260),), medicines=(medicine("rifampicin", days=60),)
    )
    alone = run(plain, rulebook, models).exposure.posterior
    with_partner = run(induced, rulebook, models).exposure.posterior
    assert alone is not None
    assert with_partner is not None
    assert alone.eta["CL"] > with_partner.eta["CL"]


def test_an_inducer_of_unknown_size_blinds_the_model_until_a_level_is_taken_under_it(
    rulebook: Rulebook, models: Models
) -> None:
    fresh = record(orders=(order(400),), medicines=(medicine("enzalutamide", days=10),))
    exposure = run(fresh, rulebook, models).exposure
    assert exposure.state is ExposureState.NOT_POSSIBLE
    assert "Enzalutamide" in exposure.reasons[0]
    settled = record(
        orders=(order(400),), medicines=(medicine("enzalutamide", days=90),), levels=(level(500),)
    )
    assert run(settled, rulebook, models).exposure.state is ExposureState.FITTED


def test_five_years_of_treatment_weigh_no_more_than_the_last_month(
    rulebook: Rulebook, models: Models
) -> None:
    short = record(orders=(order(400, since_days=100),), levels=(level(720),))
    long = record(orders=(order(400, since_days=1825),), levels=(level(720),))
    a, b = (run(p, rulebook, models).exposure.posterior for p in (short, long))
    assert a is not None
    assert b is not None
    assert a.parameters["CL"] == pytest.approx(b.parameters["CL"], rel=1e-6)


def test_a_first_order_is_judged_by_the_population(rulebook: Rulebook, models: Models) -> None:
    patient = record(orders=(order(400, draft=True),))
    exposure = run(patient, rulebook, models).exposure
    assert exposure.state is ExposureState.POPULATION
    assert exposure.current is None
    assert exposure.ordered["MedicationRequest/1"].percent_in > 0


def test_a_level_before_a_dose_change_still_informs_the_present(
    rulebook: Rulebook, models: Models
) -> None:
    orders = (
        order(400, since_days=300, status=OrderStatus.STOPPED, stopped_days=20),
        order(600, since_days=20, reference="MedicationRequest/2"),
    )
    exposure = run(record(orders=orders, levels=(level(720, days=40),)), rulebook, models).exposure
    assert exposure.state is ExposureState.FITTED
    assert exposure.current is not None
    assert exposure.current.daily_mg == 600


def test_assessing_twice_gives_the_same_assessment(rulebook: Rulebook, models: Models) -> None:
    patient = record(orders=(order(400),), levels=(level(720),))
    first, second = (run(patient, rulebook, models) for _ in range(2))
    assert first.facts == second.facts
    assert first.exposure.options == second.exposure.options


def test_shifting_every_date_together_changes_nothing(rulebook: Rulebook, models: Models) -> None:
    patient = record(orders=(order(400),), levels=(level(720),))
    setting = Setting(Occasion.PATIENT_VIEW)
    here = assess(patient, rulebook, models, setting, now=NOW).exposure
    later = assess(patient, rulebook, models, setting, now=NOW + timedelta(hours=1)).exposure
    assert here.current is not None
    assert later.current is not None
    assert here.current.trough_ng_ml == pytest.approx(later.current.trough_ng_ml, rel=1e-3)


def test_a_dose_within_the_tolerance_is_shown_when_none_reaches_the_target(
    rulebook: Rulebook, models: Models
) -> None:
    """600 mg is the label's maximum; its expected trough misses 1000 but not 750 ng/mL."""
    patient = record(orders=(order(400),), levels=(level(640),))
    exposure = run(patient, rulebook, models).exposure
    assert exposure.best is not None
    assert exposure.best.daily_mg == 600
    assert 750 <= exposure.best.trough_ng_ml < 1000
    assert exposure.best.percent_in < 50


def test_nothing_is_proposed_when_even_the_maximum_stays_far_below(
    rulebook: Rulebook, models: Models
) -> None:
    patient = record(orders=(order(400),), levels=(level(250),))
    exposure = run(patient, rulebook, models).exposure
    assert exposure.best is None
    assert exposure.no_option_reason is not None
