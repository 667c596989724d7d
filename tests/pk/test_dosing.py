"""Dose proposals: real tablets, limits, honest probabilities, and no dose when there is none."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pk
from pk.dosing import _amounts, tablets_for
from pk.predict import trough_per_mg

from .cases import ADULT, DAILY_400, daily

TARGET = pk.Target(1000.0, 3000.0)
TABLETS = pk.DoseOptions((100.0, 400.0), max_daily_mg=800.0, min_daily_mg=100.0)


@pytest.fixture(scope="module")
def low():
    """A patient with a trough of about 600 ng/mL on 400 mg."""
    levels = [pk.Level(719.5, 590.0), pk.Level(695.5, 640.0)]
    return pk.fit(pk.Case(ADULT, daily(30), levels), pk.load_model("widmer-2006"))


def options(**changes):
    return pk.DoseOptions(
        **{"strengths_mg": (100.0, 400.0), "max_daily_mg": 800.0, "min_daily_mg": 100.0, **changes}
    )


def test_probabilities_add_up_and_move_with_the_dose(low):
    rows = sorted(pk.propose(low, TARGET, TABLETS), key=lambda p: p.regimen.amount_mg)
    assert [p.regimen.amount_mg for p in rows] == [100.0 * i for i in range(1, 9)]
    for row in rows:
        assert row.p_below + row.p_in + row.p_above == pytest.approx(1.0)
        assert row.trough_interval[0] < row.trough_ng_ml < row.trough_interval[1]
    assert all(a.p_below >= b.p_below for a, b in pairwise(rows))
    assert all(a.p_above <= b.p_above for a, b in pairwise(rows))


def below_by_a_dense_grid(posterior, amount_mg, limit_ng_ml):
    """P(trough < limit) from 1.4 million points of the posterior density."""
    line = np.linspace(-6.0, 6.0, 1201)
    z = np.stack([x.ravel() for x in np.meshgrid(line, line)], axis=-1)
    density = np.exp(-posterior.objective.value(z))
    below = amount_mg * trough_per_mg(posterior, z, 24.0) < limit_ng_ml
    return density[below].sum() / density.sum()


def test_probabilities_are_those_of_the_posterior(low):
    row = next(p for p in pk.propose(low, TARGET, TABLETS) if p.regimen == pk.Regimen(700.0, 24.0))
    assert row.p_below == pytest.approx(below_by_a_dense_grid(low, 700.0, 1000.0), abs=1e-3)
    assert row.auc24_mg_h_l == pytest.approx(
        700.0 / low.parameter_quantiles("CL", [0.5])[0], rel=1e-3
    )


def test_the_probability_above_is_that_of_the_posterior(low):
    target = pk.Target(800.0, 1000.0)
    row = next(p for p in pk.propose(low, target, TABLETS) if p.regimen == pk.Regimen(600.0, 24.0))
    above = 1.0 - below_by_a_dense_grid(low, 600.0, 1000.0)
    assert row.p_above == pytest.approx(above, abs=1e-3)
    assert 0.05 < row.p_above < 0.95


def test_acceptable_rows_come_first_and_the_best_is_one_of_them(low):
    rows = pk.propose(low, TARGET, TABLETS)
    best = pk.best_proposal(rows)
    assert best is rows[0]
    assert best.acceptable
    assert best.regimen.daily_mg > 400.0
    accepted = [p.acceptable for p in rows]
    assert accepted == sorted(accepted, reverse=True)


def test_the_current_and_the_ordered_regimen_are_always_among_the_rows(low):
    odd = pk.Regimen(350.0, 24.0)
    huge = pk.Regimen(1200.0, 24.0)
    rows = pk.propose(low, TARGET, options(current=odd, ordered=huge))
    current = next(p for p in rows if p.is_current)
    ordered = next(p for p in rows if p.is_ordered)
    assert current.regimen == odd
    assert not current.tablets
    assert "no whole number of the tablets" in current.why_not[0]
    assert ordered.why_not == ("more than 800 mg a day",)
    assert not ordered.acceptable


def test_one_row_can_be_both_current_and_ordered(low):
    rows = pk.propose(low, TARGET, options(current=DAILY_400, ordered=DAILY_400))
    marked = [p for p in rows if p.is_current or p.is_ordered]
    assert len(marked) == 1
    assert marked[0].is_current
    assert marked[0].is_ordered


def test_no_acceptable_regimen_is_an_answer(low):
    rows = pk.propose(low, pk.Target(5000.0, 6000.0), TABLETS)
    assert rows
    assert pk.best_proposal(rows) is None
    assert all("below the target" in p.why_not[-1] for p in rows)


def test_nothing_outside_the_limits_is_ever_proposed(low):
    rows = pk.propose(
        low,
        TARGET,
        options(intervals_h=(24.0, 12.0), max_daily_mg=600.0, min_daily_mg=300.0),
    )
    assert all(300.0 <= p.regimen.daily_mg <= 600.0 for p in rows)
    single = pk.propose(low, TARGET, options(intervals_h=(24.0, 12.0), max_single_mg=400.0))
    assert max(p.regimen.amount_mg for p in single) == 400.0
    assert pk.Regimen(400.0, 12.0) in [p.regimen for p in single]


def test_a_limit_on_the_risk_of_exceeding_the_target(low):
    rows = pk.propose(low, pk.Target(700.0, 900.0), options(max_p_above=0.1))
    for row in rows:
        if row.p_above > 0.1:
            assert not row.acceptable
            assert "likely to exceed" in row.why_not[-1]


def test_an_interaction_that_starts_is_taken_into_account(low):
    alone = {p.regimen: p for p in pk.propose(low, TARGET, TABLETS)}
    induced = {p.regimen: p for p in pk.propose(low, TARGET, options(clearance_factor=2.0))}
    for regimen, row in induced.items():
        assert row.trough_ng_ml < 0.5 * alone[regimen].trough_ng_ml
        assert row.auc24_mg_h_l == pytest.approx(0.5 * alone[regimen].auc24_mg_h_l)


def test_splitting_the_dose_raises_the_trough_but_not_the_exposure(low):
    rows = {p.regimen: p for p in pk.propose(low, TARGET, options(intervals_h=(24.0, 12.0)))}
    once, twice = rows[pk.Regimen(800.0, 24.0)], rows[pk.Regimen(400.0, 12.0)]
    assert twice.trough_ng_ml > once.trough_ng_ml
    assert twice.auc24_mg_h_l == pytest.approx(once.auc24_mg_h_l)


def test_the_prior_may_be_dosed_from_and_is_wider():
    model = pk.load_model("widmer-2006")
    prior = pk.fit(pk.Case(ADULT, daily(30)), model)
    informed = pk.fit(pk.Case(ADULT, daily(30), [pk.Level(719.5, 620.0)]), model)
    width = [
        np.ptp(next(r for r in pk.propose(p, TARGET, TABLETS)).trough_interval)
        for p in (prior, informed)
    ]
    assert width[0] > width[1]


def test_halves_only_of_scored_tablets(low):
    whole = pk.propose(low, TARGET, options(strengths_mg=(400.0,)))
    halved = pk.propose(low, TARGET, options(strengths_mg=(400.0,), scored_mg=(400.0,)))
    assert sorted(p.regimen.amount_mg for p in whole) == [400.0, 800.0]
    assert sorted(p.regimen.amount_mg for p in halved) == [200.0, 400.0, 600.0, 800.0]
    assert pk.tablets_for(600.0, options(strengths_mg=(400.0,), scored_mg=(400.0,))) == {400.0: 1.5}


def test_the_fewest_tablets_are_found_where_greed_fails():
    odd = options(strengths_mg=(100.0, 300.0, 400.0))
    assert pk.tablets_for(600.0, odd) == {300.0: 2.0}
    assert pk.tablets_for(150.0, odd) == {}
    assert pk.tablets_for(0.0, odd) == {}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([50.0, 100.0, 150.0, 400.0]), min_size=1, max_size=3, unique=True),
    st.sampled_from([400.0, 650.0, 800.0]),
)
def test_every_amount_is_made_exactly_by_its_tablets(strengths, top):
    choice = options(strengths_mg=tuple(strengths))
    for amount in _amounts(choice, top):
        tablets = pk.tablets_for(amount, choice)
        assert sum(mg * n for mg, n in tablets.items()) == pytest.approx(amount)
        assert all(n == int(n) for n in tablets.values())


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: pk.Target(1000.0, 900.0), "target"),
        (lambda: pk.Target(0.0, 900.0), "target"),
        (lambda: pk.Target(500.0, 900.0, 2000.0), "best_ng_ml"),
        (lambda: options(strengths_mg=()), "strengths_mg"),
        (lambda: options(min_daily_mg=900.0), "max_daily_mg"),
        (lambda: options(scored_mg=(50.0,)), "scored_mg"),
        (lambda: pk.Regimen(-100.0, 24.0), "amount_mg"),
        (lambda: pk.Regimen(100.0, 0.0), "interval_h"),
    ],
)
def test_impossible_wishes_name_their_field(build, field):
    with pytest.raises(pk.errors.CaseError, match=field):
        build()


def test_an_absurd_amount_is_made_of_no_tablets_and_costs_no_search():
    options = pk.DoseOptions(strengths_mg=(100, 400), max_daily_mg=800, min_daily_mg=300)

    assert tablets_for(1e14, options) == {}
    assert tablets_for(1200, options) == {400: 3}
