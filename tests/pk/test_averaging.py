"""Averaging over models: marginal likelihood, population match, exclusion, spread."""

import numpy as np
import pytest

import pk

from .cases import ADULT, DAILY_400, daily, subject


def models(*names):
    return [pk.load_model(n) for n in names]


EIGHT = models(
    "widmer-2006",
    "gotta-2014",
    "schmidli-2005",
    "petain-2008",
    "delbaldo-2006",
    "golabchifar-2014",
    "he-2023",
    "wang-2019",
)


def test_weights_sum_to_one_and_without_levels_follow_the_population_match():
    found = pk.average(
        pk.Case.at_steady_state(ADULT, DAILY_400), models("widmer-2006", "gotta-2014")
    )
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert found.weights["widmer-2006"] == pytest.approx(0.5)
    gist = {**ADULT, "indication": "gist"}
    shifted = pk.average(
        pk.Case.at_steady_state(gist, DAILY_400), models("widmer-2006", "gotta-2014")
    )
    assert shifted.weights["gotta-2014"] == pytest.approx(1.0 / 3.0)


def test_a_high_level_favours_the_model_that_expects_it():
    case = pk.Case.at_steady_state(subject(), DAILY_400, [pk.Level(23.9, 2000.0)])
    found = pk.average(case, models("widmer-2006", "he-2023"))
    assert found.weights["he-2023"] > 0.8


def test_the_weight_is_the_marginal_likelihood_not_the_fit_at_the_map():
    case = pk.Case.at_steady_state(subject(), DAILY_400, [pk.Level(23.9, 700.0)])
    found = pk.average(case, models("widmer-2006", "gotta-2014"))
    evidence = {m.model.id: m.log_evidence for m in found.members}
    odds = np.exp(evidence["widmer-2006"] - evidence["gotta-2014"])
    assert found.weights["widmer-2006"] / found.weights["gotta-2014"] == pytest.approx(odds)
    # by plain Monte Carlo over the prior
    model = pk.load_model("gotta-2014")
    z = np.random.default_rng(7).standard_normal((200_000, 2))
    posterior = pk.fit(case, model)
    mean = np.exp(-posterior.objective.misfit(z)).mean()
    assert evidence["gotta-2014"] == pytest.approx(np.log(mean), abs=0.01)


def test_models_that_may_not_be_used_are_named_with_the_reason():
    child = {"age_years": 8.0, "weight_kg": 25.0, "sex": "male", "indication": "cml"}
    found = pk.average(
        pk.Case.at_steady_state(child, pk.Regimen(200.0, 24.0)),
        models("widmer-2006", "menon-andersen-2009", "gotta-2014"),
    )
    members = {m.model.id: m for m in found.members}
    assert members["widmer-2006"].posterior is None
    assert "age_years 8" in str(members["widmer-2006"].excluded_because)
    assert found.weights["menon-andersen-2009"] == pytest.approx(1.0)


def test_a_missing_required_covariate_excludes_the_model_only():
    case = pk.Case.at_steady_state({"age_years": 50.0, "sex": "male"}, DAILY_400)
    found = pk.average(case, models("menon-andersen-2009", "gotta-2014"))
    reasons = {m.model.id: m.excluded_because for m in found.members}
    assert "weight_kg" in str(reasons["menon-andersen-2009"])
    assert reasons["gotta-2014"] is None


def test_no_usable_model_is_an_error_that_lists_the_reasons():
    case = pk.Case.at_steady_state({"age_years": 3.0, "sex": "male"}, DAILY_400)
    with pytest.raises(pk.errors.PkError, match=r"none can be used.*age_years 3"):
        pk.average(case, models("widmer-2006", "gotta-2014"))


def test_the_callers_prior_counts():
    case = pk.Case.at_steady_state(ADULT, DAILY_400)
    options = pk.AverageOptions(prior={"widmer-2006": 3.0, "gotta-2014": 1.0})
    found = pk.average(case, EIGHT, options)
    assert found.weights["widmer-2006"] == pytest.approx(0.75)
    assert found.weights["he-2023"] == 0.0


def test_the_average_lies_among_its_members_and_is_wider_than_each():
    case = pk.Case.at_steady_state(subject(), DAILY_400)
    found = pk.average(case, EIGHT)
    prediction = found.steady_state(DAILY_400)
    assert min(prediction.by_model.values()) < prediction.trough_ng_ml
    assert prediction.trough_ng_ml < max(prediction.by_model.values())
    assert prediction.by_model["widmer-2006"] == pytest.approx(657.6, abs=0.1)
    assert prediction.by_model["he-2023"] == pytest.approx(1678.0, abs=0.1)
    assert prediction.spread == pytest.approx(1678.03 / 657.60, rel=1e-3)


def test_levels_narrow_the_spread_between_models():
    levels = [pk.Level(23.9, 1000.0), pk.Level(6.0, 1900.0)]
    before = pk.average(pk.Case.at_steady_state(subject(), DAILY_400), EIGHT)
    after = pk.average(pk.Case.at_steady_state(subject(), DAILY_400, levels), EIGHT)
    assert after.steady_state(DAILY_400).spread < before.steady_state(DAILY_400).spread


def test_doses_are_proposed_from_the_average_as_from_one_model():
    case = pk.Case.at_steady_state(subject(), DAILY_400, [pk.Level(23.9, 700.0)])
    found = pk.average(case, EIGHT)
    rows = pk.propose(
        found, pk.Target(1000.0, 3000.0), pk.DoseOptions((100.0, 400.0), 800.0, 100.0)
    )
    assert sum((rows[0].p_below, rows[0].p_in, rows[0].p_above)) == pytest.approx(1.0)
    assert rows[0].regimen.amount_mg > 400.0
    bands = found.quantiles(np.linspace(1.0, 24.0, 24), [0.05, 0.5, 0.95], residual=True)
    assert (np.diff(bands, axis=0) > 0.0).all()


def test_an_average_of_unreliable_fits_proposes_nothing():
    case = pk.Case(ADULT, daily(30), [pk.Level(719.0, 40.0)])
    found = pk.average(case, models("widmer-2006", "gotta-2014"))
    with pytest.raises(pk.errors.NotReliableError, match=r"(widmer|gotta)-20"):
        pk.propose(found, pk.Target(1000.0, 3000.0), pk.DoseOptions((100.0,), 800.0, 100.0))
