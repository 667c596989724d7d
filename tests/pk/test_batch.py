"""Many patients at once give the answers of one by one."""

import numpy as np
import pytest

import pk
from pk.batch import prepare

from .cases import ADULT, DAILY_400, LINEAR, cohort, daily, subject


def test_the_cohort_agrees_to_a_hundred_millionth():
    model = pk.load_model("widmer-2006")
    together = pk.fit_many(cohort(), model)
    for case, posterior in zip(cohort(), together, strict=True):
        assert posterior.z == pytest.approx(pk.fit(case, model).z, abs=1e-8)


@pytest.mark.parametrize("name", LINEAR)
def test_every_model_agrees_whatever_its_structure(name):
    model = pk.load_model(name)
    cases = [
        pk.Case(
            subject(),
            daily(10 + i),
            [
                pk.Level(24.0 * (10 + i) - 1.0 - 0.1 * j, 500.0 + 100.0 * i)
                for j in range(1 + i % 3)
            ],
            treatment_start_h=-1e6,
        )
        for i in range(5)
    ]
    for case, posterior in zip(cases, pk.fit_many(cases, model), strict=True):
        assert posterior.z == pytest.approx(pk.fit(case, model).z, abs=1e-7)
        assert posterior.health.levels_used == len(case.levels)


def test_mixed_company_keeps_its_order():
    """No level, steady state, changing clearance, two analytes, an odd level: all in one list."""
    model = pk.load_model("petain-2008")
    effect = pk.ClearanceEffect(2.0, start_h=100.0)
    metabolite = pk.Level(23.0, 300.0, analyte="metabolite")
    cases = [
        pk.Case(subject(), daily(5)),
        pk.Case.at_steady_state(subject(), DAILY_400, [pk.Level(23.0, 900.0)]),
        pk.Case(subject(), daily(9), [pk.Level(200.0, 700.0)], clearance_effects=[effect]),
        pk.Case.at_steady_state(subject(), DAILY_400, [metabolite, pk.Level(23.0, 800.0)]),
        pk.Case(subject(), daily(9), [pk.Level(200.0, 20_000.0)]),
        pk.Case(subject(), daily(9), [pk.Level(200.0, 900.0), pk.Level(203.0, 1900.0)]),
    ]
    for case, posterior in zip(cases, pk.fit_many(cases, model), strict=True):
        assert posterior.case is case
        assert posterior.z == pytest.approx(pk.fit(case, model).z, abs=1e-7)


def test_one_batch_holds_patients_with_different_numbers_of_doses_and_levels():
    model = pk.load_model("widmer-2006")
    batches = prepare(cohort(), model)
    assert len(batches) == 1
    assert batches[0].solve().converged.all()
    assert sorted(batches[0].places) == list(range(len(cohort())))


def test_the_fault_of_one_patient_is_raised_not_hidden():
    model = pk.load_model("widmer-2006")
    good = pk.Case(ADULT, daily(3), [pk.Level(70.0, 500.0)])
    bad = pk.Case({"sex": "male"}, daily(3), [pk.Level(70.0, 500.0)])
    with pytest.raises(pk.errors.MissingCovariateError, match="age_years"):
        pk.fit_many([good, bad], model)


def test_an_empty_list_is_an_empty_answer():
    assert pk.fit_many([], pk.load_model("widmer-2006")) == []


def test_rows_do_not_influence_each_other():
    model = pk.load_model("gotta-2014")
    cases = [pk.Case(ADULT, daily(30), [pk.Level(719.0, y)]) for y in (100.0, 700.0, 4000.0)]
    alone = [pk.fit_many([c], model)[0].z for c in cases]
    together = [p.z for p in pk.fit_many(cases, model)]
    assert np.allclose(alone, together, atol=1e-10)
