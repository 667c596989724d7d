"""Laws that hold whatever the numbers: linearity, superposition, order, origin, weight of prior."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import pk

from .cases import ADULT, LINEAR, cohort, daily, subject

MODELS = st.sampled_from(LINEAR)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
amounts = st.sampled_from([100.0, 200.0, 300.0, 400.0, 600.0, 800.0])
dose_lists = st.lists(
    st.tuples(st.floats(0.0, 300.0), amounts), min_size=1, max_size=12, unique_by=lambda d: d[0]
)
levels = st.lists(
    st.tuples(st.floats(700.0, 719.9), st.floats(150.0, 4000.0)),
    min_size=1,
    max_size=4,
    unique_by=lambda v: v[0],
)


def case_of(doses, **kwargs):
    return pk.Case(subject(), [pk.Dose(*d) for d in doses], treatment_start_h=-1e6, **kwargs)


@FEW
@given(MODELS, dose_lists, st.floats(0.1, 5.0))
def test_concentration_is_linear_in_dose(name, doses, k):
    model = pk.load_model(name)
    times = [301.0, 310.0, 340.0]
    once = pk.fit(case_of(doses), model).predict(times)
    more = pk.fit(case_of([(t, k * a) for t, a in doses]), model).predict(times)
    assert more == pytest.approx(k * once, rel=1e-9)


@FEW
@given(MODELS, dose_lists, dose_lists)
def test_concentrations_of_two_histories_add_up(name, a, b):
    model = pk.load_model(name)
    times = [301.0, 310.0, 340.0]
    parts = [pk.fit(case_of(d), model).predict(times) for d in (a, b)]
    both = pk.fit(case_of([*a, *b]), model).predict(times)
    assert both == pytest.approx(parts[0] + parts[1], rel=1e-7)


@FEW
@given(st.integers(1, 60), st.sampled_from([8.0, 12.0, 24.0]), amounts)
def test_a_regular_history_costs_one_run_and_equals_its_doses_one_by_one(n, tau, mg):
    model = pk.load_model("widmer-2006")
    regular = pk.Case(ADULT, [pk.Dose(tau * i, mg) for i in range(n)])
    # a shift beyond the tolerance of grouping, below that of the comparison
    ragged = pk.Case(ADULT, [pk.Dose(tau * i + 1e-7 * (i % 2), mg) for i in range(n)])
    if n >= 3:
        assert len(regular.history.last_h) == 1
    times = [tau * n + 3.0, tau * n + 20.0]
    assert pk.fit(regular, model).predict(times) == pytest.approx(
        pk.fit(ragged, model).predict(times), rel=1e-6
    )


@FEW
@given(levels, st.randoms(use_true_random=False))
def test_the_order_of_levels_does_not_matter(found, random):
    model = pk.load_model("widmer-2006")
    case = pk.Case(ADULT, daily(30), [pk.Level(*v) for v in found])
    shuffled = list(case.levels)
    random.shuffle(shuffled)
    a, b = pk.fit(case, model), pk.fit(case.with_levels(shuffled), model)
    assert b.z == pytest.approx(a.z, abs=1e-7)


@FEW
@given(levels, st.floats(-5e4, 5e4))
def test_the_origin_of_time_does_not_matter(found, shift):
    model = pk.load_model("gotta-2014")
    here = pk.Case(ADULT, daily(30), [pk.Level(*v) for v in found])
    there = pk.Case(
        ADULT,
        [pk.Dose(d.time_h + shift, d.amount_mg) for d in here.doses],
        [pk.Level(v.time_h + shift, v.ng_ml) for v in here.levels],
    )
    assert pk.fit(there, model).z == pytest.approx(pk.fit(here, model).z, abs=1e-6)


@FEW
@given(levels)
def test_the_posterior_goes_to_the_prior_as_the_prior_gains_weight(found):
    model = pk.load_model("widmer-2006")
    case = pk.Case(ADULT, daily(30), [pk.Level(*v) for v in found])
    distance = [
        float(np.abs(pk.fit(case, model, pk.FitOptions(prior_weight=w)).z).max())
        for w in (1.0, 10.0, 100.0, 1e4)
    ]
    assert distance[-1] < 0.02
    assert distance[-1] <= distance[-2] <= distance[-3] + 1e-9


@FEW
@given(levels)
def test_every_start_finds_a_stationary_point_no_better_than_the_answer(found):
    model = pk.load_model("widmer-2006")
    posterior = pk.fit(pk.Case(ADULT, daily(30), [pk.Level(*v) for v in found]), model)
    assert posterior.minimum is not None
    assert posterior.minimum.converged.all()
    lattice = np.stack(np.meshgrid(*[np.linspace(-4, 4, 33)] * 2), axis=-1).reshape(-1, 2)
    best = float(posterior.objective.value(lattice).min())
    assert float(posterior.objective.value(posterior.z)) <= best + 1e-9


@FEW
@given(st.floats(20.0, 88.0), st.floats(44.0, 110.0), st.sampled_from(["male", "female"]), amounts)
def test_troughs_rise_with_dose_and_fall_with_clearance(age, weight, sex, mg):
    model = pk.load_model("widmer-2006")
    patient = {"age_years": age, "weight_kg": weight, "sex": sex, "indication": "gist"}
    posterior = pk.fit(pk.Case(patient, daily(1)), model)
    low = posterior.steady_state(pk.Regimen(mg, 24.0))
    high = posterior.steady_state(pk.Regimen(mg + 100.0, 24.0))
    induced = posterior.steady_state(pk.Regimen(mg, 24.0), clearance_factor=2.0)
    assert high.trough_ng_ml > low.trough_ng_ml > induced.trough_ng_ml
    assert low.trough_interval[0] < low.trough_median < low.trough_interval[1]
    assert low.auc24_mg_h_l == pytest.approx(mg / posterior.parameters["CL"])


def test_more_levels_never_widen_on_average():
    model = pk.load_model("widmer-2006")
    with_two = [c for c in cohort() if len(c.levels) > 1]
    two = [pk.fit(c, model) for c in with_two]
    one = [pk.fit(c.with_levels(c.levels[:1]), model) for c in with_two]
    assert len(two) > 20
    assert np.mean([p.covariance[0, 0] for p in two]) < np.mean([p.covariance[0, 0] for p in one])


def test_a_case_can_be_extended_without_changing_the_first():
    case = pk.Case(ADULT, daily(30), [pk.Level(719.0, 800.0)])
    other = replace(case, levels=())
    assert len(case.levels) == 1
    assert other.levels == ()
    assert case.history.end_h == other.history.end_h


def test_fitting_twice_gives_the_same_bits():
    model = pk.load_model("eechoute-2012")
    case = pk.Case.at_steady_state({}, pk.Regimen(400.0, 24.0), [pk.Level(23.0, 900.0)])
    a, b = pk.fit(case, model), pk.fit(case, model)
    assert np.array_equal(a.nodes.weight, b.nodes.weight)
    assert a.health == b.health
