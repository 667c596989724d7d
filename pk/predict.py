"""Predictions: steady-state trough, peak, AUC and half-life, with intervals."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pk.case import Level, Regimen
from pk.errors import CaseError, NotSupportedError
from pk.nodes import weighted_quantiles
from pk.response import steady_state_unit
from pk.structure import PARENT

if TYPE_CHECKING:
    from pk.posterior import Posterior
    from pk.residual import Residual

Array = NDArray[np.float64]

#: The intervals of predictions hold this probability.
INTERVAL: Final = 0.90
_PEAK_POINTS: Final = 97
_ERROR_STRATA: Final = 9
#: Parameter sets simulated for the interval of a model without a closed form.
_SIMULATED: Final = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """A regimen in steady state.

    Point values are at the MAP; `trough_interval` is the central 90 % of the posterior of the true
    trough (no measurement error), `trough_median` its median. `auc24_mg_h_l` is per 24 h.
    """

    regimen: Regimen
    trough_ng_ml: float
    trough_interval: tuple[float, float]
    trough_median: float
    peak_ng_ml: float
    time_to_peak_h: float
    auc24_mg_h_l: float
    half_life_h: float


@dataclass(frozen=True, slots=True)
class TroughEstimate:
    """The steady-state trough a level stands for, corrected by the model for its time of sampling.

    `ng_ml` and `interval` (90 %) come from the posterior, that is from all levels together;
    `from_this_level_ng_ml` scales this one measurement by the model's ratio of trough to level.
    """

    ng_ml: float
    interval: tuple[float, float]
    from_this_level_ng_ml: float | None
    hours_after_dose: float | None


def steady_state(posterior: "Posterior", regimen: Regimen, clearance_factor: float) -> Prediction:
    """Predict `regimen` in steady state (see Posterior.steady_state)."""
    structure = posterior.model.structure
    theta = with_clearance(posterior, posterior.theta(posterior.z), clearance_factor)
    if not structure.linear:
        return _saturable_steady_state(posterior, regimen, clearance_factor)
    ages = np.linspace(0.0, regimen.interval_h, _PEAK_POINTS)[1:]
    profile = regimen.amount_mg * steady_state_unit(structure, theta, regimen.interval_h, ages)
    near = int(np.argmax(profile))
    around = np.linspace(ages[max(near - 1, 0)], ages[min(near + 1, len(ages) - 1)], _PEAK_POINTS)
    close = regimen.amount_mg * steady_state_unit(structure, theta, regimen.interval_h, around)
    peak = int(np.argmax(close))
    unit, weight = posterior.trough_nodes(regimen.interval_h, clearance_factor)
    low, median, high = (
        regimen.amount_mg
        * weighted_quantiles(
            unit, weight, np.array([0.5 - 0.5 * INTERVAL, 0.5, 0.5 + 0.5 * INTERVAL])
        )
    ).tolist()
    return Prediction(
        regimen,
        float(profile[-1]),
        (low, high),
        median,
        float(close[peak]),
        float(around[peak]),
        float(auc24_per_mg(posterior, theta)) * regimen.daily_mg,
        float(structure.half_life_h(theta)),
    )


def _saturable_steady_state(
    posterior: "Posterior", regimen: Regimen, clearance_factor: float
) -> Prediction:
    """The same by simulation, over a thinned posterior: nothing is proportional to the dose."""
    from pk.saturable import steady_state_profile

    names = posterior.model.structure.parameters
    tau = regimen.interval_h
    ages = np.append(np.linspace(0.0, tau, _PEAK_POINTS)[1:], [tau + 24.0, tau + 48.0])
    best = with_clearance(posterior, posterior.theta(posterior.z), clearance_factor)
    tail = steady_state_profile(names, best[None], regimen, ages)[0]
    profile = tail[:-2]
    nodes = posterior.nodes
    stride = -(-len(nodes.weight) // _SIMULATED)
    sample = with_clearance(posterior, posterior.theta(nodes.z[::stride]), clearance_factor)
    troughs = steady_state_profile(names, sample, regimen, np.array([tau]))[:, 0]
    weight = nodes.weight[::stride] / nodes.weight[::stride].sum()
    probs = np.array([0.5 - 0.5 * INTERVAL, 0.5, 0.5 + 0.5 * INTERVAL])
    low, median, high = weighted_quantiles(troughs, weight, probs).tolist()
    peak = int(np.argmax(profile))
    trapezoid = np.append(profile[-1], profile)
    area = 0.5 * float((trapezoid[1:] + trapezoid[:-1]).sum()) * tau / (_PEAK_POINTS - 1)
    return Prediction(
        regimen,
        float(profile[-1]),
        (low, high),
        median,
        float(profile[peak]),
        float(ages[peak]),
        area / 1000.0 * 24.0 / tau,
        24.0 * math.log(2.0) / math.log(tail[-2] / tail[-1]),
    )


def trough_per_mg(
    posterior: "Posterior", z: Array, interval_h: float, clearance_factor: float = 1.0
) -> Array:
    """Steady-state trough per mg (ng/mL) at whitened random effects z (..., q).

    Raises NotSupportedError where troughs are not proportional to the dose.
    """
    if not posterior.model.structure.linear:
        raise NotSupportedError(
            "model", f"{posterior.model.id}: levels are not proportional to the dose"
        )
    theta = with_clearance(posterior, posterior.theta(z), clearance_factor)
    ages = np.array([interval_h])
    return steady_state_unit(posterior.model.structure, theta, interval_h, ages)[..., 0]


def auc24_per_mg(posterior: "Posterior", theta: Array) -> Array:
    """AUC over 24 h (mg h/L) per mg of daily dose: F / CL, whatever the absorption."""
    p = posterior.model.structure.named(theta)
    return np.asarray(p.get("F", 1.0) / p["CL"])


def with_clearance(posterior: "Posterior", theta: Array, factor: float) -> Array:
    if factor == 1.0:
        return theta
    theta = theta.copy()
    theta[..., posterior.model.structure.parameters.index("CL")] *= factor
    return theta


def trough_of(posterior: "Posterior", level: Level, regimen: Regimen) -> TroughEstimate:
    """Correct a level for its time of sampling to the steady-state trough of `regimen`."""
    prediction = posterior.steady_state(regimen)
    if level.time_h <= posterior.case.history.first_h:
        raise CaseError("level.time_h", "is not after the first dose")
    taken = posterior.case.history.latest_before(level.time_h)
    scaled = None
    if not level.below_loq and level.analyte == PARENT:
        expected = float(posterior.predict([level.time_h])[0])
        scaled = level.ng_ml * prediction.trough_ng_ml / expected
    return TroughEstimate(
        prediction.trough_ng_ml, prediction.trough_interval, scaled, level.time_h - taken
    )


def with_error(f: Array, weight: Array, error: "Residual") -> tuple[Array, Array]:
    """Measurements (M x strata, T) and weights: each node f (M, T) spread by its error.

    Each node carries `_ERROR_STRATA` errors, one from each slice of the normal distribution, at a
    place in the slice that differs from node to node.
    """
    m = len(f)
    shift = (np.arange(m) * 0.6180339887498949) % 1.0
    u = (np.arange(_ERROR_STRATA) + np.clip(shift, 0.01, 0.99)[:, None]) / _ERROR_STRATA
    spread = error.draw(f[:, None, :], ndtri(u)[:, :, None])
    return (
        spread.reshape(m * _ERROR_STRATA, -1),
        np.repeat(weight / _ERROR_STRATA, _ERROR_STRATA),
    )
