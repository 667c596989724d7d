"""Every shipped model against its differential equations: irregular doses, both analytes."""

import numpy as np
import pytest

import pk
from pk.curve import curve, variability
from pk.individual import individual

from . import oracle
from .cases import LINEAR, subject

#: Early, doubled, delayed, missed and reduced doses.
DOSES = [(0.0, 400.0), (24.0, 400.0), (24.5, 400.0), (50.0, 600.0), (120.0, 400.0), (132.0, 200.0)]
TIMES = [0.3, 1.7, 5.0, 23.9, 25.0, 49.0, 53.0, 119.0, 121.1, 131.9, 140.0, 200.0]


def analytes():
    return [
        (name, analyte) for name in LINEAR for analyte in pk.load_model(name).structure.analytes
    ]


@pytest.mark.parametrize(("name", "analyte"), analytes())
def test_concentrations_agree_with_the_ode(name, analyte):
    model = pk.load_model(name)
    # long on treatment: time-dependent parameters have settled
    case = pk.Case(subject(), [pk.Dose(*d) for d in DOSES], treatment_start_h=-1e6)
    person, effects = individual(case, model), variability(model, case)
    eta = 0.4 * np.sqrt(np.diag(effects.omega)) * (-1.0) ** np.arange(len(effects.omega))
    theta = person.typical * np.exp(effects.loads @ eta)
    fixed = dict(zip(model.structure.parameters, theta.tolist(), strict=True))
    expected = oracle.concentrations(lambda _t: fixed, DOSES, TIMES, analyte=analyte)
    got = curve(person, effects, np.array(TIMES), analyte).at(eta)
    # the gamma-shaped input is known to the oracle only through a numerical density
    rel = 1e-5 if "mtt" in fixed else 1e-6
    assert got == pytest.approx(expected, rel=rel, abs=1e-4)


@pytest.mark.parametrize("name", LINEAR)
def test_gradients_agree_with_differences(name):
    model = pk.load_model(name)
    case = pk.Case(subject(), [pk.Dose(*d) for d in DOSES], treatment_start_h=-1e6)
    person, effects = individual(case, model), variability(model, case)
    times = np.array([5.0, 49.0, 119.0, 140.0])
    for analyte in model.structure.analytes:
        line = curve(person, effects, times, analyte)
        eta = np.full(len(effects.omega), 0.1)
        value, slopes = line.with_slopes(eta)
        assert value == pytest.approx(line.at(eta), rel=1e-12)
        for i in range(len(eta)):
            step = np.zeros_like(eta)
            step[i] = 1e-6
            difference = (line.at(eta + step) - line.at(eta - step)) / 2e-6
            assert slopes[:, i] == pytest.approx(difference, rel=1e-4, abs=1e-4)


def test_absorption_as_fast_as_elimination_has_no_pole():
    """Partial fractions divide by ka - ke; at equality the answer is the limit."""
    model = pk.load_model("widmer-2006")
    case = pk.Case(subject(), [pk.Dose(0.0, 400.0)])
    person, effects = individual(case, model), variability(model, case)
    line = curve(person, effects, np.array([1.0, 5.0, 20.0]), "parent")
    ka, v = 0.609, person.typical[1]
    exact = np.log(ka * v / person.typical[0])
    t = line.times_h
    limit = 1000.0 * 400.0 / v * ka * t * np.exp(-ka * t)
    for nudge in (0.0, 1e-12, 1e-9, 1e-7, 1e-5):
        got = line.at(np.array([exact + nudge, 0.0]))
        assert got == pytest.approx(limit, rel=1e-6 + 20.0 * nudge, abs=0.0)


def test_steady_state_equals_a_very_long_history():
    for name in LINEAR:
        model = pk.load_model(name)
        regimen = pk.Regimen(300.0, 12.0)
        days = 250
        long = pk.Case(
            subject(),
            [pk.Dose(12.0 * i, 300.0) for i in range(2 * days)],
            treatment_start_h=-1e6,
        )
        last = long.history.end_h
        short = pk.Case(subject(), steady_state=pk.SteadyState(regimen, last))
        times = last + np.array([0.5, 3.0, 11.9, 30.0])
        got = pk.fit(short, model).predict(times)
        assert got == pytest.approx(pk.fit(long, model).predict(times), rel=1e-8)
        prediction = pk.fit(short, model).steady_state(regimen)
        at_trough = pk.fit(short, model).predict([last + 12.0])[0]
        assert prediction.trough_ng_ml == pytest.approx(at_trough, rel=1e-9)
