"""Saturable protein binding: the one structure without a closed form, solved as an ODE.

Total drug and its binding protein are in instant equilibrium, so the unbound concentration is the
positive root of a quadratic; it drives elimination, distribution and formation of the metabolite.
All parameter sets advance together by a linearly implicit second-order rule (ROS2, Verwer 1999),
which stays stable where unbound drug moves fast, on steps that are short after a dose and longer
later. Slopes come from the complex step. For single patients, not for cohorts.
"""

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.history import SAME_TIME_H
from pk.individual import Individual
from pk.stitched import stitched
from pk.structure import METABOLITE, PARENT

if TYPE_CHECKING:
    from pk.case import Regimen

Array = NDArray[np.float64]
Anything = NDArray[Any]

_COMPLEX_STEP: Final = 1e-30
_GAMMA: Final = 1.0 - math.sqrt(0.5)
#: Steps after a stop (h): geometric from the first to the longest. With these the error against a
#: solver of high accuracy is below 0.1 %.
_FIRST_STEP_H: Final = 0.02
_GROWTH: Final = 1.15
_LONGEST_STEP_H: Final = 0.75
#: An endless regimen is started so many doses before the first time asked for.
_DOSES_TO_STEADY_STATE: Final = 60


class Saturable(Struct, frozen=True, eq=False):
    """Curve of one patient; `typical` (S, P) between `bounds_h` (S - 1), as in pk.stitched."""

    person: Individual
    analyte: str
    times_h: Array
    bounds_h: Array
    typical: Array
    loads: Array

    def at(self, eta: Array) -> Array:
        """Concentrations (..., T) in ng/mL for random effects (..., q)."""
        return np.asarray(self._solve(eta).real)

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        """Concentrations and their slopes (..., T, q) in the random effects."""
        q = eta.shape[-1]
        steps = (1j * _COMPLEX_STEP) * np.eye(q).reshape(q, *(1,) * (eta.ndim - 1), q)
        f = self._solve(eta + steps)
        return f[0].real, np.moveaxis(f.imag / _COMPLEX_STEP, 0, -1)

    def _solve(self, eta: Anything) -> Anything:
        history = self.person.case.history
        begin = history.first_h - 1.0
        if math.isinf(begin):
            begin = float(self.times_h.min()) - _DOSES_TO_STEADY_STATE * float(history.tau.max())
        doses, amounts = history.single_doses(begin)
        thetas = [
            typical * np.exp(eta @ loads.T)
            for typical, loads in zip(self.typical, self.loads, strict=True)
        ]
        names = self.person.model.structure.parameters
        return _follow(names, thetas, self.bounds_h, doses, amounts, self.times_h, self.analyte)


def saturable(person: Individual, loads: Array, times_h: Array, analyte: str) -> Saturable:
    """Curve of a patient under a model with saturable binding."""
    pieces = stitched(person, loads, times_h, analyte)
    return Saturable(person, analyte, times_h, pieces.bounds_h, pieces.typical, pieces.loads)


def steady_state_profile(
    names: tuple[str, ...], theta: Array, regimen: "Regimen", ages_h: Array
) -> Array:
    """Concentrations (..., T) at ages after the last of many doses, for parameter sets (..., P)."""
    doses = regimen.interval_h * np.arange(float(_DOSES_TO_STEADY_STATE))
    amounts = np.full(len(doses), regimen.amount_mg)
    times = doses[-1] + ages_h
    return _follow(names, [theta], np.zeros(0), doses, amounts, times, PARENT)


class _State(NamedTuple):
    """Amounts in depot, centre, periphery and metabolite, mg."""

    depot: Anything
    central: Anything
    peripheral: Anything
    metabolite: Anything

    def plus(self, step: float, *others: "_State") -> "_State":
        """The state after adding step x the sum of others."""
        return _State(
            *(x + step * sum(o) for x, o in zip(self, zip(*others, strict=True), strict=True))
        )


def _follow(
    names: tuple[str, ...],
    thetas: list[Anything],
    bounds_h: Array,
    doses_h: Array,
    amounts: Array,
    times_h: Array,
    analyte: str,
) -> Anything:
    """Follow all parameter sets from the first dose through every stop; (..., T) in ng/mL."""
    zero = np.zeros(thetas[0].shape[:-1], dtype=thetas[0].dtype)
    x = _State(zero, zero, zero, zero)
    out = np.zeros((*zero.shape, len(times_h)), dtype=zero.dtype)
    at = float(doses_h[0])
    stops = np.unique(np.concatenate([doses_h, times_h, bounds_h]))
    step = _FIRST_STEP_H
    for stop in stops[(stops >= at) & (stops <= times_h.max())].tolist():
        segment = int(np.searchsorted(bounds_h, 0.5 * (at + stop), side="right"))
        p = {name: thetas[segment][..., i] for i, name in enumerate(names)}
        while at < stop - SAME_TIME_H:
            h = stop - at if at + step > stop - 0.5 * step else step
            x = _advance(x, p, h)
            at += h
            step = min(step * _GROWTH, _LONGEST_STEP_H)
        at = stop
        for k in np.flatnonzero(np.abs(times_h - stop) <= SAME_TIME_H):
            out[..., k] = _concentration(x, p, analyte)
        taken = float(amounts[np.abs(doses_h - stop) <= SAME_TIME_H].sum())
        if taken > 0.0:
            x = x._replace(depot=x.depot + taken * p["F"])
            step = _FIRST_STEP_H
    return out


def _concentration(x: _State, p: dict[str, Anything], analyte: str) -> Anything:
    if analyte == METABOLITE:
        return np.asarray(1000.0 * x.metabolite / p["Vm"])
    return np.asarray(1000.0 * x.central / p["V"])


def _advance(x: _State, p: dict[str, Anything], h: float) -> _State:
    """One step of ROS2: two linear solves with the Jacobian at its start."""
    flow, parent_slope, metabolite_slope = _flow(x, p)
    k1 = _solve(flow, p, _GAMMA * h, parent_slope, metabolite_slope)
    ahead = _flow(x.plus(h, k1), p)[0]
    k2 = _solve(ahead.plus(-2.0, k1), p, _GAMMA * h, parent_slope, metabolite_slope)
    return x.plus(0.5 * h, k1, k1, k1, k2)


def _flow(x: _State, p: dict[str, Anything]) -> tuple[_State, Anything, Anything]:
    """dx/dt (mg/h), and the slopes of unbound concentration (mg/L) in the amounts (mg).

    Unbound drug leaves the centre for elimination and the periphery; what returns is not bound.
    """
    unbound, parent_slope = _unbound(x.central, p["V"], p["Bmax"], p["Kd"])
    free, metabolite_slope = _unbound(x.metabolite, p["Vm"], p["Bmaxm"], p["Kd"])
    absorbed = p["ka"] * x.depot
    eliminated = p["CL"] * unbound
    exchanged = p["Q"] * unbound - p["Q"] / p["V2"] * x.peripheral
    formed = p["mass_ratio"] * p["fm"] * eliminated
    flow = _State(-absorbed, absorbed - eliminated - exchanged, exchanged, formed - p["CLm"] * free)
    return flow, parent_slope, metabolite_slope


def _unbound(
    amount: Anything, volume: Anything, capacity: Anything, kd: Anything
) -> tuple[Anything, Anything]:
    """Unbound concentration (mg/L) and its slope in the amount.

    In ug/L it is the positive root of u^2 + (capacity + kd - total) u - kd total = 0.
    """
    total = 1000.0 * amount / volume
    b = capacity + kd - total
    root = np.sqrt(b * b + 4.0 * kd * total)
    # the form that does not subtract two large numbers
    u = np.where(b.real > 0.0, 2.0 * kd * total / (b + root), 0.5 * (root - b))
    return u / 1000.0, (u + kd) / (root * volume)


def _solve(b: _State, p: dict[str, Anything], a: float, s: Anything, sm: Anything) -> _State:
    """Solve (1 - a J) k = b; J couples the compartments in the order drug passes them."""
    depot = b.depot / (1.0 + a * p["ka"])
    back = a * p["Q"] / p["V2"]
    out = a * p["Q"] * s
    here = b.central + a * p["ka"] * depot
    leaving = 1.0 + a * p["CL"] * s + out
    determinant = leaving * (1.0 + back) - out * back
    central = (here * (1.0 + back) + back * b.peripheral) / determinant
    peripheral = (leaving * b.peripheral + out * here) / determinant
    formed = a * p["mass_ratio"] * p["fm"] * p["CL"] * s * central
    return _State(depot, central, peripheral, (b.metabolite + formed) / (1.0 + a * p["CLm"] * sm))
