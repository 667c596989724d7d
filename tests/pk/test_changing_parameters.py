"""Parameters that change over the history: interactions, weight, time on treatment, occasions."""

import numpy as np
import pytest

import pk
from pk.curve import superposed, variability
from pk.individual import individual
from pk.stitched import stitched

from . import oracle
from .cases import ADULT, LINEAR, daily, subject

TIMES = np.array([100.0, 170.0, 250.3, 300.0, 400.0, 470.0])


def parameters_of(posterior):
    return dict(posterior.typical)


@pytest.mark.parametrize("name", LINEAR)
def test_one_segment_equals_plain_superposition(name):
    model = pk.load_model(name)
    case = pk.Case(subject(), daily(20), treatment_start_h=-1e6)
    person, effects = individual(case, model), variability(model, case)
    eta = np.stack([np.full(len(effects.omega), 0.1), np.full(len(effects.omega), -0.3)])
    # transit absorption is cut into slices there
    rel = 2e-3 if "transit" in model.structure.absorption else 1e-9
    for analyte in model.structure.analytes:
        plain = superposed(person, effects.loads, TIMES, analyte)
        pieces = stitched(person, effects.loads, TIMES, analyte)
        assert pieces.at(eta) == pytest.approx(plain.at(eta), rel=rel)
        slopes = plain.with_slopes(eta)[1]
        got = pieces.with_slopes(eta)[1]
        assert got == pytest.approx(slopes, rel=0.05 if rel > 1e-3 else 1e-6, abs=2.0)


@pytest.mark.parametrize("name", ["widmer-2006", "gotta-2014", "petain-2008"])
@pytest.mark.parametrize("factor", [3.8, 0.7])
def test_an_inducer_that_comes_and_goes_agrees_with_the_ode(name, factor):
    model = pk.load_model(name)
    partner = pk.ClearanceEffect(
        factor, start_h=150.0, stop_h=320.0, onset_half_life_h=30.0, offset_half_life_h=40.0
    )
    case = pk.Case(subject(), daily(20), clearance_effects=[partner], treatment_start_h=-1e6)
    base = parameters_of(pk.fit(pk.Case(subject(), daily(20), treatment_start_h=-1e6), model))

    def at(t):
        return {**base, "CL": base["CL"] * partner.factor_at(t)}

    doses = [(d.time_h, d.amount_mg) for d in case.doses]
    for analyte in model.structure.analytes:
        expected = oracle.concentrations(at, doses, TIMES.tolist(), (150.0, 320.0), analyte)
        got = pk.fit(case, model).predict(TIMES, analyte)
        # the metabolite turns over within the hour and so feels the steps of a gradual change
        assert got == pytest.approx(expected, rel=5e-3 if analyte == "parent" else 0.03)


def test_an_abrupt_interaction_is_exact():
    model = pk.load_model("widmer-2006")
    partner = pk.ClearanceEffect(2.0, start_h=150.0, stop_h=320.0)
    case = pk.Case(ADULT, daily(20), clearance_effects=[partner])
    base = parameters_of(pk.fit(pk.Case(ADULT, daily(20)), model))

    def at(t):
        return {**base, "CL": base["CL"] * partner.factor_at(t)}

    expected = oracle.concentrations(
        at, [(d.time_h, d.amount_mg) for d in case.doses], TIMES.tolist(), (150.0, 320.0)
    )
    assert pk.fit(case, model).predict(TIMES) == pytest.approx(expected, rel=1e-7)


def test_a_change_in_the_middle_of_absorption_holds_for_slow_and_fast_alike():
    """Half of the parameter sets still absorb when clearance changes, the others are through."""
    model = pk.load_model("golabchifar-2014")
    partner = pk.ClearanceEffect(3.0, start_h=49.5)
    case = pk.Case({}, daily(3), clearance_effects=[partner])
    person, effects = individual(case, model), variability(model, case)
    eta = np.array([[0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    times = np.array([49.6, 52.0, 60.0])
    together = stitched(person, effects.loads, times, "parent").at(eta)
    for row, got in zip(eta, together, strict=True):
        theta = person.typical * np.exp(effects.loads @ row)
        base = dict(zip(model.structure.parameters, theta.tolist(), strict=True))
        base["CL"] /= partner.lasting_factor

        def at(t, base=base):
            return {**base, "CL": base["CL"] * partner.factor_at(t)}

        doses = [(d.time_h, d.amount_mg) for d in case.doses]
        expected = oracle.concentrations(at, doses, times.tolist(), (49.5,))
        assert got == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("name", LINEAR)
def test_a_change_at_the_time_of_a_dose_loses_no_dose_to_rounding(name):
    model = pk.load_model(name)
    times = np.array([481.0, 490.0, 520.0])
    doses = [pk.Dose(0.1 + 24.0 * day, 400.0) for day in range(22)]

    def levels(start_h, **more):
        partner = pk.ClearanceEffect(0.7, start_h=start_h)
        case = pk.Case(subject(), doses, clearance_effects=[partner], treatment_start_h=0, **more)
        person, effects = individual(case, model), variability(model, case)
        at = stitched(person, effects.loads, times, "parent").at
        return at(np.zeros((1, len(effects.omega))))

    hour = doses[20].time_h
    expected = levels(hour + 1e-6)
    for rounding in (-9e-10, -1e-13, 0.0, 1e-13, 9e-10):
        assert levels(hour + rounding) == pytest.approx(expected, rel=1e-5)
        assert levels(hour, occasions_h=(0.0, hour + rounding)) == pytest.approx(expected, rel=1e-5)


def test_a_lasting_interaction_is_part_of_the_clearance():
    model = pk.load_model("widmer-2006")
    always = pk.ClearanceEffect(3.85)
    alone = pk.fit(pk.Case(ADULT, daily(5)), model)
    together = pk.fit(pk.Case(ADULT, daily(5), clearance_effects=[always]), model)
    assert together.typical["CL"] == pytest.approx(3.85 * alone.typical["CL"])
    regimen = pk.Regimen(400.0, 24.0)
    ratio = together.steady_state(regimen).auc24_mg_h_l / alone.steady_state(regimen).auc24_mg_h_l
    assert ratio == pytest.approx(1.0 / 3.85)
    assumed = alone.steady_state(regimen, clearance_factor=3.85)
    assert assumed.trough_ng_ml == pytest.approx(together.steady_state(regimen).trough_ng_ml)


def test_an_effect_that_has_faded_leaves_the_usual_clearance():
    partner = pk.ClearanceEffect(3.8, start_h=0.0, stop_h=100.0, offset_half_life_h=10.0)
    assert partner.factor_at(50.0) == pytest.approx(3.8)
    assert partner.factor_at(110.0) == pytest.approx(1.0 + 2.8 / 2.0)
    assert partner.factor_at(1000.0) == pytest.approx(1.0)
    assert partner.lasting_factor == 1.0


def test_the_mean_factor_is_the_integral_of_the_factor():
    partner = pk.ClearanceEffect(
        0.5, start_h=10.0, stop_h=60.0, onset_half_life_h=7.0, offset_half_life_h=12.0
    )
    for a, b in [(0.0, 5.0), (0.0, 30.0), (12.0, 50.0), (20.0, 90.0), (70.0, 200.0)]:
        grid = np.linspace(a, b, 200_001)
        middle = 0.5 * (grid[1:] + grid[:-1])
        expected = np.mean([partner.factor_at(t) for t in middle[::40]])
        assert partner.mean_factor(a, b) == pytest.approx(expected, rel=1e-4)


def test_a_growing_child_is_followed_through_its_weight():
    model = pk.load_model("menon-andersen-2009")
    weight = pk.Piecewise((0.0, 2000.0, 4000.0), (20.0, 24.0, 30.0))
    child = {"weight_kg": weight, "age_years": 8.0, "indication": "cml"}
    case = pk.Case(child, daily(220, 200.0))
    fitted = pk.fit(case, model)
    times = [1990.0, 2010.0, 3990.0, 4060.0, 5200.0]

    def at(t):
        w = weight.at(t)
        constant = pk.Case({**child, "weight_kg": w}, daily(1))
        return parameters_of(pk.fit(constant, model))

    table = {w: at(t) for t, w in zip((0.0, 2000.0, 4000.0), weight.values, strict=True)}
    expected = oracle.concentrations(
        lambda t: table[weight.at(t)],
        [(d.time_h, d.amount_mg) for d in case.doses],
        times,
        (2000.0, 4000.0),
    )
    # volume changes with weight, so at a change the same amount is another concentration
    assert fitted.predict(times) == pytest.approx(expected, rel=1e-6)
    assert fitted.typical["CL"] == pytest.approx(10.8 * (30.0 / 70.0) ** 0.75)


def test_exposure_falls_with_time_on_treatment_as_eechoute_found():
    """The abstract: systemic exposure 29.3 % lower after 90 days."""
    model = pk.load_model("eechoute-2012")
    fitted = pk.fit(pk.Case({"indication": "gist"}, daily(400)), model)

    def auc(day):
        times = 24.0 * day + np.linspace(0.0, 24.0, 97)
        return float(np.trapezoid(fitted.predict(times[1:]), times[1:]))

    early = np.mean([auc(d) for d in range(8, 13)])
    assert auc(90) / early == pytest.approx(1.0 - 0.293, abs=0.08)
    assert auc(380) == pytest.approx(400.0 / 9.12 * 1000.0, rel=0.01)


def test_clearance_changes_at_day_29_as_schmidli_found():
    model = pk.load_model("schmidli-2005")
    patient = {"weight_kg": 80.0, "hemoglobin_g_dl": 13.0, "wbc_10e9_l": 16.0}
    person = individual(pk.Case(patient, daily(60)), model)
    assert person.typical_at(24.0)[0] == pytest.approx(13.8)
    assert person.typical_at(24.0 * 40)[0] == pytest.approx(13.8 - 3.18)
    assert person.typical[0] == pytest.approx(13.8 - 3.18)


def test_each_occasion_gets_its_own_deviation():
    model = pk.load_model("golabchifar-2014")
    levels = [pk.Level(29 * 24.0 + 20.0, 900.0), pk.Level(89 * 24.0 + 20.0, 1300.0)]
    one = pk.fit(pk.Case({"indication": "cml"}, daily(95), levels), model)
    two = pk.fit(
        pk.Case({"indication": "cml"}, daily(95), levels, occasions_h=(0.0, 60 * 24.0)), model
    )
    assert two.eta["CL on occasion 1"] > 0.0 > two.eta["CL on occasion 2"]
    misfit_one = np.abs(one.predict([v.time_h for v in levels]) - [900.0, 1300.0]).max()
    misfit_two = np.abs(two.predict([v.time_h for v in levels]) - [900.0, 1300.0]).max()
    assert misfit_two < 0.5 * misfit_one


def test_one_occasion_carries_both_variances():
    model = pk.load_model("golabchifar-2014")
    effects = variability(model, pk.Case({}, daily(3)))
    assert effects.omega[0, 0] == pytest.approx(0.302**2 + 0.17**2)


def test_a_level_after_an_inducer_was_stopped_is_read_with_the_right_clearance():
    """Level drawn under induction: clearance is the patient's own, not the induced one."""
    model = pk.load_model("widmer-2006")
    partner = pk.ClearanceEffect(3.0, start_h=0.0, stop_h=29.5 * 24.0)
    base = pk.Case(ADULT, daily(30), clearance_effects=[partner])
    expected = pk.fit(base, model).predict([29 * 24.0 + 11.0])[0]
    read = pk.fit(base.with_levels([pk.Level(29 * 24.0 + 11.0, float(expected))]), model)
    assert read.parameters["CL"] == pytest.approx(read.typical["CL"], rel=0.1)
    ignored = pk.fit(pk.Case(ADULT, daily(30), read.case.levels), model)
    assert ignored.parameters["CL"] > 1.5 * ignored.typical["CL"]
