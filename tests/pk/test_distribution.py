"""A number over weighted nodes: exact where a node is a draw, continuous where it is a cell."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import pk
from pk.distribution import Pooled
from pk.nodes import Nodes, prior_nodes

from .cases import ADULT, daily

TURNS = st.floats(0.0, 2.0 * math.pi)
PROBS = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])


def log_normal(nodes: Nodes, turn: float, sd: float, median: float = 1000.0):
    """A log-normal number that varies along one direction of the plane, whichever it is."""
    return median * np.exp(sd * (nodes.z @ [math.cos(turn), math.sin(turn)]))


@given(TURNS, st.floats(0.05, 1.5), st.floats(-3.0, 3.0))
def test_probabilities_are_exact_in_every_direction_of_the_plane(turn, sd, score):
    nodes = prior_nodes(2)
    found = nodes.distribution(log_normal(nodes, turn, sd))
    limit = 1000.0 * math.exp(sd * score)
    assert found.below(np.array([limit])) == pytest.approx([norm.cdf(score)], abs=2e-3)
    assert found.above(np.array([limit])) == pytest.approx([norm.sf(score)], abs=2e-3)


@given(TURNS, st.floats(0.05, 1.5))
def test_quantiles_are_exact_in_every_direction_of_the_plane(turn, sd):
    nodes = prior_nodes(2)
    got = np.log(nodes.quantiles(log_normal(nodes, turn, sd), PROBS) / 1000.0) / sd
    assert got == pytest.approx(norm.ppf(PROBS), abs=0.01)


def test_counting_nodes_would_be_off_by_a_whole_row_of_them():
    """Along some direction a row of the lattice lies along the limit: why nodes are spread."""
    nodes = prior_nodes(2)
    off, spread = [], []
    for turn in np.linspace(0.0, math.pi, 181):
        x = log_normal(nodes, turn, 0.5)
        off.append(abs(nodes.weight[x < 1000.0].sum() - 0.5))
        spread.append(abs(nodes.distribution(x).below(np.array([1000.0]))[0] - 0.5))
    assert max(off) > 0.01
    assert max(spread) < 0.001


@given(TURNS, st.floats(0.05, 1.0))
@settings(max_examples=30)
def test_mean_and_variance_of_the_logarithm_stay_what_they_are_at_the_nodes(turn, sd):
    nodes = prior_nodes(2)
    x = log_normal(nodes, turn, sd)
    log_x = np.log(x)
    mean = nodes.weight @ log_x
    variance = nodes.weight @ (log_x - mean) ** 2
    places = np.linspace(mean - 6.0 * sd, mean + 6.0 * sd, 20001)
    share = np.diff(nodes.distribution(x).below(np.exp(places)))
    middle = 0.5 * (places[1:] + places[:-1])
    assert share.sum() == pytest.approx(1.0)
    assert share @ middle == pytest.approx(mean, abs=1e-4 * sd)
    assert share @ (middle - mean) ** 2 == pytest.approx(variance, rel=1e-3)


def test_it_rises_from_nothing_to_all_and_both_sides_add_up():
    nodes = prior_nodes(2)
    found = nodes.distribution(log_normal(nodes, 0.3, 0.4))
    limits = np.geomspace(1.0, 1e6, 500)
    below = found.below(limits)
    assert (np.diff(below) >= -1e-12).all()
    assert (below[0], below[-1]) == pytest.approx((0.0, 1.0), abs=1e-12)
    limits = np.array([-5.0, 0.0, 1e-9, 800.0, 1e12])
    assert found.below(limits) + found.above(limits) == pytest.approx(np.ones(5))


def test_what_has_no_logarithm_or_does_not_vary_is_counted_node_by_node():
    nodes = prior_nodes(2)
    values = np.stack([np.full(len(nodes.z), 7.0), nodes.z[:, 0], np.exp(nodes.z[:, 0])], axis=1)
    found = [nodes.distribution(column).cell for column in values.T]
    assert found == [0.0, 0.0, pytest.approx(nodes.step, rel=1e-3)]
    constant, through_zero, _ = nodes.quantiles(values, PROBS).T
    assert constant == pytest.approx(np.full(len(PROBS), 7.0))
    assert through_zero == pytest.approx(norm.ppf(PROBS), abs=0.1)


def test_draws_stand_for_themselves():
    draws = prior_nodes(3)
    assert draws.step == 0.0
    values = np.exp(draws.z[:, 0])
    found = draws.distribution(values)
    assert found.below(np.ones(1)) == pytest.approx([draws.weight[values < 1.0].sum()])
    assert found.above(np.ones(1)) == pytest.approx([draws.weight[values > 1.0].sum()])


@pytest.mark.parametrize("q", [1, 2, 3])
def test_a_pool_of_two_models_is_the_sum_of_their_shares(q: int) -> None:
    nodes = prior_nodes(q)
    low, high = (median * np.exp(0.3 * nodes.z[:, 0]) for median in (500.0, 1500.0))
    pool = Pooled([(0.3, nodes.distribution(low)), (0.7, nodes.distribution(high))])

    def exact(limit):
        return 0.3 * norm.cdf(np.log(limit / 500.0) / 0.3) + 0.7 * norm.cdf(
            np.log(limit / 1500.0) / 0.3
        )

    limits = np.array([300.0, 700.0, 1000.0, 2000.0])
    assert pool.below(limits) == pytest.approx(exact(limits), abs=3e-3)
    assert pool.above(limits) == pytest.approx(1.0 - exact(limits), abs=3e-3)
    assert exact(pool.quantiles(PROBS)) == pytest.approx(PROBS, abs=3e-3)


@pytest.mark.parametrize("name", ["widmer-2006", "gotta-2014", "schmidli-2005"])
@pytest.mark.parametrize("ng_ml", [150.0, 620.0, 1400.0, 4000.0])
def test_parameter_quantiles_are_those_of_a_dense_grid(name: str, ng_ml: float) -> None:
    case = pk.Case(ADULT, daily(30), [pk.Level(719.0, ng_ml)])
    posterior = pk.fit(case, pk.load_model(name))
    line = np.linspace(-6.0, 6.0, 1201)
    z = np.stack([x.ravel() for x in np.meshgrid(*[line] * len(posterior.z))], axis=-1)
    density = np.exp(-posterior.objective.value(z))
    place = posterior.model.structure.parameters.index("CL")
    clearance = posterior.theta(z)[:, place]
    for p, found in zip(PROBS, posterior.parameter_quantiles("CL", PROBS.tolist()), strict=True):
        exact = density[clearance < found].sum() / density.sum()
        assert exact == pytest.approx(p, abs=3e-3)
