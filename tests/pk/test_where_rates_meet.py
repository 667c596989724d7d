"""Absorption as fast as elimination, faster and slower: every way is as exact as any other.

The closed form of a first-order input divides by the difference of two rates. At their meeting only
the formula is singular, so nothing may be seen of it in a value, a slope or a Hessian.
"""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pk
from pk.changing import changing
from pk.curve import variability
from pk.individual import individual
from pk.meeting import fading_mean
from pk.one_compartment import FixedInput, layout
from pk.response import concentrations, concentrations_with_slopes, design
from pk.stitched import segments, stitched
from pk.structure import MEETING, Structure

from . import exact
from .cases import subject

VALUE, SLOPE = 1e-9, 1e-7
V = 200.0
KA = 0.609
#: Where the rates are the same, around the switch to the other formula, and far on both sides.
RATIOS = [0.0, 1e-15, -1e-12, 1e-9, -1e-7, 1e-6, -1e-4, 2e-3, -0.9999 * MEETING, 1.0001 * MEETING]
RATIOS += [-0.02, 0.1, 0.7, 20.0, -0.5, -0.95, -0.999]
HISTORIES = {
    "one dose": pk.Case({}, [pk.Dose(0.0, 400.0)]),
    "irregular": pk.Case({}, [pk.Dose(t, mg) for t, mg in ((0, 400), (24, 400), (49.5, 800))]),
    "regular": pk.Case({}, [pk.Dose(12.0 * i, 400.0) for i in range(5)]),
    "for ever": pk.Case.at_steady_state(
        {}, pk.Regimen(400.0, 24.0), doses=[pk.Dose(24.0, 400.0), pk.Dose(47.0, 300.0)]
    ),
}


def test_the_mean_of_a_fading_exponential_is_exact_for_every_argument():
    points = [0.0, 1e-300, 1e-9, -1e-4, 0.4999, -0.5, 0.5001, 3.0, -9.0, 40.0]
    found = np.array(fading_mean(np.array(points)))
    for x, got in zip(points, found.T, strict=True):
        for order, value in enumerate(got.tolist()):
            wanted = exact.mp.quad(
                lambda u, x=x, n=order: (-u) ** n * exact.mp.exp(-exact.mp.mpf(x) * u),
                [0, 1],
            )
            assert value == pytest.approx(float(wanted), rel=3e-15 * max(1.0, abs(x)))


@cache
def truth(name, number, k, kind, after_h):
    """g = V c at each time, and k g' and k^2 g'', in fifty digits."""
    case = HISTORIES[name]
    doses = [(d.time_h, d.amount_mg) for d in case.doses]
    steady = case.steady_state
    if steady is not None:
        steady = (steady.last_dose_h, steady.regimen.amount_mg, steady.regimen.interval_h)
    times = [case.history.end_h + t for t in after_h if case.history.end_h + t > 0.0]

    def solve(step):
        p = {"CL": exact.mp.mpf(k) * V * exact.mp.exp(step), "V": exact.mp.mpf(V), kind: number}
        c = exact.concentrations(lambda t: p, doses, times, steady=steady)
        return [V * x for x in c]

    value, slope, bend = (np.array(x, dtype=float) for x in exact.slopes(solve))
    return times, value, slope, bend - slope


def every_way(structure, case, k, number, times):
    """g = V c, and k g' and k^2 g'' where the way has them."""
    history, times = case.history, np.array(times)
    laid_out = layout(
        structure, [history], np.zeros(len(times), dtype=int), times, np.full(len(times), number)
    )
    yield "one patient", np.array(laid_out.g_alone(k)).T * [[1.0], [k], [k * k]]
    stacked = laid_out.g(np.full(len(times), k))
    yield "stacked", np.array(stacked) * [[1.0], [k], [k * k]]
    plan = design(history, times, number if structure.absorption == "zero-order" else 0.0)
    theta = np.array([k * V, V, number])
    yield "general", V * concentrations(structure, theta, plan)[None]
    f, slopes = concentrations_with_slopes(structure, theta, np.array([0]), plan, "parent")
    yield "general with slopes", V * np.array([f, slopes[:, 0]])
    typical = structure.named(np.array([0.04 * V, V, number]))
    k_ratios = np.array([1.0, k / 0.04])
    many = FixedInput(structure, typical, plan).concentrations(k_ratios, np.ones(2))
    yield "many parameter sets", V * many[1:]


def check(structure, name, k, number, kind, after_h):
    times, *wanted = truth(name, number, k, kind, after_h)
    scale = np.maximum(wanted[0], 1e-12 * wanted[0].max())
    for way, found in every_way(structure, HISTORIES[name], k, number, times):
        for order, (got, right) in enumerate(zip(found, wanted, strict=False)):
            error = np.abs(got - right) / np.maximum(scale, np.abs(right) * (order > 0))
            assert error.max() < (SLOPE if order else VALUE), (way, order, error)


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("ratio", RATIOS)
def test_first_order_input_is_exact_on_both_sides_and_at_the_meeting(name, ratio):
    structure = Structure("one-compartment", "first-order")
    # soon after a dose, at its very time (the dose does not count yet), at a trough, days later
    check(structure, name, KA * (1.0 + ratio), KA, "ka", (0.1, 0.0, 2.0, 23.9, 60.0))


@pytest.mark.parametrize("name", ["one dose", "irregular", "regular"])
@pytest.mark.parametrize("duration", [1e-6, 1e-3, 1.5, 11.0])
@pytest.mark.parametrize("k", [1e-4, 0.04, 3.0])
def test_zero_order_input_is_exact_down_to_a_dose_at_once(name, duration, k):
    structure = Structure("one-compartment", "zero-order")
    check(structure, name, k, duration, "D", (0.1, 0.0, 2.0, 23.9))


@settings(max_examples=40, deadline=None)
@given(st.floats(-16.0, -1.0), st.booleans(), st.sampled_from([0.05, 0.329, 2.0]))
def test_no_distance_between_the_rates_is_a_bad_one(digits, above, ka):
    ratio = 10.0**digits * (1.0 if above else -1.0)
    structure = Structure("one-compartment", "first-order")
    check(structure, "regular", ka * (1.0 + ratio), ka, "ka", (2.0, 23.9))


def test_twenty_years_of_doses_are_those_of_ever():
    structure = Structure("one-compartment", "first-order")
    years = pk.Case({}, [pk.Dose(12.0 * i - 175_200.0, 400.0) for i in range(14_601)])
    ever = pk.Case.at_steady_state({}, pk.Regimen(400.0, 12.0), last_dose_h=0.0)
    for k in (1e-3, 0.04, KA, KA * (1.0 + 1e-5), 5.0):
        ways = [every_way(structure, case, k, KA, [0.5, 11.9]) for case in (years, ever)]
        for (way, a), (_, b) in zip(*ways, strict=True):
            assert a == pytest.approx(b, rel=1e-9), way


@pytest.mark.parametrize("distance", [0.0, 1e-13, 1e-8, -1e-5, 9e-4, -2e-3, 9e-3, 0.011])
@pytest.mark.parametrize("meets", ["parent, fast", "parent, slow", "metabolite"])
def test_two_compartments_and_a_metabolite_meet_absorption(distance, meets):
    structure = Structure("two-compartment", "first-order", metabolite="one-compartment")
    p = {"CL": 10.0, "V": 120.0, "Q": 25.0, "V2": 190.0, "ka": 1.0, "CLm": 20.0, "Vm": 90.0}
    rates = dict(zip(("parent, fast", "parent, slow"), _two(p), strict=True))
    rates["metabolite"] = p["CLm"] / p["Vm"]
    p["ka"] = rates[meets] * (1.0 + distance)
    theta = np.array([p[name] for name in structure.parameters])
    case = HISTORIES["irregular"]
    times = [50.0, 55.0, 73.0]
    wrt = np.array([structure.parameters.index(n) for n in ("CL", "V", "ka", "CLm")])
    doses = [(d.time_h, d.amount_mg) for d in case.doses]
    plan = design(case.history, np.array(times))
    for analyte in structure.analytes:
        f, slopes = concentrations_with_slopes(structure, theta, wrt, plan, analyte)
        for column, index in enumerate(wrt.tolist()):
            name = structure.parameters[index]

            def solve(step, name=name, analyte=analyte):
                q = {n: exact.mp.mpf(v) for n, v in p.items()}
                q[name] *= exact.mp.exp(step)
                return exact.concentrations(lambda t: q, doses, times, analyte=analyte)

            value, slope, _ = (np.array(x, dtype=float) for x in exact.slopes(solve))
            assert f == pytest.approx(value, rel=VALUE)
            assert slopes[:, column] == pytest.approx(slope, abs=SLOPE * value.max())
        assert concentrations(structure, theta, plan, analyte) == pytest.approx(value, rel=VALUE)


def _two(p):
    k10, k12, k21 = p["CL"] / p["V"], p["Q"] / p["V"], p["Q"] / p["V2"]
    total = k10 + k12 + k21
    root = math.sqrt(total**2 - 4.0 * k10 * k21)
    return 0.5 * (total + root), 0.5 * (total - root)


@pytest.mark.parametrize("distance", [0.0, 1e-12, -1e-7, 1e-5, -9e-4, 1.1e-3, 9e-3, 0.011, 0.3])
@pytest.mark.parametrize("during", [False, True], ids=["before the change", "after the change"])
def test_parameters_that_change_pass_the_meeting_as_exactly(distance, during):
    model = pk.load_model("wang-2019")
    doses = [(24.0 * i, 400.0) for i in range(6)]
    times = [71.0, 97.0, 130.0]
    case = pk.Case(
        subject(),
        [pk.Dose(*d) for d in doses],
        [pk.Level(t, 500.0) for t in times],
        clearance_effects=[pk.ClearanceEffect(3.8, 75.0)],
    )
    person, effects = individual(case, model), variability(model, case)
    cut = segments(person, np.array(times))
    p = dict(zip(model.structure.parameters, person.typical_over(0.0, 1.0).tolist(), strict=True))
    factor = 3.8 if during else 1.0
    eta = math.log(p["ka"] * (1.0 + distance) / (p["CL"] / p["V"] * factor))

    def solve(step):
        def at(t):
            rise = exact.mp.mpf(3.8 if t >= 75.0 - 1e-6 else 1.0)
            return {**p, "CL": p["CL"] * rise * exact.mp.exp(exact.mp.mpf(eta) + step)}

        return exact.concentrations(at, doses, times, breaks=[75.0])

    wanted, slope, bend = (np.array(x, dtype=float) for x in exact.slopes(solve))
    # the random effect of the model is on clearance alone, with load one
    short = changing(person, effects, np.array(times), "parent", cut)
    assert effects.names == ("CL",)
    assert short is not None
    k = math.exp(eta)
    jets = np.array(short.levels.g_alone(k)).T
    assert jets[0] == pytest.approx(wanted, rel=VALUE)
    assert k * jets[1] == pytest.approx(slope, abs=SLOPE * wanted.max())
    assert k * jets[1] + k * k * jets[2] == pytest.approx(bend, abs=SLOPE * wanted.max())
    for line in (short, stitched(person, effects.loads, np.array(times), "parent", cut)):
        f, got = line.with_slopes(np.array([[eta]]))
        assert f[0] == pytest.approx(wanted, rel=VALUE)
        assert got[0, :, 0] == pytest.approx(slope, abs=SLOPE * wanted.max())
        many = line.at(np.array([[0.0], [eta]]))
        assert many[1] == pytest.approx(wanted, rel=VALUE)


def test_two_results_of_one_sample_have_a_value_each():
    structure = Structure("one-compartment", "first-order")
    times = np.array([20.0, 20.0])
    plan = design(HISTORIES["one dose"].history, times)
    f = concentrations(structure, np.array([[10.0, V, KA], [12.0, V, KA]]), plan)
    assert f.shape == (2, 2)
    assert f[:, 0].tolist() == f[:, 1].tolist()
