"""One compartment with a fixed input: the short way to a fit equals the general one."""

import math

import numpy as np
import pytest
import scipy.optimize
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import pk
from pk.changing import changing
from pk.curve import superposed, variability
from pk.individual import individual
from pk.minimise import minimise, minimise_alone
from pk.objective import objective
from pk.reduced import alone, reducible, stacked
from pk.residual import NOTHING, Residual
from pk.response import concentrations
from pk.stitched import segments, stitched

from .cases import LINEAR, subject

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
START = 1000.0


def people_of(case):
    """The case under every model for which the short way is open."""
    found = []
    for name in LINEAR:
        model = pk.load_model(name)
        person, effects = individual(case, model), variability(model, case)
        if reducible(person, effects):
            found.append((person, effects))
    return found


@st.composite
def cases(draw):
    """Irregular, regular, doubled, missed and still running doses; levels close and far apart."""
    amount = st.sampled_from([100.0, 400.0, 800.0])
    doses = [pk.Dose(t, draw(amount)) for t in draw(st.lists(st.floats(0.0, 900.0), max_size=8))]
    tau, mg = draw(st.sampled_from([8.0, 12.0, 24.0])), draw(amount)
    first = draw(st.floats(10.0, START))
    doses += [pk.Dose(first + tau * i, mg) for i in range(draw(st.integers(1, 90)))]
    end = doses[-1].time_h
    times = draw(st.lists(st.floats(first + 0.5, end + 72.0), min_size=1, max_size=4))
    times.append(end)  # a level at the very time of a dose
    steady = None
    if draw(st.booleans()):
        steady = pk.SteadyState(pk.Regimen(400.0, draw(st.sampled_from([12.0, 24.0]))), -1.0)
    levels = [pk.Level(t, draw(st.floats(50.0, 5000.0))) for t in times if t > first]
    return pk.Case(subject(), doses, levels, steady, treatment_start_h=-1e6)


z_values = st.tuples(st.floats(-6.0, 6.0), st.floats(-6.0, 6.0))


def reduced_of(person, effects):
    error = person.model.residual["parent"]
    found = alone(person, effects, error, 1.0)
    assert found is not None
    return found


def is_predicted(case, person, effects, z):
    """Whether every level is; one that is not keeps its slope, so that a search comes back."""
    times = np.array([level.time_h for level in case.used_levels])
    eta = effects.root @ np.array(z[: len(effects.names)])
    line = superposed(person, effects.loads, times, "parent")
    return bool((line.at(eta) > 10.0 * NOTHING).all())


@FEW
@given(cases(), z_values)
def test_value_gradient_and_information_equal_those_of_the_general_objective(case, z):
    for person, effects in people_of(case):
        if not is_predicted(case, person, effects, z):
            continue
        q = len(effects.names)
        general = objective(person, effects).expand(np.array([z[:q]]))
        alone = reduced_of(person, effects)
        value, gradient, hessian, fisher = alone.expand(*z[:q], *(0.0,) * (2 - q))
        assert value == pytest.approx(general.value[0], rel=1e-10, abs=1e-10)
        size = max(1.0, *np.abs(fisher), *np.abs(hessian))
        assert gradient[:q] == pytest.approx(general.gradient[0], abs=1e-10 * size)
        square = np.array([fisher[:2], fisher[1:]])[:q, :q]
        assert square == pytest.approx(general.fisher[0], abs=1e-10 * size)


@settings(FEW, max_examples=25)
@given(cases(), st.lists(z_values, min_size=2, max_size=3))
def test_concentrations_of_many_parameter_sets_equal_the_general_solution(case, z):
    times = np.array([level.time_h for level in case.levels])
    for person, effects in people_of(case):
        if person.varying:
            continue
        eta = np.array(z)[:, : len(effects.names)] @ effects.root.T
        line = superposed(person, effects.loads, times, "parent")
        expected = concentrations(line.structure, line.theta(eta), line.design)
        got = line.at(eta)
        assert got == pytest.approx(expected, rel=1e-10, abs=1e-10 * expected.max())


@FEW
@given(cases(), z_values)
def test_the_hessian_is_the_slope_of_the_gradient(case, z):
    for person, effects in people_of(case):
        if len(effects.names) != 2:
            continue
        if not is_predicted(case, person, effects, z):
            continue
        alone = reduced_of(person, effects)
        _, _, (a, b, c), fisher = alone.expand(*z)
        h = 1e-5
        ends = [alone.expand(z[0] + s * h, z[1])[1] for s in (1, -1)]
        ends += [alone.expand(z[0], z[1] + s * h)[1] for s in (1, -1)]
        ends = np.array(ends)
        numeric = np.array([ends[0] - ends[1], ends[2] - ends[3]]) / (2.0 * h)
        assert np.array([[a, b], [b, c]]) == pytest.approx(
            numeric, abs=1e-5 * max(1.0, *np.abs(fisher), *np.abs((a, b, c)))
        )


@FEW
@given(st.lists(cases(), min_size=1, max_size=4), st.lists(z_values, min_size=4, max_size=4))
def test_stacked_patients_equal_each_alone(found, z):
    everyone = [people_of(case) for case in found]
    for rows in zip(*everyone, strict=True):
        people, (effects, *_) = zip(*rows, strict=True)
        q = len(effects.names)
        points = np.array(z[: len(people)])[:, :q]
        error = people[0].model.residual["parent"]
        together = stacked(people, effects, error, 1.0)
        keep = np.arange(0, len(people), 2)
        for stack, kept in ((together, np.arange(len(people))), (together.rows(keep), keep)):
            got = stack.expand(points[kept])
            for i, row in enumerate(kept.tolist()):
                alone = reduced_of(people[row], effects)
                value, gradient, hessian, fisher = alone.expand(*points[row], *(0.0,) * (2 - q))
                size = max(1.0, *np.abs(fisher), *np.abs(hessian))
                assert got.value[i] == pytest.approx(value, rel=1e-11)
                assert got.gradient[i] == pytest.approx(gradient[:q], abs=1e-11 * size)
                square = np.array([hessian[:2], hessian[1:]])[:q, :q]
                assert got.hessian[i] == pytest.approx(square, abs=1e-10 * size)


#: Eight doses, then a high trough and a low one: on the way to the minimum the objective bends
#: downwards.
_AT_ODDS = pk.Case(
    subject(),
    [pk.Dose(873.0 + 8.0 * i, 800.0) for i in range(8)],
    [pk.Level(958.0, 165.0), pk.Level(929.0, 1477.0)],
)


@settings(FEW, max_examples=12)
@given(cases())
@example(_AT_ODDS)
def test_both_searches_end_in_the_same_place(case):
    for person, effects in people_of(case):
        q = len(effects.names)
        start = np.zeros((1, q))
        general = minimise(objective(person, effects), start)
        short = minimise_alone(reduced_of(person, effects))
        if general.converged[0] and short.value[0] == pytest.approx(general.value[0], abs=1e-9):
            assert short.z == pytest.approx(general.z, abs=1e-7)
        assert short.converged[0] or not general.converged[0]


@pytest.mark.parametrize("name", LINEAR)
def test_levels_at_odds_with_each_other_have_a_minimum_that_is_found(name):
    model = pk.load_model(name)
    person, effects = individual(_AT_ODDS, model), variability(model, _AT_ODDS)
    target = objective(person, effects)
    found = [minimise(target, np.zeros((1, len(effects.names))))]
    if reducible(person, effects):
        found.append(minimise_alone(reduced_of(person, effects)))

    for minimum in found:
        assert minimum.converged[0]
        lower = scipy.optimize.minimize(
            lambda z: target.expand(z[None]).value[0], minimum.z[0], method="Nelder-Mead"
        )
        assert lower.fun > minimum.value[0] - 1e-8


def test_the_short_way_is_open_to_the_models_it_describes():
    case = pk.Case(subject(), [pk.Dose(0.0, 400.0)], [pk.Level(20.0, 500.0)])
    names = {person.model.id for person, _ in people_of(case)}
    assert {"widmer-2006", "gotta-2014", "judson-2005", "wang-2019", "he-2023"} <= names
    # random input, two compartments, lag: the general way
    assert not names & {"yamakawa-2011", "delbaldo-2006", "eechoute-2012", "golabchifar-2014"}


def test_it_is_closed_to_levels_below_quantification():
    model = pk.load_model("widmer-2006")
    below = pk.Level(20.0, 0.0, below_loq=True, lloq_ng_ml=50.0)
    plain = pk.Case(subject(), [pk.Dose(0.0, 400.0)], [pk.Level(20.0, 500.0)])
    for case, is_open in ((plain, True), (plain.with_levels([below]), False)):
        assert reducible(individual(case, model), variability(model, case)) is is_open


@st.composite
def effects_on_clearance(draw):
    """Inducers and inhibitors that come, go and stay, at once or gradually."""
    start = draw(st.one_of(st.just(-math.inf), st.floats(-200.0, 2500.0)))
    stop = draw(st.one_of(st.none(), st.floats(10.0, 900.0)))
    gradual = st.sampled_from([0.0, 48.0, 120.0])
    begins = start if math.isfinite(start) else 0.0
    return pk.ClearanceEffect(
        draw(st.sampled_from([0.4, 0.7, 1.43, 3.8])),
        start,
        None if stop is None else begins + stop,
        draw(gradual),
        draw(gradual),
    )


_TWO_DOSES = pk.Case(subject(), [pk.Dose(0.0, 100.0), pk.Dose(10.0, 100.0)], [pk.Level(11.0, 50.0)])
_JUST_AFTER_THE_FIRST = pk.ClearanceEffect(0.4, start_h=2e-225)
_AFTER_A_PAUSE = replace(
    pk.Case.at_steady_state(
        subject(), pk.Regimen(400.0, 12.0), [pk.Level(697.0, 50.0)], last_dose_h=-1.0
    ),
    treatment_start_h=0.0,
)
_BEGUN_AGAIN = replace(
    _AFTER_A_PAUSE, doses=[pk.Dose(725.0, 100.0)], levels=[pk.Level(726.0, 50.0)]
)


@settings(FEW, max_examples=30)
@example(_TWO_DOSES, [_JUST_AFTER_THE_FIRST], None, [(0.0, 0.0)] * 3)
@example(_AFTER_A_PAUSE, [pk.ClearanceEffect(0.4)], 0.0, [(0.0, 0.0)] * 3)
@example(_BEGUN_AGAIN, [pk.ClearanceEffect(0.4)], 0.0, [(0.0, 0.0)] * 3)
@given(
    cases(),
    st.lists(effects_on_clearance(), max_size=2),
    st.one_of(st.none(), st.floats(-5000.0, 0.0)),
    st.lists(z_values, min_size=3, max_size=3),
)
def test_changing_parameters_in_closed_form_equal_the_stitched_solution(case, found, start, z):
    case = replace(case, clearance_effects=found, treatment_start_h=start)
    times = np.array([level.time_h for level in case.levels])
    for person, effects in people_of(case):
        cut = segments(person, times)
        if not person.varying or not len(cut[0]):
            continue
        eta = np.array(z)[:, : len(effects.names)] @ effects.root.T
        short = changing(person, effects, times, "parent", cut)
        assert short is not None
        long = stitched(person, effects.loads, times, "parent", cut)
        expected, slopes = long.with_slopes(eta)
        tiny = 1e-10 * expected.max()
        assert short.at(eta) == pytest.approx(expected, rel=1e-10, abs=tiny)
        f, got = short.with_slopes(eta)
        assert f == pytest.approx(expected, rel=1e-10, abs=tiny)
        # a slope is a difference of near numbers where absorption and elimination are as fast, and
        # of the faint rest of a dose long ago, which one of the two forgets, some thirty times it
        assert got == pytest.approx(slopes, rel=1e-8, abs=30.0 * tiny)


def test_a_change_long_ago_costs_nothing_and_changes_nothing():
    """Daily doses for ever and a change ten years ago: not a term for each dose since."""
    model = pk.load_model("schmidli-2005")
    long_ago = pk.Case.at_steady_state(
        subject(), pk.Regimen(400.0, 24.0), [pk.Level(24.0, 900.0)], last_dose_h=0.0
    )
    started = replace(long_ago, treatment_start_h=-87_600.0)
    person = individual(started, model)
    line = changing(
        person,
        variability(model, started),
        np.array([24.0]),
        "parent",
        segments(person, np.array([24.0])),
    )
    assert line is not None
    assert line.levels.steps == []
    assert pk.fit(started, model).z == pytest.approx(pk.fit(long_ago, model).z, abs=1e-8)


ERRORS = [
    Residual("proportional", proportional=0.31),
    Residual("additive", additive_ng_ml=80.0),
    Residual("combined", proportional=0.2, additive_ng_ml=80.0),
    Residual("log-normal", log_sd=0.4),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
@FEW
@given(f=st.floats(20.0, 5000.0), y=st.floats(20.0, 5000.0))
def test_the_density_has_exact_derivatives_in_plain_numbers_and_arrays(error, f, y):
    _, slope, second, fisher = error.density(f, y, math)
    h = 1e-4 * f
    up, down = error.density(f + h, y, math), error.density(f - h, y, math)
    tight = 1e-5 * (abs(slope) + f * abs(second) + f * fisher)
    assert slope == pytest.approx((up[0] - down[0]) / (2.0 * h), abs=tight)
    assert second == pytest.approx((up[1] - down[1]) / (2.0 * h), abs=tight / f * 10.0)
    assert fisher > 0.0
    arrays = error.density(np.array([f]), np.array([y]), np)
    assert [a[0] for a in arrays] == pytest.approx(error.density(f, y, math), rel=1e-13, abs=1e-300)
