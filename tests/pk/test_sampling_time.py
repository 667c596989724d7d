"""The next sample: where a level would narrow the trough most."""

import numpy as np
import pytest

import pk

from .cases import ADULT, DAILY_400, daily


@pytest.fixture(scope="module")
def posterior():
    return pk.fit(pk.Case(ADULT, daily(30)), pk.load_model("widmer-2006"))


def test_a_trough_tells_most_about_the_trough(posterior):
    ranked = pk.next_sample(posterior, DAILY_400)
    assert len(ranked) == 24
    assert ranked[0].hours_after_dose >= 22.0
    assert ranked[-1].hours_after_dose <= 4.0
    assert all(s.trough_sd_after < s.trough_sd_now for s in ranked)
    assert 0.0 < ranked[0].narrowing < 1.0


def test_the_expected_narrowing_is_what_simulated_samples_achieve(posterior):
    """Draw patients and levels, fit each, and compare the variance left with the promise."""
    model = posterior.model
    rng = np.random.default_rng(3)
    (promise,) = pk.next_sample(posterior, DAILY_400, [24.0])
    z = rng.standard_normal((60, 2))
    left = []
    for row in z:
        theta = posterior.theta(row)
        case = pk.Case.at_steady_state(ADULT, DAILY_400)
        f = float(pk.fit(case, model)._curve([24.0], "parent").at(posterior.effects.root @ row)[0])
        y = max(f * (1.0 + 0.3138 * rng.standard_normal()), 20.0)
        fitted = pk.fit(pk.Case.at_steady_state(ADULT, DAILY_400, [pk.Level(24.0, y)]), model)
        trough, weight = fitted.trough_nodes(24.0)
        log = np.log(trough)
        left.append(weight @ log**2 - (weight @ log) ** 2)
        assert theta.shape == (3,)
    assert promise.trough_sd_after == pytest.approx(np.sqrt(np.mean(left)), rel=0.1)


def test_a_patient_already_known_gains_less(posterior):
    levels = [pk.Level(24.0 * d - 0.5, 650.0) for d in (26, 27, 28, 29, 30)]
    known = pk.fit(pk.Case(ADULT, daily(30), levels), posterior.model)
    before = pk.next_sample(posterior, DAILY_400)[0]
    after = pk.next_sample(known, DAILY_400)[0]
    assert after.trough_sd_now < before.trough_sd_now
    assert after.narrowing < before.narrowing


def test_many_random_effects_are_served_too():
    posterior = pk.fit(pk.Case({}, daily(30)), pk.load_model("golabchifar-2014"))
    ranked = pk.next_sample(posterior, DAILY_400, [2.0, 12.0, 24.0])
    assert {s.hours_after_dose for s in ranked} == {2.0, 12.0, 24.0}
    assert ranked[0].narrowing > 0.5
