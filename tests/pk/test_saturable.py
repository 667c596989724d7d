"""Saturable binding (Said 2025): against an ODE solver, and what it refuses."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pk
from pk.curve import curve, variability
from pk.individual import individual

from .cases import DAILY_400, daily

PATIENT = {"agp_g_l": 0.8, "age_years": 60.0, "indication": "cml"}
DOSES = [(0.0, 400.0), (24.0, 400.0), (48.0, 800.0), (72.0, 400.0)]
TIMES = np.array([0.5, 2.0, 23.9, 50.0, 54.0, 71.0, 95.0])


@pytest.fixture(scope="module")
def model():
    return pk.load_model("said-2025")


def solved(p, analyte):
    """The published equations, written out plainly and integrated with small tolerances."""

    def unbound(total, capacity):
        b = total - capacity - p["Kd"]
        return 0.5 * (b + np.sqrt(b * b + 4.0 * p["Kd"] * total))

    def slope(_t, x):
        free = unbound(1000.0 * x[1] / p["V"], p["Bmax"]) / 1000.0
        free_m = unbound(1000.0 * x[3] / p["Vm"], p["Bmaxm"]) / 1000.0
        swap = p["Q"] * free - p["Q"] / p["V2"] * x[2]
        made = 0.97 * 0.15 * p["CL"] * free
        return [
            -p["ka"] * x[0],
            p["ka"] * x[0] - p["CL"] * free - swap,
            swap,
            made - p["CLm"] * free_m,
        ]

    x, at, found = np.zeros(4), 0.0, []
    amounts = dict(DOSES)
    for stop in sorted({*TIMES.tolist(), *amounts}):
        if stop > at:
            x = solve_ivp(slope, (at, stop), x, method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
            at = stop
        if stop in TIMES:
            found.append(x[1] / p["V"] if analyte == "parent" else x[3] / p["Vm"])
        x = x + np.array([0.98 * amounts.get(stop, 0.0), 0.0, 0.0, 0.0])
    return 1000.0 * np.array(found)


@pytest.mark.parametrize("analyte", ["parent", "metabolite"])
@pytest.mark.parametrize("agp", [0.4, 0.8, 2.5])
def test_concentrations_agree_with_the_published_equations(model, analyte, agp):
    case = pk.Case({**PATIENT, "agp_g_l": agp}, [pk.Dose(*d) for d in DOSES])
    posterior = pk.fit(case, model)
    expected = solved(dict(posterior.typical), analyte)
    assert posterior.predict(TIMES, analyte) == pytest.approx(expected, rel=2e-3)


def test_the_gradient_agrees_with_differences(model):
    case = pk.Case(PATIENT, [pk.Dose(*d) for d in DOSES])
    person, effects = individual(case, model), variability(model, case)
    line = curve(person, effects, TIMES, "metabolite")
    eta = np.full(6, 0.1)
    value, slopes = line.with_slopes(eta)
    assert value == pytest.approx(line.at(eta), rel=1e-12)
    for i in range(6):
        step = np.zeros(6)
        step[i] = 1e-5
        difference = (line.at(eta + step) - line.at(eta - step)) / 2e-5
        assert slopes[:, i] == pytest.approx(difference, rel=1e-5, abs=1e-4)


def test_more_binding_protein_holds_more_drug_in_plasma(model):
    troughs = [
        pk.fit(pk.Case({**PATIENT, "agp_g_l": agp}, daily(12)), model).predict([287.9])[0]
        for agp in (0.5, 1.0, 2.0)
    ]
    assert troughs[0] < troughs[1] < troughs[2]


def test_concentrations_are_not_proportional_to_the_dose(model):
    low, high = (
        pk.fit(pk.Case(PATIENT, daily(10, mg)), model).predict([239.0])[0] for mg in (400.0, 1600.0)
    )
    assert high < 3.9 * low


def test_a_level_is_fitted_and_explained(model):
    case = pk.Case(PATIENT, daily(6), [pk.Level(143.0, 1200.0)])
    posterior = pk.fit(case, model)
    assert posterior.minimum is not None
    assert posterior.minimum.converged.all()
    prior = pk.fit(case.with_levels([]), model)
    assert prior.predict([143.0])[0] < posterior.predict([143.0])[0] < 1200.0
    assert posterior.eta["CLm"] == pytest.approx(0.0, abs=1e-9)


def test_a_change_of_binding_protein_is_followed(model):
    steady = pk.fit(pk.Case(PATIENT, daily(10)), model).predict([239.0])
    acute = pk.Piecewise((0.0, 120.0), (0.8, 2.4))
    rising = pk.fit(pk.Case({**PATIENT, "agp_g_l": acute}, daily(10)), model).predict([239.0])
    assert rising > 1.3 * steady


def test_what_rests_on_proportionality_is_refused(model):
    case = pk.Case(PATIENT, daily(6), [pk.Level(143.0, 1000.0)])
    posterior = pk.fit(case.with_levels([]), model)
    with pytest.raises(pk.errors.NotSupportedError, match="proportional"):
        posterior.trough_nodes(24.0)
    with pytest.raises(pk.errors.NotSupportedError, match="do not add up"):
        pk.infer_adherence(case, model)
    other = pk.load_model("petain-2008")
    members = {m.model.id: m for m in pk.average(case, [model, other]).members}
    assert "not proportional" in str(members["said-2025"].excluded_because)


def test_steady_state_is_simulated(model):
    prediction = pk.fit(pk.Case(PATIENT, daily(1)), model).steady_state(DAILY_400)
    long = pk.fit(pk.Case(PATIENT, daily(60)), model).predict([59 * 24.0 + 24.0])[0]
    assert prediction.trough_ng_ml == pytest.approx(long, rel=1e-3)
    assert prediction.trough_interval[0] < prediction.trough_median < prediction.trough_interval[1]
    assert prediction.peak_ng_ml > prediction.trough_ng_ml
    assert 5.0 < prediction.half_life_h < 30.0
    endless = pk.fit(pk.Case.at_steady_state(PATIENT, DAILY_400), model).predict([24.0])[0]
    assert endless == pytest.approx(prediction.trough_ng_ml, rel=1e-3)
