"""A control chart that sees falls and rises, and seldom cries wolf."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cds.report.control_chart import (
    FEWEST_WEEKS,
    TAIL,
    Observed,
    control_chart,
)

FIRST = date(2026, 1, 5)


def weeks(pairs) -> list[Observed]:
    return [Observed(FIRST + timedelta(weeks=k), of, count) for k, (of, count) in enumerate(pairs)]


def test_a_rule_that_goes_on_as_before_gives_no_signal():
    chart = control_chart(weeks([(80, 16), (75, 14), (90, 20), (82, 15)] * 6))
    assert [p.signal for p in chart.points if p.signal] == []
    assert chart.judged
    assert chart.silence is None


def test_a_fall_is_seen_as_well_as_a_rise():
    steady = [(80, 16), (75, 14), (90, 20), (82, 15)] * 4
    assert control_chart(weeks([*steady, (80, 2)])).points[-1].signal == "fall"
    assert control_chart(weeks([*steady, (80, 40)])).points[-1].signal == "rise"


def test_a_lasting_fall_stays_flagged_for_it_does_not_move_the_limits():
    chart = control_chart(weeks([(80, 16)] * 12 + [(80, 1)] * 10))
    assert {p.signal for p in chart.points[-10:]} == {"fall"}
    assert chart.points[-1].middle == pytest.approx(chart.points[12].middle)


def test_too_few_weeks_or_decisions_are_not_judged():
    few = control_chart(weeks([(80, 16)] * FEWEST_WEEKS))
    assert all(p.high is None and not p.signal for p in few.points)
    rare = control_chart(weeks([(1, 1)] * 20))
    assert not rare.judged


def test_a_rare_rule_that_never_speaks_again_is_found_over_its_silent_weeks_together():
    speaking = [(40, 1), (40, 2), (40, 0), (40, 1)] * 4
    chart = control_chart(weeks([*speaking, *[(40, 0)] * 12]))
    assert not any(p.signal for p in chart.points)  # no single week can show it
    assert chart.silence is not None
    assert chart.silence.since == FIRST + timedelta(weeks=16)
    assert chart.silence.until is None
    assert chart.silence.of == 480
    assert chart.silence.expected > 8


def test_a_silence_that_just_ended_is_still_news_and_an_old_one_is_not():
    speaking, silent = [(40, 1), (40, 2), (40, 0), (40, 1)] * 4, [(40, 0)] * 12
    just = control_chart(weeks([*speaking, *silent, (40, 2)])).silence
    assert just is not None
    assert just.until == FIRST + timedelta(weeks=28)
    assert control_chart(weeks([*speaking, *silent, *[(40, 2)] * 4])).silence is None


def test_a_rule_that_always_was_silent_is_no_silence():
    assert control_chart(weeks([(40, 0)] * 30)).silence is None


def test_weeks_in_which_nobody_asked_are_left_out():
    chart = control_chart(weeks([(0, 0), (10, 1)]))
    assert [p.of for p in chart.points] == [10]


def test_clumped_weeks_have_wider_limits_than_even_ones():
    even = control_chart(weeks([(100, 10)] * 16))
    clumped = control_chart(weeks([(100, 2), (100, 18)] * 8))
    assert clumped.points[-1].high > even.points[-1].high
    assert clumped.points[-1].low <= even.points[-1].low


def test_the_tail_is_that_of_three_standard_deviations():
    assert pytest.approx(stats.norm.sf(3.0), rel=1e-2) == TAIL


def test_limits_are_those_of_the_beta_binomial_distribution():
    chart = control_chart(weeks([(50, 10)] * 12))
    point = chart.points[-1]
    predicted = stats.betabinom(50, 110 + 0.5, 550 - 110 + 0.5)
    assert predicted.cdf(point.low / 2 - 1) < TAIL <= predicted.cdf(point.low / 2)
    assert predicted.cdf(point.high / 2 - 1) < 1 - TAIL <= predicted.cdf(point.high / 2)


def test_large_numbers_are_judged_by_nearly_the_same_limits():
    small = control_chart(weeks([(3900, 390)] * 12)).points[-1]
    large = control_chart(weeks([(4100, 410)] * 12)).points[-1]
    assert large.low == pytest.approx(small.low, rel=0.05)
    assert large.high == pytest.approx(small.high, rel=0.05)


def test_false_alarms_are_rare():
    rng = np.random.default_rng(7)
    signals = judged = 0
    for share in (0.02, 0.1, 0.3):
        for _ in range(60):
            chart = control_chart(weeks((60, int(rng.binomial(60, share))) for _ in range(40)))
            judged += sum(p.high is not None for p in chart.points)
            signals += sum(bool(p.signal) for p in chart.points)
    assert signals / judged < 3 * TAIL


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1)), max_size=40))
def test_limits_hold_the_middle_and_stay_between_0_and_100(pairs):
    chart = control_chart(weeks((of, int(of * share)) for of, share in pairs))
    for point in chart.points:
        if point.high is not None:
            assert 0 <= point.low <= point.high <= 100
            assert point.low <= point.middle + 1e-9 or point.of < 3
