"""Adherence: exact against enumeration, and never confused with clearance."""

import itertools

import numpy as np
import pytest
from scipy.special import betaln

import pk
from pk import doubtful
from pk.adherence import AdherenceOptions

from .cases import ADULT, DAILY_400, daily, reference_case, reference_cases


@pytest.fixture(scope="module")
def model():
    return pk.load_model("widmer-2006")


def steady(*levels, last=0.0):
    return pk.Case.at_steady_state(ADULT, DAILY_400, list(levels), last)


def enumerate_patterns(case, model, options, doubtful):
    """The same answer the long way: one fit of quadrature weight per pattern of intake."""
    k = len(doubtful)
    log_p = []
    for pattern in itertools.product([False, True], repeat=k):
        doses = [d for d in case.doses if d.time_h not in itertools.compress(doubtful, pattern)]
        posterior = pk.fit(case.with_doses(doses), model)
        m = sum(pattern)
        prior = betaln(options.a + m, options.b + k - m) - betaln(options.a, options.b)
        log_p.append((pattern, posterior.log_evidence + prior))
    values = np.array([v for _, v in log_p])
    weight = np.exp(values - values.max())
    weight /= weight.sum()
    missed = np.array([p for p, _ in log_p])
    return weight @ missed, weight[missed.sum(axis=1) == 0].sum(), weight, missed.sum(axis=1)


@pytest.mark.parametrize("ng_ml", [250.0, 600.0, 1400.0])
def test_the_sum_over_patterns_equals_fitting_each_pattern(model, ng_ml):
    case = pk.Case(ADULT, daily(25), [pk.Level(24 * 24.0 + 23.0, ng_ml)])
    options = AdherenceOptions(0.3, 2.6, 4)
    doubtful = [24.0 * d for d in (21, 22, 23, 24)]
    each, none, weight, missed = enumerate_patterns(case, model, options, doubtful)
    found = pk.infer_adherence(case, model, options)
    assert found.dose_times_h == tuple(doubtful)
    assert found.p_missed == pytest.approx(each, abs=2e-3)
    assert found.p_all_taken == pytest.approx(none, abs=2e-3)
    for m in (1, 2, 3):
        assert found.p_at_least[m] == pytest.approx(weight[missed >= m].sum(), abs=2e-3)


def test_levels_of_two_visits_equal_joint_enumeration(model):
    """Windows a month apart: four doubtful doses in all, one propensity to miss."""
    days = 60
    levels = [pk.Level(30 * 24.0 - 1.0, 300.0), pk.Level(days * 24.0 - 1.0, 500.0)]
    case = pk.Case(ADULT, daily(days), levels)
    options = AdherenceOptions(0.3, 2.6, 2)
    doubtful = [24.0 * d for d in (28, 29, 58, 59)]
    each, _, _, _ = enumerate_patterns(case, model, options, doubtful)
    found = pk.infer_adherence(case, model, options)
    assert found.dose_times_h == tuple(doubtful[2:])
    assert found.p_missed == pytest.approx(each[2:], abs=5e-3)


@pytest.mark.parametrize("name", ["widmer-2006", "judson-2005", "yamakawa-2011", "gotta-2014"])
def test_what_a_dose_adds_is_the_same_curve_shifted_as_worked_out_by_itself(name):
    """Also for a dose after the level, and for levels and doses of any distance."""
    levels = [pk.Level(23.5, 600.0), pk.Level(2.0, 1500.0)]
    posterior = pk.fit(steady(*levels), pk.load_model(name))
    assert not posterior.individual.varying
    doses, amounts = np.array([-72.0, -23.0, 0.0, 12.0]), np.array([400.0, 300.0, 400.0, 100.0])
    times = np.array([level.time_h for level in levels])
    eta = posterior.prior_nodes.z[::40] @ posterior.effects.root.T
    given = posterior, doses, amounts, times, "parent"
    shifted, alone = doubtful.shifted(*given)(eta), doubtful.one_by_one(*given)(eta)
    assert shifted == pytest.approx(alone, rel=1e-9, abs=1e-9)
    assert (shifted[:, 1, 3] == 0.0).all()
    assert (shifted[:, 0] > 0.0).all()


def test_a_missed_dose_is_not_booked_as_fast_clearance(model):
    """A man of average clearance misses his last two doses; the level says so."""
    taken = daily(28)
    true = pk.fit(pk.Case(ADULT, taken), model)
    at = 30 * 24.0 - 1.0
    level = pk.Level(at, float(true.predict([at])[0]))
    case = pk.Case(ADULT, daily(30), [level])
    naive = pk.fit(case, model)
    found = pk.infer_adherence(case, model)
    assert found.p_at_least[1] > 0.6
    assert naive.parameters["CL"] > 1.15 * naive.typical["CL"]
    assert found.overall.clearance_l_h < naive.parameters["CL"]
    assert found.all_taken is not None
    assert found.some_missed is not None
    assert found.some_missed.clearance_l_h == pytest.approx(naive.typical["CL"], rel=0.1)
    assert found.all_taken.clearance_l_h > found.some_missed.clearance_l_h
    # the dose that the naive reading would raise is enough for this patient
    assert found.trough(DAILY_400)[0] > found.trough_if_read_as_taken(DAILY_400)[0]


def test_a_fast_clearance_is_not_booked_as_a_missed_dose(model):
    """Low at both three hours and before the dose, twice: that is clearance."""
    prior = pk.fit(pk.Case(ADULT, daily(60)), model)
    z = np.array([1.6, 0.4])
    times = [695.0, 716.0, 719.5, 1416.0, 1439.5]
    values = prior._curve(times, "parent").at(prior.effects.root @ z)
    levels = [pk.Level(t, v) for t, v in zip(times, values.tolist(), strict=True)]
    found = pk.infer_adherence(pk.Case(ADULT, daily(60), levels), model)
    assert found.p_all_taken > 0.7
    assert found.overall.clearance_l_h > 1.25 * prior.typical["CL"]


def test_a_high_level_speaks_for_intake(model):
    found = pk.infer_adherence(steady(pk.Level(23.5, 1800.0)), model)
    assert found.p_all_taken > found.prior_all_taken
    low = pk.infer_adherence(steady(pk.Level(23.5, 150.0)), model)
    assert low.p_all_taken < 0.35
    assert low.p_at_least[1] >= low.p_at_least[2] >= low.p_at_least[3]


def test_the_last_doses_matter_most_for_a_very_low_level(model):
    found = pk.infer_adherence(steady(pk.Level(23.5, 80.0)), model)
    assert found.p_missed[-1] > 1.5 * found.p_missed[0]


def test_a_level_that_only_intake_explains_leaves_the_population_in_place(model):
    found = pk.infer_adherence(steady(pk.Level(23.5, 20.0)), model)
    assert found.p_at_least[3] > 0.75
    assert found.overall.clearance_l_h == pytest.approx(16.596, rel=0.15)


def test_below_quantification_counts_as_a_level(model):
    below = pk.Level(23.5, 0.0, below_loq=True, lloq_ng_ml=50.0)
    assert pk.infer_adherence(steady(below), model).p_at_least[2] > 0.85


def test_a_first_dose_with_a_level_was_taken(model):
    case = pk.Case(ADULT, daily(1), [pk.Level(5.0, 900.0)])
    found = pk.infer_adherence(case, model)
    assert found.p_all_taken == pytest.approx(1.0)
    assert found.some_missed is None


def test_the_known_interruption_is_not_inferred_again(model):
    """Case c19: three days without drug were recorded; the levels agree with them."""
    case = reference_case(reference_cases()["c19_interruption_3days"])
    assert pk.infer_adherence(case, model).p_all_taken > 0.7


def test_the_prior_of_intake_is_the_callers(model):
    case = steady(pk.Level(23.5, 400.0))
    devoted = pk.infer_adherence(case, model, AdherenceOptions(0.1, 20.0, 7))
    careless = pk.infer_adherence(case, model, AdherenceOptions(2.0, 2.0, 7))
    assert devoted.p_all_taken > 0.85 > careless.p_all_taken


def test_changing_clearance_and_many_random_effects_are_no_obstacle():
    partner = pk.ClearanceEffect(3.0, start_h=300.0, onset_half_life_h=48.0)
    case = pk.Case(ADULT, daily(30), [pk.Level(719.0, 150.0)], clearance_effects=[partner])
    with_inducer = pk.infer_adherence(case, pk.load_model("widmer-2006"))
    without = pk.infer_adherence(
        pk.Case(ADULT, daily(30), case.levels), pk.load_model("widmer-2006")
    )
    # the inducer explains the level, so intake need not
    assert with_inducer.p_all_taken > without.p_all_taken + 0.2
    many = pk.infer_adherence(steady(pk.Level(23.5, 100.0)), pk.load_model("yamakawa-2011"))
    assert many.p_at_least[1] > 0.5


def test_adherence_needs_a_level_and_sensible_options(model):
    with pytest.raises(pk.errors.CaseError, match="levels"):
        pk.infer_adherence(pk.Case(ADULT, daily(5)), model)
    with pytest.raises(pk.errors.CaseError, match="window_doses"):
        AdherenceOptions(0.3, 2.6, 30)
    with pytest.raises(pk.errors.CaseError, match="positive"):
        AdherenceOptions(0.0, 2.6, 7)
