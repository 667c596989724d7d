"""Error models: they are densities, their slopes are right, and M3 uses what is below the limit."""

import numpy as np
import pytest
from scipy.integrate import quad

import pk
from pk.residual import Residual

from .cases import ADULT, daily

ERRORS = [
    Residual("proportional", proportional=0.3),
    Residual("additive", additive_ng_ml=120.0),
    Residual("combined", proportional=0.25, additive_ng_ml=80.0),
    Residual("log-normal", log_sd=0.35),
]
NO = np.zeros(1, dtype=bool)
YES = np.ones(1, dtype=bool)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
@pytest.mark.parametrize("f", [150.0, 900.0])
def test_the_density_integrates_to_one(error, f):
    low = 1e-6 if error.kind == "log-normal" else -5.0 * f - 2000.0

    def density(y):
        return float(np.exp(error.log_likelihood(np.array([f]), np.array([y]), NO))[0])

    total, _ = quad(density, low, 10.0 * f + 2000.0, limit=400, points=[f])
    assert total == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
@pytest.mark.parametrize("below", [NO, YES], ids=["measured", "below the limit"])
@pytest.mark.parametrize("y", [60.0, 700.0, 2500.0])
def test_the_slope_is_the_derivative_and_the_curvature_is_positive(error, below, y):
    f, h = np.array([600.0]), 1e-4
    level = np.array([y])
    up, down = (error.terms(f + d, level, below)[0] for d in (h, -h))
    _, slope, curvature = error.terms(f, level, below)
    assert slope == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-9)
    assert (curvature >= 0.0).all()


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
def test_the_curvature_is_the_expected_second_derivative(error):
    f = np.array([700.0])
    u = np.linspace(-6, 6, 4001)
    y = error.draw(np.full_like(u, 700.0), u)
    if error.kind != "log-normal":
        y = 700.0 + error.sd(f) * u
    weight = np.exp(-0.5 * u * u)
    slopes = error.terms(np.full_like(u, 700.0), y, np.zeros(len(u), dtype=bool))[1]
    expected = float((weight * slopes**2).sum() / weight.sum())
    assert error.terms(f, f, NO)[2] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
def test_below_the_limit_is_the_probability_of_being_below(error):
    f, limit = np.array([200.0]), np.array([150.0])
    got = np.exp(error.log_likelihood(f, limit, YES))
    assert got == pytest.approx(error.below_probability(f, limit))
    assert 0.0 < got[0] < 0.5


def test_the_far_tail_below_the_limit_stays_finite():
    error = Residual("additive", additive_ng_ml=5.0)
    nll, slope, curvature = error.terms(np.array([5000.0]), np.array([25.0]), YES)
    assert np.isfinite([nll[0], slope[0], curvature[0]]).all()


def test_parameters_that_do_not_belong_are_refused():
    with pytest.raises(pk.errors.PkError, match="log_sd"):
        Residual("proportional", proportional=0.3, log_sd=0.2)
    with pytest.raises(pk.errors.PkError, match="additive_ng_ml"):
        Residual("combined", proportional=0.3)
    with pytest.raises(pk.errors.PkError, match="unknown error model"):
        Residual("poisson", proportional=0.3)


def test_a_level_below_the_limit_pulls_clearance_up_as_a_value_there_would():
    model = pk.load_model("widmer-2006")
    at = 29 * 24.0 + 23.5

    def clearance(level):
        return pk.fit(pk.Case(ADULT, daily(30), [level]), model).parameters["CL"]

    below = clearance(pk.Level(at, 0.0, below_loq=True, lloq_ng_ml=300.0))
    usual = clearance(pk.Level(at, 600.0))
    generous = clearance(pk.Level(at, 0.0, below_loq=True, lloq_ng_ml=5000.0))
    assert below > 1.2 * usual
    assert generous == pytest.approx(16.596, rel=0.01)


def test_the_published_error_can_be_replaced():
    model = pk.load_model("widmer-2006")
    case = pk.Case(ADULT, daily(30), [pk.Level(29 * 24.0 + 23.5, 250.0)])
    published = pk.fit(case, model)
    tight = pk.fit(
        case, model, pk.FitOptions(residual={"parent": Residual("log-normal", log_sd=0.05)})
    )
    assert tight.predict([719.5])[0] == pytest.approx(250.0, rel=0.05)
    assert published.predict([719.5])[0] > 300.0


def test_an_excluded_level_is_kept_but_not_used():
    model = pk.load_model("widmer-2006")
    odd = pk.Level(29 * 24.0 + 20.0, 9000.0, excluded_because="haemolysed")
    good = pk.Level(29 * 24.0 + 23.0, 700.0)
    both = pk.fit(pk.Case(ADULT, daily(30), [odd, good]), model)
    alone = pk.fit(pk.Case(ADULT, daily(30), [good]), model)
    assert both.parameters == pytest.approx(alone.parameters)
    assert both.health.levels_used == 1
    assert both.health.levels_excluded == (odd,)
