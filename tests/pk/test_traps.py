"""Mistakes that other engines make with these data; each must not happen here."""

import numpy as np
import pytest

import pk

from .cases import ADULT, daily


@pytest.fixture(scope="module")
def model():
    return pk.load_model("widmer-2006")


def test_a_level_taken_later_than_a_day_after_the_last_dose_is_used(model):
    """Tucuxi returned the a priori parameters, status Ok, for 151 of 500 such patients."""
    case = pk.Case(ADULT, daily(30), [pk.Level(29 * 24.0 + 25.9, 1400.0)])
    posterior = pk.fit(case, model)
    assert posterior.n_levels == 1
    assert posterior.health.levels_used == 1
    assert posterior.parameters["CL"] < 0.8 * posterior.typical["CL"]


@pytest.mark.parametrize("hours", [24.0, 30.0, 60.0, 150.0])
def test_a_late_level_moves_the_estimate_however_late_it_is(model, hours):
    case = pk.Case(ADULT, daily(30), [pk.Level(29 * 24.0 + hours, 900.0)])
    posterior = pk.fit(case, model)
    assert posterior.parameters["CL"] != pytest.approx(posterior.typical["CL"], rel=1e-3)


def test_no_dose_is_too_old_to_count(model):
    """Tucuxi cut the history at 240 h: 0.9 % wrong where the half-life was 37 h."""
    slow = {"weight_kg": 44.0, "age_years": 88.0, "sex": "female", "indication": "gist"}
    long_ago = pk.fit(pk.Case(slow, daily(40)), model)
    half_life = np.log(2.0) * long_ago.typical["V"] / long_ago.typical["CL"]
    assert half_life > 33.0
    first_alone = pk.fit(pk.Case(slow, daily(1)), model).predict([960.0])
    others = pk.fit(pk.Case(slow, daily(39, start_h=24.0)), model).predict([960.0])
    assert long_ago.predict([960.0]) == pytest.approx(first_alone + others, rel=1e-12)
    forgotten = pk.fit(pk.Case(slow, daily(10, start_h=30 * 24.0)), model).predict([960.0])
    assert forgotten[0] / long_ago.predict([960.0])[0] < 0.995


def test_men_clear_more_than_women_and_the_sexes_cannot_be_swapped(model):
    """One edition of the Tucuxi drug file describes male as 0; its formula means 1."""
    man = pk.fit(pk.Case({**ADULT, "sex": "male"}, daily(1)), model).typical
    woman = pk.fit(pk.Case({**ADULT, "sex": "female"}, daily(1)), model).typical
    assert man["CL"] - woman["CL"] == pytest.approx(2 * 1.49)
    assert man["V"] - woman["V"] == pytest.approx(2 * 46.2)
    for coded in (0, 1, "0", "1", "m", "M"):
        with pytest.raises(pk.errors.CaseError, match=r"covariates\.sex"):
            pk.Case({**ADULT, "sex": coded}, daily(1))


def test_a_very_low_level_is_a_question_of_intake_not_a_fast_clearance(model):
    """A proportional error hides it: 60 ng/mL hardly moves the MAP, and looks 2.7 SD away."""
    case = pk.Case(ADULT, daily(30), [pk.Level(29 * 24.0 + 23.75, 60.0)])
    posterior = pk.fit(case, model)
    assert posterior.predict([case.levels[0].time_h])[0] > 300.0
    assert not posterior.health.reliable
    assert "not explained" in posterior.health.reasons[0]
    with pytest.raises(pk.errors.NotReliableError):
        pk.propose(
            posterior, pk.Target(1000.0, 3000.0), pk.DoseOptions((100.0, 400.0), 800.0, 100.0)
        )
    adherence = pk.infer_adherence(case, model)
    assert adherence.p_at_least[1] > 0.85
    assert adherence.overall.clearance_l_h < 1.1 * posterior.typical["CL"]


def test_age_is_not_cut_to_whole_years(model):
    young, older = (
        pk.fit(pk.Case({**ADULT, "age_years": age}, daily(1)), model).typical["CL"]
        for age in (50.0, 50.9)
    )
    assert young - older == pytest.approx(5.81 * 0.9 / 50.0)
