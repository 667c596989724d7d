"""Short histories have a way of their own: it says what the general ways and the oracle say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pk
from pk import history
from pk.curve import FewLevels, Superposed, Visits, curve, superposed
from pk.few_doses import FewDoses, one_mg_for_ever
from pk.individual import individual
from pk.one_compartment import layout
from pk.predict import trough_per_mg
from pk.response import concentrations, design, dose_sums, steady_state_unit
from pk.structure import MEETING, Structure
from pk.variability import variability

from .cases import subject
from .test_one_compartment import FEW, cases, people_of, z_values
from .test_where_rates_meet import HISTORIES, KA, RATIOS, truth

FIRST, ZERO = (Structure("one-compartment", kind) for kind in ("first-order", "zero-order"))


def check(structure, name, k, number, kind, after_h):
    """Against fifty digits: values of one rate and of many, and derivatives of one."""
    times, *wanted = truth(name, number, k, kind, after_h)
    few = FewDoses(structure, HISTORIES[name].history, times, number)
    alone = np.array(few.g_alone(k)).T * [[1.0], [k], [k * k]]
    scale = np.maximum(wanted[0], 1e-12 * wanted[0].max())
    for order, (got, right) in enumerate(zip(alone, wanted, strict=True)):
        error = np.abs(got - right) / np.maximum(scale, np.abs(right) * (order > 0))
        assert error.max() < (1e-7 if order else 1e-9), order
    many = few.g(np.array([0.04, k, 3.0, k]))
    assert (np.abs(many[:, 1] - wanted[0]) / scale).max() < 1e-9
    assert many[:, 1] == pytest.approx(many[:, 3], rel=1e-14)


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize("ratio", RATIOS)
def test_first_order_input_is_exact_far_from_and_at_the_meeting_of_rates(name, ratio):
    check(FIRST, name, KA * (1.0 + ratio), KA, "ka", (0.1, 0.0, 2.0, 23.9, 60.0))


@pytest.mark.parametrize("name", ["one dose", "irregular", "regular"])
@pytest.mark.parametrize("duration", [1e-3, 1.5, 11.0, 30.0])
@pytest.mark.parametrize("k", [1e-4, 0.04, 3.0])
def test_zero_order_input_is_exact_during_the_input_and_after_it(name, duration, k):
    check(ZERO, name, k, duration, "D", (0.1, 0.0, 2.0, 23.9))


@pytest.mark.parametrize(
    ("name", "k"), [("for ever", 1e-6), ("for ever", 4e-5), ("regular", 1e-9), ("regular", 5e-5)]
)
def test_who_hardly_eliminates_loses_no_digits(name, k):
    check(FIRST, name, k, KA, "ka", (2.0, 23.9))


@FEW
@given(cases(), st.floats(1e-3, 5.0))
def test_one_rate_and_many_are_what_the_general_layout_says(case, k):
    history, times = case.history, [level.time_h for level in case.levels]
    for structure, number in ((FIRST, 0.6), (ZERO, 1.5), (ZERO, 30.0)):
        if structure is FIRST and abs(k - number) < MEETING * number:
            continue
        owner, numbers = np.zeros(len(times), dtype=np.intp), np.full(len(times), number)
        laid_out = layout(structure, [history], owner, np.array(times), numbers)
        wanted = np.array(laid_out.g_alone(k))
        few = FewDoses(structure, history, times, number)
        size = 1e-11 * np.abs(wanted).max(axis=0)
        for order, got in enumerate(np.array(few.g_alone(k)).T):
            assert got == pytest.approx(wanted[:, order], rel=1e-10, abs=size[order])
        assert few.g(np.array([k]))[:, 0] == pytest.approx(wanted[:, 0], rel=1e-10, abs=size[0])


@settings(FEW, max_examples=25)
@given(cases(), st.lists(z_values, min_size=1, max_size=3))
def test_the_curve_of_few_levels_is_that_of_the_same_times_laid_out_together(case, z):
    times = np.array([level.time_h for level in case.levels])
    for person, effects in people_of(case):
        line = curve(person, effects, times, "parent")
        if not isinstance(line, FewLevels):
            continue
        eta = np.array(z)[:, : len(effects.names)] @ effects.root.T
        general = superposed(line.person, effects.loads, times, "parent")
        expected = concentrations(general.structure, general.theta(eta), general.design)
        tiny = 1e-10 * expected.max()
        assert line.at(eta) == pytest.approx(expected, rel=1e-10, abs=tiny)
        assert line.at(eta[0]) == pytest.approx(expected[0], rel=1e-10, abs=tiny)
        assert line.with_slopes(eta)[0] == pytest.approx(expected, rel=1e-10, abs=tiny)


def test_a_long_irregular_history_and_many_times_keep_the_general_ways():
    model = pk.load_model("widmer-2006")
    doses = [pk.Dose(24.0 * i + 0.1 * (i * i % 7), 400.0) for i in range(60)]
    case = pk.Case(subject(), doses)
    person, effects = individual(case, model), variability(model, case)
    assert isinstance(curve(person, effects, np.array([1500.0]), "parent"), Superposed)
    assert isinstance(curve(person, effects, np.array([300.0, 1500.0]), "parent"), Visits)
    regular = pk.Case(subject(), [pk.Dose(24.0 * i, 400.0) for i in range(60)])
    person = individual(regular, model)
    assert isinstance(curve(person, effects, np.array([1500.0]), "parent"), FewLevels)
    assert isinstance(curve(person, effects, np.arange(1400.0, 1450.0), "parent"), Superposed)


@pytest.mark.parametrize("name", ["widmer-2006", "gotta-2014", "judson-2005", "he-2023"])
@pytest.mark.parametrize("factor", [1.0, 0.4, 3.8])
def test_the_trough_for_ever_is_that_of_the_general_solution(name, factor):
    case = pk.Case(subject(), [pk.Dose(0.0, 400.0)], [pk.Level(20.0, 900.0)])
    posterior = pk.fit(case, pk.load_model(name))
    structure, z = posterior.model.structure, posterior.nodes.z
    for hours in (8.0, 24.0):
        theta = posterior.theta(z)
        theta[:, structure.parameters.index("CL")] *= factor
        wanted = steady_state_unit(structure, theta, hours, np.array([hours]))[:, 0]
        assert trough_per_mg(posterior, z, hours, factor) == pytest.approx(wanted, rel=1e-10)
        assert trough_per_mg(posterior, z[7], hours, factor) == pytest.approx(wanted[7], rel=1e-10)


def test_what_is_repeated_for_ever_is_laid_out_once():
    assert one_mg_for_ever(FIRST, 24.0, 0.6) is one_mg_for_ever(FIRST, 24.0, 0.6)


@FEW
@given(
    st.lists(st.tuples(st.floats(0.0, 500.0), st.floats(1.0, 800.0)), max_size=6),
    st.lists(
        st.tuples(st.floats(0.0, 900.0), st.sampled_from([8.0, 12.0, 24.0]), st.integers(3, 40)),
        max_size=3,
    ),
    st.lists(st.floats(-7.0, 1.0), min_size=1, max_size=4),
)
def test_doses_long_past_add_up_as_one_by_one(single, regular, exponents):
    """Runs folded into series, at rates from nearly none to the fastest, against a plain sum."""
    doses = [pk.Dose(t, mg) for t, mg in single]
    for start, tau, count in regular:
        doses += [pk.Dose(start + tau * i, 400.0) for i in range(count)]
    if not doses:
        return
    case = pk.Case({}, doses)
    at = case.history.end_h + 5.0
    rates = 10.0 ** np.array(exponents)
    found = dose_sums(rates, {"CL": np.array(1.0)}, design(case.history, np.array([at, at + 30.0])))
    for k, row in zip(rates.tolist(), found, strict=True):
        for got, later in zip(row.tolist(), (0.0, 30.0), strict=True):
            wanted = math.fsum(d.amount_mg * math.exp(-k * (at + later - d.time_h)) for d in doses)
            assert got == pytest.approx(wanted, rel=1e-11, abs=1e-280)


def test_many_rates_in_pieces_are_the_same_as_at_once():
    doses = [pk.Dose(24.0 * i + 0.1 * (i * i % 7), 400.0) for i in range(300)]
    laid_out = design(pk.Case({}, doses).history, np.array([7300.0]))
    rates = np.linspace(0.01, 0.2, 1000)
    p = {"CL": np.array(1.0)}
    alone = [dose_sums(rates[i : i + 1], p, laid_out)[0, 0] for i in range(0, 1000, 97)]
    assert dose_sums(rates, p, laid_out)[::97, 0] == pytest.approx(alone, rel=1e-13)


GAPS = st.sampled_from([0.0, 1e-10, 8.0, 12.0, 24.0, 24.0])


@settings(FEW, max_examples=100)
@given(
    st.lists(st.tuples(GAPS, st.sampled_from([1.0, 2.0])), max_size=30),
    st.integers(0, 40),
)
def test_a_rhythm_is_found_alike_in_short_and_in_long_histories(steps, regular):
    """Gaps and amounts at random, then a regular stretch; the long history ends in the same."""
    steps = [*steps, *[(24.0, 1.0)] * regular]
    times = np.cumsum([gap for gap, _ in steps]).tolist()
    amounts = [mg for _, mg in steps]
    before = [-24.0 * i for i in range(400, 0, -1)]
    long = history._breaks([*before, *times], [*[3.0] * 400, *amounts])
    assert history._breaks(times, amounts) == [i - 400 for i in long if i >= 402]
    found = pk.Case({}, [pk.Dose(0.0, 5.0), *map(pk.Dose, times, amounts)]).history
    assert found.count.sum() == len(times) + 1
    taken, given_mg = found.single_doses(-1.0)
    assert taken == pytest.approx([0.0, *times], abs=1e-6)
    assert given_mg.sum() == pytest.approx(5.0 + sum(amounts))
