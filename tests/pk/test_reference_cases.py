"""Nine cases computed with Tucuxi and, independently, by brute force."""

import numpy as np
import pytest

import pk

from .cases import reference_case, reference_cases

CASES = reference_cases()
FITTED = [name for name, case in CASES.items() if case["samples"]]
RANKS = [0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95]


@pytest.fixture(scope="module")
def model():
    return pk.load_model("widmer-2006")


@pytest.mark.parametrize("name", CASES)
def test_typical_parameters_agree_to_a_millionth(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    expected = CASES[name]["reference"]["typical"]
    for parameter in ("CL", "V", "ka"):
        assert posterior.typical[parameter] == pytest.approx(expected[parameter], rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_concentrations_before_any_level_agree_to_a_millionth(name, model):
    prior = pk.fit(reference_case(CASES[name]).with_levels([]), model)
    times, expected = np.array(CASES[name]["reference"]["apriori_pred"]).T
    assert prior.predict(times) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", FITTED)
def test_map_clearance_and_volume_agree_to_one_in_ten_thousand(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    expected = CASES[name]["reference"]["MAP"]
    assert posterior.parameters["CL"] == pytest.approx(expected["CL"], rel=1e-4)
    assert posterior.parameters["V"] == pytest.approx(expected["V"], rel=1e-4)
    # in fact far closer: both are converged
    assert [posterior.eta["CL"], posterior.eta["V"]] == pytest.approx(expected["eta"], abs=1e-6)


@pytest.mark.parametrize("name", FITTED)
def test_laplace_covariance_agrees(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    expected = np.array(CASES[name]["reference"]["MAP"]["laplace_cov"])
    assert posterior.laplace_covariance == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", FITTED)
def test_concentrations_at_the_map_agree(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    times, expected = np.array(CASES[name]["reference"]["aposteriori_pred"]).T
    assert posterior.predict(times) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_quantiles_agree_with_exact_quadrature_within_two_percent(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    exact = CASES[name]["reference"]["exact_posterior"]
    end = max(d.time_h for d in posterior.case.doses) + 24.0
    assert posterior.parameter_quantiles("CL", RANKS) == pytest.approx(exact["CL"], rel=0.02)
    assert posterior.parameter_quantiles("V", RANKS) == pytest.approx(exact["V"], rel=0.02)
    got = posterior.quantiles([end], RANKS)[:, 0]
    assert got == pytest.approx(exact["conc_at_window_end"], rel=0.02)


@pytest.mark.parametrize("name", CASES)
def test_predictive_quantiles_include_the_error_of_measurement(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    which = "posterior" if CASES[name]["samples"] else "prior"
    exact = CASES[name]["reference"][f"{which}_predictive_with_residual_window_end"]
    end = max(d.time_h for d in posterior.case.doses) + 24.0
    got = posterior.quantiles([end], RANKS, residual=True)[:, 0]
    assert got == pytest.approx(exact, rel=0.035)
    inner = posterior.quantiles([end], RANKS)[:, 0]
    assert got[-1] - got[0] > inner[-1] - inner[0]


@pytest.mark.parametrize("name", CASES)
def test_steady_state_troughs_of_all_candidates_agree(name, model):
    posterior = pk.fit(reference_case(CASES[name]), model)
    for label, expected in CASES[name]["reference"]["css_trough_by_candidate"].items():
        mg, tau = (float(part) for part in label.split("q"))
        got = posterior.steady_state(pk.Regimen(mg, tau)).trough_ng_ml
        assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_tucuxi_score_is_reproduced(name):
    wanted = CASES[name]["target"]
    target = pk.Target(wanted["min"], wanted["max"], wanted["best"])
    for candidate in CASES[name]["tucuxi"]["candidates"]:
        got = target.score(candidate["residual"])
        assert got == pytest.approx(candidate["score"], abs=2e-6)
