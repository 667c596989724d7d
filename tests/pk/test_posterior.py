"""Posterior and health of a fit."""

import numpy as np
import pytest
from msgspec.structs import replace

import pk
from pk.distribution import Distribution, weighted_quantiles
from pk.nodes import posterior_nodes, prior_nodes

from .cases import ADULT, DAILY_400, daily, subject


@pytest.fixture(scope="module")
def model():
    return pk.load_model("widmer-2006")


def test_without_a_level_the_posterior_is_the_prior_and_says_so(model):
    posterior = pk.fit(pk.Case(ADULT, daily(30)), model)
    assert posterior.n_levels == 0
    assert posterior.parameters == pytest.approx(posterior.typical)
    assert posterior.covariance == pytest.approx(model.omega, rel=1e-3)
    assert posterior.log_evidence == 0.0
    assert posterior.health.reliable
    exact = posterior.typical["CL"] * np.exp(0.356 * np.array([-1.6448536, 0.0, 1.6448536]))
    assert posterior.parameter_quantiles("CL", [0.05, 0.5, 0.95]) == pytest.approx(exact, rel=2e-3)


def test_parameter_and_predictive_intervals_are_different_questions(model):
    posterior = pk.fit(pk.Case(ADULT, daily(30), [pk.Level(719.0, 700.0)]), model)
    known = posterior.quantiles([743.9], [0.05, 0.95])[:, 0]
    measured = posterior.quantiles([743.9], [0.05, 0.95], residual=True)[:, 0]
    assert measured[0] < known[0] < known[1] < measured[1]


def test_the_evidence_of_a_gaussian_is_exact():
    """A linear model with Gaussian error: evidence, mean and covariance in closed form."""
    for q in (1, 2, 3, 5):
        precision = np.eye(q) + 4.0 * np.ones((q, q))
        centre = np.linspace(-0.5, 0.5, q)

        def value(z, centre=centre, precision=precision):
            d = z - centre
            return 0.5 * np.einsum("...i,ij,...j->...", d, precision, d)

        nodes = posterior_nodes(value, centre, precision, 0.0)
        exact = 0.5 * q * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(precision)[1]
        assert nodes.log_evidence == pytest.approx(exact, abs=5e-3)
        assert nodes.mean(nodes.z) == pytest.approx(centre, abs=0.01)
        assert nodes.effective > 500 or q == 1


def test_where_the_hessian_is_not_positive_the_fisher_information_lays_out_the_nodes(model):
    posterior = pk.fit(pk.Case(ADULT, daily(30), [pk.Level(719.0, 280.0)]), model)
    saddle = replace(posterior.minimum, hessian=-posterior.minimum.hessian)
    other = replace(posterior, minimum=saddle)
    probs = [0.05, 0.5, 0.95]
    got = other.parameter_quantiles("CL", probs)
    assert got == pytest.approx(posterior.parameter_quantiles("CL", probs), rel=1e-3)
    assert other.log_evidence == pytest.approx(posterior.log_evidence, abs=1e-5)


def test_importance_sampling_agrees_with_quadrature_on_a_skewed_posterior(model):
    posterior = pk.fit(pk.Case(ADULT, daily(30), [pk.Level(719.0, 280.0)]), model)

    def padded(z):  # a third random effect that the levels do not touch
        return posterior.objective.value(z[..., :2]) + 0.5 * z[..., 2] ** 2

    hessian = np.eye(3)
    hessian[:2, :2] = posterior.objective.hessian(posterior.z)
    nodes = posterior_nodes(padded, np.append(posterior.z, 0.0), hessian, 0.0)
    assert nodes.method == "importance"
    clearance = posterior.typical["CL"] * np.exp(nodes.z[:, :2] @ posterior.effects.root[0])
    probs = np.array([0.05, 0.5, 0.95])
    got = weighted_quantiles(clearance, nodes.weight, probs)
    assert got == pytest.approx(posterior.parameter_quantiles("CL", probs.tolist()), rel=0.02)
    assert nodes.log_evidence - 0.5 * np.log(2 * np.pi) == pytest.approx(
        posterior.log_evidence, abs=0.02
    )


def test_more_draws_come_nearer_to_what_very_many_draws_say():
    model = pk.load_model("menon-andersen-2009")  # three random effects
    case = pk.Case(ADULT, daily(30), [pk.Level(719.0, 600.0)])
    probs = [0.05, 0.5, 0.95]

    def interval(draws: int):
        posterior = pk.fit(case, model, pk.FitOptions(draws=draws))
        assert posterior.nodes.method == "importance"
        assert posterior.nodes.effective <= draws
        return np.asarray(posterior.quantiles([743.0], probs))[:, 0]

    exact = interval(65536)
    few, usual = interval(256), interval(4096)
    assert usual == pytest.approx(exact, rel=0.01)
    assert np.abs(usual - exact).max() < np.abs(few - exact).max()


@pytest.mark.parametrize("draws", [0, 99, 1_000_001])
def test_an_absurd_number_of_draws_is_refused_by_name(draws):
    with pytest.raises(pk.errors.OptionsError) as refusal:
        pk.FitOptions(draws=draws)
    assert refusal.value.field == "draws"


def test_weighted_quantiles_of_equal_weights_are_plain_quantiles():
    values = np.arange(1.0, 1001.0)
    got = weighted_quantiles(values, np.full(1000, 1e-3), np.array([0.1, 0.5, 0.9]))
    assert got == pytest.approx([100.5, 500.5, 900.5], abs=0.6)


def test_prior_nodes_have_unit_variance():
    for q in (1, 2, 4):
        nodes = prior_nodes(q)
        assert nodes.mean(nodes.z**2) == pytest.approx(np.ones(q), rel=0.02)


def test_health_names_every_level_with_its_place_in_the_population(model):
    levels = [pk.Level(719.0, 620.0), pk.Level(700.0, 1200.0)]
    health = pk.fit(pk.Case(ADULT, daily(30), levels), model).health
    assert [c.level for c in health.levels] == levels
    assert 0.3 < health.levels[0].prior_percentile < 0.7
    assert health.reliable
    assert health.converged
    assert health.gradient_norm < 1e-8
    assert health.starts == 1
    assert 0.0 < health.shrinkage["CL"] < 1.0


def test_an_impossible_level_is_not_explained_and_the_search_starts_again(model):
    health = pk.fit(pk.Case(ADULT, daily(30), [pk.Level(719.0, 30_000.0)]), model).health
    assert not health.reliable
    assert health.levels[0].unexpected
    assert health.levels[0].prior_percentile > 0.999
    assert health.starts == 5
    assert health.starts_that_agree >= 4


def test_criteria_are_the_callers(model):
    case = pk.Case(ADULT, daily(30), [pk.Level(719.0, 2600.0)])
    strict = pk.FitOptions(criteria=pk.Criteria(prior_tail=0.05))
    assert pk.fit(case, model).health.reliable
    assert not pk.fit(case, model, strict).health.reliable


def test_a_patient_outside_the_hard_limits_gets_no_dose(model):
    child = {**ADULT, "age_years": 9.0}
    posterior = pk.fit(pk.Case(child, daily(30), [pk.Level(719.0, 900.0)]), model)
    assert not posterior.domain.ok
    assert "age_years" in posterior.domain.hard[0]
    assert not posterior.health.reliable
    with pytest.raises(pk.errors.NotReliableError, match="domain"):
        pk.propose(posterior, pk.Target(1000, 3000), pk.DoseOptions((100.0,), 800.0, 100.0))


def test_a_patient_outside_the_soft_limits_is_extrapolated_and_told(model):
    heavy = {**ADULT, "weight_kg": 150.0}
    posterior = pk.fit(pk.Case(heavy, daily(30)), model)
    assert posterior.domain.ok
    assert not posterior.domain.inside
    assert "weight_kg 150" in posterior.domain.soft[0]
    assert posterior.health.reliable


def test_an_imputed_covariate_is_shown(model):
    patient = {"age_years": 50.0, "sex": "male"}
    posterior = pk.fit(pk.Case(patient, daily(30)), model)
    assert dict(posterior.imputed) == {"weight_kg": 70, "indication": "other"}
    assert posterior.typical["CL"] == pytest.approx(14.3 + 1.49)


def test_metabolite_levels_are_used_by_models_that_know_it():
    model = pk.load_model("petain-2008")
    plain = pk.Case.at_steady_state(subject(), DAILY_400, [pk.Level(23.0, 900.0)])
    with_metabolite = plain.with_levels(
        [*plain.levels, pk.Level(23.0, 400.0, analyte="metabolite")]
    )
    one, both = pk.fit(plain, model), pk.fit(with_metabolite, model)
    assert both.health.levels_used == 2
    assert abs(both.eta["CLm"]) > 0.05
    assert one.eta["CLm"] == pytest.approx(0.0, abs=1e-9)


def test_the_level_is_corrected_to_the_trough_of_the_regimen(model):
    early = pk.Case.at_steady_state(ADULT, DAILY_400, [pk.Level(15.0, 900.0)])
    posterior = pk.fit(early, model)
    estimate = pk.trough_of(posterior, early.levels[0], DAILY_400)
    assert estimate.hours_after_dose == pytest.approx(15.0)
    assert estimate.from_this_level_ng_ml is not None
    assert estimate.from_this_level_ng_ml < 900.0
    assert estimate.interval[0] < estimate.ng_ml < estimate.interval[1]
    assert estimate.ng_ml == posterior.steady_state(DAILY_400).trough_ng_ml


def test_the_time_after_dose_is_counted_from_the_last_dose_before_the_level(model):
    """Also in the middle of a history, and with an irregular dose in between."""
    doses = [*daily(30), pk.Dose(10 * 24.0 + 5.0, 100.0)]
    for at, since in ((243.0, 3.0), (249.0, 4.0), (480.0, 24.0), (800.0, 104.0)):
        case = pk.Case(ADULT, doses, [pk.Level(at, 900.0)])
        found = pk.trough_of(pk.fit(case, model), case.levels[0], DAILY_400)
        assert found.hours_after_dose == pytest.approx(since)


def test_half_life_is_that_of_elimination(model):
    posterior = pk.fit(pk.Case(ADULT, daily(1)), model)
    expected = np.log(2.0) * posterior.typical["V"] / posterior.typical["CL"]
    assert posterior.steady_state(DAILY_400).half_life_h == pytest.approx(expected)
    two = pk.fit(pk.Case({}, daily(1)), pk.load_model("chien-2022"))
    assert two.steady_state(DAILY_400).half_life_h > np.log(2.0) * 172.0 / 13.2


@pytest.mark.parametrize("name", ["widmer-2006", "judson-2005", "menon-andersen-2009"])
def test_quantiles_of_a_measurement_invert_its_distribution_function(name):
    """Each quantile, put back into the distribution over all nodes, gives its probability."""
    model = pk.load_model(name)
    case = pk.Case(subject(), daily(40), [pk.Level(959.0, 800.0)], treatment_start_h=-1e6)
    posterior = pk.fit(case, model)
    times, probs = [937.0, 940.0, 960.0], [0.05, 0.25, 0.5, 0.75, 0.95]
    found = posterior.quantiles(times, probs, residual=True)
    f, weight = posterior.concentration_nodes(times)
    for row, p in zip(found, probs, strict=True):
        below = weight @ posterior.residual().below_probability(f, row)
        assert below == pytest.approx(p, abs=2e-4)


def test_a_distribution_answers_limits_as_a_count_of_its_nodes_would():
    values, weight = np.array([3.0, 1.0, 2.0, 2.0]), np.array([0.4, 0.1, 0.2, 0.3])
    found = Distribution.of(values, weight)
    limits = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
    assert found.below(limits) == pytest.approx([weight[values < x].sum() for x in limits])
    assert found.above(limits) == pytest.approx([weight[values > x].sum() for x in limits])


@pytest.mark.parametrize("name", ["widmer-2006", "gotta-2014", "judson-2005"])
@pytest.mark.parametrize("ng_ml", [60.0, 250.0, 900.0, 3000.0, 6000.0])
def test_the_percentile_of_a_level_is_that_of_the_whole_population(name: str, ng_ml: float) -> None:
    covariates = {"weight_kg": 70.0, "age_years": 55.0, "sex": "male", "indication": "cml"}
    case = pk.Case.at_steady_state(covariates, pk.Regimen(400.0, 24.0), [pk.Level(24.0, ng_ml)])
    fit = pk.fit(case, pk.load_model(name))
    (block,) = fit.objective.blocks
    line = np.linspace(-6.0, 6.0, 241)
    z = np.stack([x.ravel() for x in np.meshgrid(*[line] * len(fit.z))], axis=-1)
    weight = np.exp(-0.5 * (z * z).sum(axis=1))
    f = block.curve.at(z @ fit.effects.root.T)
    exact = float(weight @ block.residual.below_probability(f, block.y)[:, 0] / weight.sum())

    found = fit.health.levels[0].prior_percentile
    assert found == pytest.approx(exact, rel=0.02, abs=2e-6)
    assert 1.0 - found == pytest.approx(1.0 - exact, rel=0.02, abs=2e-6)
