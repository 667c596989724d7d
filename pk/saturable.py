"""Saturable protein binding: the one structure without a closed form, solved as an ODE.

Total drug C and its binding protein are in instant equilibrium, so the unbound concentration is the
positive root of a quadratic; it drives elimination, distribution and formation of the metabolite.
All parameter sets are integrated together by LSODA with a banded Jacobian (a few ms a day of
history), so this is for single patients, not for cohorts. Slopes are central differences over one
common sequence of steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from pk.case import SAME_TIME_H
from pk.individual import Individual
from pk.stitched import stitched
from pk.structure import METABOLITE, PARENT

if TYPE_CHECKING:
    from pk.case import Regimen

Array = NDArray[np.float64]

_STATES: Final = 4  # depot, central, peripheral, metabolite; mg
_STEP: Final = 1e-4
_TOLERANCE: Final = 1e-9
#: An endless regimen is started so many doses before the first time asked for.
_DOSES_TO_STEADY_STATE: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class Saturable:
    """Curve of one patient; `typical` (S, P) between `bounds_h` (S - 1), as in pk.stitched."""

    person: Individual
    analyte: str
    times_h: Array
    bounds_h: Array
    typical: Array
    loads: Array

    def at(self, eta: Array) -> Array:
        """Concentrations (..., T) in ng/mL for random effects (..., q)."""
        rows = eta.reshape(-1, eta.shape[-1])
        return self._solve(rows).reshape(*eta.shape[:-1], len(self.times_h))

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        """Concentrations and their slopes (..., T, q) in the random effects."""
        q = eta.shape[-1]
        steps = _STEP * np.eye(q)
        shifted = np.concatenate([np.zeros((1, q)), steps, -steps])
        f = self.at(eta[..., None, :] + shifted)
        slopes = (f[..., 1 : q + 1, :] - f[..., q + 1 :, :]) / (2.0 * _STEP)
        return f[..., 0, :], np.swapaxes(slopes, -1, -2)

    def _solve(self, eta: Array) -> Array:
        history = self.person.case.history
        begin = history.first_h - 1.0
        if math.isinf(begin):
            begin = float(self.times_h.min()) - _DOSES_TO_STEADY_STATE * float(history.tau.max())
        doses, amounts = history.single_doses(begin)
        thetas = [
            typical * np.exp(eta @ loads.T)
            for typical, loads in zip(self.typical, self.loads, strict=True)
        ]
        return _integrate(
            self.person.model.structure.parameters,
            thetas,
            self.bounds_h,
            doses,
            amounts,
            self.times_h,
            self.analyte,
        )


def saturable(person: Individual, loads: Array, times_h: Array, analyte: str) -> Saturable:
    """Curve of a patient under a model with saturable binding."""
    pieces = stitched(person, loads, times_h, analyte)
    return Saturable(person, analyte, times_h, pieces.bounds_h, pieces.typical, pieces.loads)


def steady_state_profile(
    names: tuple[str, ...], theta: Array, regimen: "Regimen", ages_h: Array
) -> Array:
    """Concentrations (M, T) at ages after the last of many doses, for parameter sets (M, P)."""
    tau = regimen.interval_h
    doses = tau * np.arange(_DOSES_TO_STEADY_STATE)
    amounts = np.full(len(doses), regimen.amount_mg)
    times = doses[-1] + ages_h
    return _integrate(names, [theta], np.zeros(0), doses.astype(np.float64), amounts, times, PARENT)


def _integrate(
    names: tuple[str, ...],
    thetas: list[Array],
    bounds_h: Array,
    doses_h: Array,
    amounts: Array,
    times_h: Array,
    analyte: str,
) -> Array:
    """Follow all parameter sets from the first dose through every stop; (M, T) in ng/mL."""

    rows = len(thetas[0])
    x = np.zeros((rows, _STATES))
    out = np.zeros((rows, len(times_h)))
    at = float(doses_h[0])
    stops = np.unique(np.concatenate([doses_h, times_h, bounds_h]))
    for stop in stops[(stops >= at) & (stops <= times_h.max())].tolist():
        segment = int(np.searchsorted(bounds_h, 0.5 * (at + stop), side="right"))
        p = {name: thetas[segment][:, i] for i, name in enumerate(names)}
        if stop > at:
            solver = LSODA(
                _derivative(p, rows),
                at,
                x.ravel(),
                stop,
                rtol=_TOLERANCE,
                atol=_TOLERANCE,
                lband=_STATES - 1,
                uband=_STATES - 1,
            )
            while solver.status == "running":
                solver.step()
            x, at = np.asarray(solver.y, dtype=np.float64).reshape(rows, _STATES), stop
        here = np.abs(times_h - stop) <= SAME_TIME_H
        out[:, here] = _concentration(x, p, analyte)[:, None]
        taken = amounts[np.abs(doses_h - stop) <= SAME_TIME_H].sum()
        x = x.copy()
        x[:, 0] += taken * p["F"]
    return out


def _derivative(p: dict[str, Array], rows: int) -> Callable[[float, Array], Array]:
    def slope(_time: float, y: Array) -> Array:
        return _slope(y.reshape(rows, _STATES), p).ravel()

    return slope


def _concentration(x: Array, p: dict[str, Array], analyte: str) -> Array:
    if analyte == METABOLITE:
        return 1000.0 * x[:, 3] / p["Vm"]
    return 1000.0 * x[:, 1] / p["V"]


def _slope(x: Array, p: dict[str, Array]) -> Array:
    """dx/dt in mg/h. Unbound drug leaves the centre; what returns is not bound."""
    depot, central, peripheral, metabolite = x.T
    absorbed = p["ka"] * depot
    unbound = _unbound(1000.0 * central / p["V"], p["Bmax"], p["Kd"]) / 1000.0
    eliminated = p["CL"] * unbound
    exchanged = p["Q"] * unbound - p["Q"] / p["V2"] * peripheral
    free = _unbound(1000.0 * metabolite / p["Vm"], p["Bmaxm"], p["Kd"]) / 1000.0
    formed = p["mass_ratio"] * p["fm"] * eliminated
    return np.stack(
        [
            -absorbed,
            absorbed - eliminated - exchanged,
            exchanged,
            formed - p["CLm"] * free,
        ],
        axis=1,
    )


def _unbound(total: Array, capacity: Array, kd: Array) -> Array:
    """Unbound concentration: positive root of u^2 + (capacity + kd - total) u - kd total = 0."""
    b = capacity + kd - total
    root = np.sqrt(b * b + 4.0 * kd * np.maximum(total, 0.0))
    # the form that does not subtract two large numbers
    return np.asarray(np.where(b > 0.0, 2.0 * kd * total / (b + root), 0.5 * (root - b)))
