"""The doses weighed for a patient: coherent, one usual step at most, never out of range."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cds.assess.assessment import DoseOption, Exposure
from cds.clinical.regimen import OrderStatus, PlannedDose, Regimen
from cds.clinical.setting import Jurisdiction
from cds.rulebook import Rulebook
from tests.assess.build import condition, lab, level, order, record
from tests.assess.test_exposure import Models, run

CASES = [
    (mg, trough, where)
    for mg in (300.0, 400.0, 600.0)
    for trough in (450.0, 720.0, 980.0, 1300.0, 2400.0)
    for where in Jurisdiction
]


@pytest.mark.parametrize(("mg", "trough", "where"), CASES)
def test_the_doses_are_coherent_whatever_was_measured(
    mg: float, trough: float, where: Jurisdiction, rulebook: Rulebook, models: Models
) -> None:
    assessment = run(
        record(orders=(order(mg),), levels=(level(trough),)), rulebook, models, jurisdiction=where
    )
    exposure, policy = assessment.exposure, assessment.policy
    assert exposure.state.quantitative
    assert sum(option.is_current for option in exposure.options) == 1
    assert sum(option.is_best for option in exposure.options) <= 1
    by_interval: dict[float, list[DoseOption]] = {}
    for option in sorted(exposure.options, key=lambda o: o.daily_mg):
        by_interval.setdefault(option.interval_h, []).append(option)
        assert option.percent_below + option.percent_in + option.percent_above == pytest.approx(100)
        if option.trough_high_ng_ml < policy.target.low_ng_ml:
            assert option.percent_below >= 95 - 1e-6
        if option.trough_low_ng_ml >= policy.target.low_ng_ml:
            assert option.percent_below <= 5 + 1e-6
        if option.why_not is None:
            assert policy.limits.min_daily_mg <= option.daily_mg <= policy.limits.max_daily_mg
            assert policy.limits.steps_between(mg, option.daily_mg) <= 1
            assert option.tablets
    for rows in by_interval.values():
        for lower, higher in pairwise(rows):
            assert lower.trough_ng_ml < higher.trough_ng_ml
            assert lower.percent_below >= higher.percent_below
            assert lower.percent_above <= higher.percent_above


def best_mg(exposure: Exposure) -> float | None:
    return exposure.best.daily_mg if exposure.best else None


def test_two_steps_at_once_are_weighed_but_never_the_best_fit(
    rulebook: Rulebook, models: Models
) -> None:
    gist = (condition("gist-advanced", "gist"),)
    patient = record(conditions=gist, orders=(order(400),), levels=(level(600),))
    exposure = run(patient, rulebook, models, jurisdiction=Jurisdiction.EU).exposure
    assert best_mg(exposure) == 600
    (far,) = [o for o in exposure.options if o.daily_mg == 800]
    assert far.too_far
    assert far.why_not is not None
    assert "more than one usual step" in far.why_not


def test_a_rise_is_never_the_best_fit_when_the_measured_trough_is_sufficient(
    rulebook: Rulebook, models: Models
) -> None:
    """The fit draws 1300 ng/mL towards the population, below 1000: still no reason for more."""
    exposure = run(record(orders=(order(400),), levels=(level(1300),)), rulebook, models).exposure
    assert exposure.current is not None
    assert exposure.current.trough_ng_ml < 1000
    assert best_mg(exposure) == 400
    (more,) = [o for o in exposure.options if o.daily_mg == 600]
    assert more.why_not == "the measured trough is sufficient already"


def test_a_sufficient_trough_under_an_earlier_dose_forbids_nothing(
    rulebook: Rulebook, models: Models
) -> None:
    orders = (
        order(600, since_days=200, status=OrderStatus.STOPPED, stopped_days=60),
        order(400, since_days=60, reference="MedicationRequest/2"),
    )
    patient = record(orders=orders, levels=(level(1100, days=70),))
    exposure = run(patient, rulebook, models).exposure
    assert all("sufficient" not in (o.why_not or "") for o in exposure.options)


def test_from_800_mg_in_two_doses_the_step_down_is_600_mg_once_daily(
    rulebook: Rulebook, models: Models
) -> None:
    twice = Regimen((PlannedDose(0, 400), PlannedDose(12, 400)), 24.0)
    patient = record(
        orders=(order(regimen=twice),),
        levels=(level(3600, hours_post_dose=12),),
        labs=(lab("weight", 78, unit="kg"),),
    )
    exposure = run(patient, rulebook, models, jurisdiction=Jurisdiction.EU).exposure
    assert {o.interval_h for o in exposure.options if o.daily_mg <= 600} == {24.0}
