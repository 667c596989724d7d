"""The curve of a patient: how doses and times are laid out must not matter."""

import pytest

import pk


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
