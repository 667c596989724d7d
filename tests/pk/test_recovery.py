"""Recovery: patients simulated from a model are found again."""

import numpy as np
import pytest

import pk

from .cases import LINEAR, cohort, daily, stored, subject


@pytest.fixture(scope="module")
def fits():
    return pk.fit_many(cohort(), pk.load_model("widmer-2006"))


@pytest.fixture(scope="module")
def truth():
    return stored("simulated_cohort")


def test_map_equals_brute_force_for_every_patient(fits, truth):
    for posterior, patient in zip(fits, truth["patients"], strict=True):
        got = [posterior.eta["CL"], posterior.eta["V"]]
        assert got == pytest.approx(patient["map_eta"], abs=1e-5)
        assert posterior.health.converged


def test_hessians_equal_brute_force(fits, truth):
    for posterior, patient in list(zip(fits, truth["patients"], strict=True))[:20]:
        expected = np.linalg.inv(patient["map_hessian"])
        assert posterior.laplace_covariance == pytest.approx(expected, rel=1e-4)


PROBS = [0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975]


def dense_quantiles(patient, typical):
    """Quantiles of CL and V by plain summation over a fine grid, written without pk."""
    n = 401
    eta1, eta2 = np.linspace(-2.2, 2.2, n), np.linspace(-3.6, 3.6, n)
    eta = np.stack(np.meshgrid(eta1, eta2, indexing="ij"), axis=-1).reshape(-1, 2)
    omega = np.array([[0.356**2, 0.798 * 0.356 * 0.629], [0.798 * 0.356 * 0.629, 0.629**2]])
    v, ka = typical["V"] * np.exp(eta[:, 1]), 0.609
    ke = typical["CL"] * np.exp(eta[:, 0]) / v
    log_p = -0.5 * np.einsum("ni,ij,nj->n", eta, np.linalg.inv(omega), eta)
    for t, y in zip(patient["sample_times_h"], patient["y_ng_ml"], strict=True):
        age = t - np.array(patient["dose_times_h"])
        age = age[age > 0.0]
        rise = np.exp(-np.outer(ke, age)).sum(axis=1) - np.exp(-ka * age).sum()
        f = 1000.0 * patient["dose_mg"] * ka / (v * (ka - ke)) * rise
        log_p += -np.log(f) - 0.5 * ((y - f) / (0.3138 * f)) ** 2
    p = np.exp(log_p - log_p.max()).reshape(n, n)
    found = []
    for axis, grid in ((1, eta1), (0, eta2)):
        margin = p.sum(axis=axis) / p.sum()
        found.append(np.exp(np.interp(PROBS, np.cumsum(margin) - 0.5 * margin, grid)))
    return typical["CL"] * found[0], typical["V"] * found[1]


def test_posterior_quantiles_lie_within_one_percent_of_dense_quadrature(fits, truth):
    for posterior, patient in list(zip(fits, truth["patients"], strict=True))[::7]:
        cl, v = dense_quantiles(patient, posterior.typical)
        assert posterior.parameter_quantiles("CL", PROBS) == pytest.approx(cl, rel=0.01)
        assert posterior.parameter_quantiles("V", PROBS) == pytest.approx(v, rel=0.01)


def test_ninety_percent_intervals_cover_the_truth_ninety_percent_of_the_time(fits, truth):
    inside_cl = inside_trough = 0
    regimen = pk.Regimen(400.0, 24.0)
    for posterior, patient in zip(fits, truth["patients"], strict=True):
        low, high = posterior.parameter_quantiles("CL", [0.05, 0.95])
        true = posterior.typical["CL"] * np.exp(patient["eta_true"][0])
        inside_cl += low <= true <= high
        low, high = posterior.steady_state(regimen).trough_interval
        inside_trough += low <= patient["trough24_true"] <= high
    assert 0.85 <= inside_cl / len(fits) <= 0.95
    assert 0.85 <= inside_trough / len(fits) <= 0.95


def test_levels_bring_the_estimate_nearer_to_the_truth_than_the_population(fits, truth):
    prior = [abs(p["eta_true"][0]) for p in truth["patients"]]
    after = [
        abs(f.eta["CL"] - p["eta_true"][0]) for f, p in zip(fits, truth["patients"], strict=True)
    ]
    assert np.median(after) < 0.9 * np.median(prior)


@pytest.mark.parametrize("name", LINEAR)
def test_every_model_recovers_a_patient_simulated_from_it(name):
    """Ten error-free levels of a patient one SD off in every random effect: CL within 10 %."""
    model = pk.load_model(name)
    case = pk.Case({**subject(), "age_years": 30.0}, daily(40), treatment_start_h=-5000.0)
    prior = pk.fit(case, model)
    z = np.where(np.arange(len(prior.z)) % 2 == 0, 0.8, -0.8)
    true = dict(zip(model.structure.parameters, prior.theta(z), strict=True))
    start = 35 * 24.0
    times = start + np.array([0.5, 1, 2, 3, 4, 6, 8, 12, 16, 20, 23.9, 30, 48, 72, 95.9])
    levels = prior._curve(times, "parent").at(prior.effects.root @ z)
    found = pk.fit(
        case.with_levels(
            [pk.Level(t, f) for t, f in zip(times.tolist(), levels.tolist(), strict=True)]
        ),
        model,
    )
    assert found.health.converged
    assert found.parameters["CL"] == pytest.approx(true["CL"], rel=0.1)
    assert found.predict(times) == pytest.approx(levels, rel=0.15)
    wide = prior.parameter_quantiles("CL", [0.05, 0.95])
    narrow = found.parameter_quantiles("CL", [0.05, 0.95])
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
    assert narrow[0] < true["CL"] < narrow[1]
