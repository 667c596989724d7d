"""The curve of a patient: how doses and times are laid out must not matter."""

import numpy as np
import pytest

import pk
from pk.curve import Superposed, Visits, curve, superposed
from pk.individual import individual
from pk.variability import variability


def test_visits_far_apart_give_the_same_concentrations_as_one_layout() -> None:
    """Grouping times by visit is only a way to add up the same doses."""
    model = pk.load_model("gotta-2014")
    doses = [pk.Dose(24.0 * day + (0.4 if day % 7 == 0 else 0.0), 400.0) for day in range(200)]
    case = pk.Case({"sex": "female", "age_years": 61.0}, doses)
    posterior = pk.fit(case, model)
    times = [4790.0, 30.0, 2411.5, 2400.3, 4799.9]
    together = posterior.predict(times)
    alone = [float(posterior.predict([t])[0]) for t in times]
    assert together == pytest.approx(alone, rel=1e-12)


def _daily_levels(number: int) -> tuple[Visits, Superposed]:
    """The curve of a patient with a level every day, and the same laid out at once."""
    model = pk.load_model("gotta-2014")
    doses = [pk.Dose(24.0 * day + 0.1 * (day * day % 7), 400.0) for day in range(number + 10)]
    case = pk.Case({"sex": "female", "age_years": 61.0}, doses)
    person, effects = individual(case, model), variability(model, case)
    times = 140.0 + 23.9 * np.arange(number)
    parts = curve(person, effects, times, "parent")
    assert isinstance(parts, Visits)
    return parts, superposed(person, effects.loads, times, "parent")


def test_many_levels_are_laid_out_in_parts_that_give_the_same() -> None:
    parts, whole = _daily_levels(60)
    eta = np.random.default_rng(7).normal(0.0, 0.4, (20, 2))

    assert len(parts.parts) > 1
    assert parts.at(eta) == pytest.approx(whole.at(eta), rel=1e-12)


def test_what_many_levels_see_of_doses_grows_with_their_number_and_not_with_its_square() -> None:
    seen = {
        number: sum(part.design.dose_mg.size for _, part in _daily_levels(number)[0].parts)
        for number in (100, 400)
    }
    assert seen[400] < 4.2 * seen[100]
