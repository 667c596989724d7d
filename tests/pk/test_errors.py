"""Bad input raises a typed error that names the field."""

import math

import pytest

import pk
from pk.errors import (
    CaseError,
    LevelNotUsedError,
    MissingCovariateError,
    PkError,
    UnknownModelError,
)

from .cases import ADULT, daily

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("doses", lambda: pk.Case(ADULT)),
        ("doses[1].time_h", lambda: pk.Case(ADULT, [pk.Dose(0.0, 400.0), pk.Dose(NAN, 400.0)])),
        ("doses[0].amount_mg", lambda: pk.Case(ADULT, [pk.Dose(0.0, -400.0)])),
        ("doses[0].amount_mg", lambda: pk.Case(ADULT, [pk.Dose(0.0, NAN)])),
        ("doses[0].amount_mg", lambda: pk.Case(ADULT, [pk.Dose(0.0, INF)])),
        ("levels[0].time_h", lambda: pk.Case(ADULT, daily(3), [pk.Level(-1.0, 500.0)])),
        ("levels[0].time_h", lambda: pk.Case(ADULT, daily(3), [pk.Level(0.0, 500.0)])),
        ("levels[0].time_h", lambda: pk.Case(ADULT, daily(3), [pk.Level(NAN, 500.0)])),
        (
            "levels[1].ng_ml",
            lambda: pk.Case(ADULT, daily(3), [pk.Level(5.0, 9.0), pk.Level(6.0, NAN)]),
        ),
        ("levels[0].ng_ml", lambda: pk.Case(ADULT, daily(3), [pk.Level(5.0, -3.0)])),
        ("levels[0].ng_ml", lambda: pk.Case(ADULT, daily(3), [pk.Level(5.0, 0.0)])),
        (
            "levels[0].lloq_ng_ml",
            lambda: pk.Case(ADULT, daily(3), [pk.Level(5.0, 0.0, below_loq=True)]),
        ),
        ("covariates.weight_kg", lambda: pk.Case({**ADULT, "weight_kg": 7000.0}, daily(3))),
        ("covariates.weight_kg", lambda: pk.Case({**ADULT, "weight_kg": NAN}, daily(3))),
        ("covariates.weight_kg", lambda: pk.Case({**ADULT, "weight_kg": "70"}, daily(3))),
        ("covariates.weight_kg", lambda: pk.Case({**ADULT, "weight_kg": True}, daily(3))),
        ("covariates.age_years", lambda: pk.Case({**ADULT, "age_years": -1.0}, daily(3))),
        ("covariates.shoe_size", lambda: pk.Case({**ADULT, "shoe_size": 43.0}, daily(3))),
        ("covariates.indication", lambda: pk.Case({**ADULT, "indication": "CML"}, daily(3))),
        (
            "covariates.weight_kg",
            lambda: pk.Case(
                {**ADULT, "weight_kg": pk.Piecewise((0.0, 9.0), (70.0, 7000.0))}, daily(3)
            ),
        ),
        ("covariates", lambda: pk.Piecewise((0.0, 0.0), (70.0, 71.0))),
        ("covariates", lambda: pk.Piecewise((), ())),
        ("regimen.interval_h", lambda: pk.Regimen(400.0, NAN)),
        ("clearance_effects.factor", lambda: pk.ClearanceEffect(0.0)),
        ("clearance_effects.stop_h", lambda: pk.ClearanceEffect(2.0, start_h=5.0, stop_h=4.0)),
        ("clearance_effects.start_h", lambda: pk.ClearanceEffect(2.0, start_h=NAN)),
        (
            "clearance_effects.onset_half_life_h",
            lambda: pk.ClearanceEffect(2.0, onset_half_life_h=-1.0),
        ),
        (
            "doses[0].time_h",
            lambda: pk.Case(
                ADULT, daily(2), steady_state=pk.SteadyState(pk.Regimen(400.0, 24.0), 24.0)
            ),
        ),
        (
            "steady_state.last_dose_h",
            lambda: pk.Case(ADULT, steady_state=pk.SteadyState(pk.Regimen(400.0, 24.0), NAN)),
        ),
    ],
)
def test_bad_input_names_its_field(field, build):
    with pytest.raises(CaseError) as caught:
        build()
    assert caught.value.field == field
    assert field in str(caught.value)


def test_a_level_that_is_excluded_may_be_anything_with_a_time():
    odd = pk.Level(-5.0, -1.0, excluded_because="no dose before it")
    assert pk.Case(ADULT, daily(3), [odd]).used_levels == ()


def test_a_missing_required_covariate_names_model_and_field():
    with pytest.raises(MissingCovariateError, match=r"covariates\.age_years: widmer-2006"):
        pk.fit(pk.Case({"sex": "male"}, daily(3)), pk.load_model("widmer-2006"))


def test_a_level_the_model_cannot_describe_is_never_dropped():
    level = pk.Level(20.0, 200.0, analyte="metabolite")
    with pytest.raises(LevelNotUsedError, match="metabolite"):
        pk.fit(pk.Case(ADULT, daily(3), [level]), pk.load_model("widmer-2006"))


def test_a_level_before_anything_is_absorbed_is_never_dropped():
    case = pk.Case({}, daily(1), [pk.Level(0.05, 200.0)])
    with pytest.raises(LevelNotUsedError, match=r"levels\[0\]"):
        pk.fit(case, pk.load_model("golabchifar-2014"))


def test_a_formula_that_leaves_the_possible_is_out_of_domain():
    patient = {"liver_metastases_cm3": 3000.0}
    with pytest.raises(pk.errors.OutOfDomainError, match=r"parameters\.CL"):
        pk.fit(pk.Case(patient, daily(3)), pk.load_model("eechoute-2012"))


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(UnknownModelError, match="widmer-2006"):
        pk.load_model("widmer")
    with pytest.raises(UnknownModelError):
        pk.load_model("_covariates")
    with pytest.raises(UnknownModelError):
        pk.load_model("../models/widmer-2006")


def test_all_errors_have_one_base():
    for name in dir(pk.errors):
        kind = getattr(pk.errors, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, PkError)
            assert issubclass(kind, ValueError)
