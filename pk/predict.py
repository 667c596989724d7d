"""Predictions: steady-state trough, peak, AUC and half-life, with intervals."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtri

from pk.case import Level, Regimen
from pk.distribution import weighted_quantiles
from pk.errors import CaseError, NotSupportedError
from pk.few_doses import one_mg_for_ever
from pk.one_compartment import describes, ratios
from pk.response import steady_state_unit
from pk.structure import PARENT

if TYPE_CHECKING:
    from pk.posterior import Posterior
    from pk.residual import Residual

Array = NDArray[np.float64]

#: The intervals of predictions hold this probability.
INTERVAL: Final = 0.90
#: Its ends, and the median.
TAILS: Final = np.array([0.5 - 0.5 * INTERVAL, 0.5, 0.5 + 0.5 * INTERVAL])
_PEAK_POINTS: Final = 97
#: Groups of nodes whose concentrations are told apart when the error of measurement is added.
_GROUPS: Final = 64
_WIDEST_SCORE: Final = 4.0
_BELOW_ONE: Final = 1.0 - 1e-12
_SECANT_STEPS: Final = 12
_FIRST_STEP: Final = 1.05
_CLOSE: Final = 1e-9
_LEAST: Final = 1e-6
_SURELY: Final = 1e-15
#: Parameter sets simulated for the interval of a model without a closed form.
_SIMULATED: Final = 256


class Prediction(Struct, frozen=True):
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


class TroughEstimate(Struct, frozen=True):
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
    per_mg = posterior.trough(regimen.interval_h, clearance_factor)
    low, median, high = (regimen.amount_mg * per_mg.quantiles(TAILS)).tolist()
    return Prediction(
        regimen,
        float(profile[-1]),
        (low, high),
        median,
        float(close[peak]),
        float(around[peak]),
        float(auc24_per_mg(posterior, posterior.z)) / clearance_factor * regimen.daily_mg,
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
    low, median, high = weighted_quantiles(troughs, weight, TAILS).tolist()
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
    structure, effects = posterior.model.structure, posterior.effects
    if describes(structure, effects.loads, PARENT):
        p = structure.named(posterior.individual.typical)
        number = float(p["D"] if "D" in p else p["ka"])
        doses = one_mg_for_ever(structure, float(interval_h), number)
        if z.ndim == 1:
            own = structure.named(posterior.theta(z))
            (jet,) = doses.g_alone(clearance_factor * float(own["CL"] / own["V"]))
            return np.asarray(jet[0] / own["V"])
        k, inverse = ratios(structure, effects.whitened, z)
        return np.asarray(doses.g(clearance_factor * p["CL"] / p["V"] * k)[0] * (inverse / p["V"]))
    ages = np.array([interval_h])
    theta = with_clearance(posterior, posterior.theta(z), clearance_factor)
    return steady_state_unit(structure, theta, interval_h, ages)[..., 0]


def auc24_per_mg(posterior: "Posterior", z: Array) -> Array:
    """AUC over 24 h (mg h/L) per mg a day at z (..., q): F / CL, whatever the absorption."""
    p = posterior.model.structure.named(posterior.individual.typical)
    slopes = posterior.model.structure.named(posterior.effects.whitened.T)
    typical, slope = p.get("F", 1.0) / p["CL"], slopes.get("F", 0.0) - slopes["CL"]
    return np.asarray(typical * np.exp(z @ slope))


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


def measured_quantiles(parts: Sequence[tuple[Array, Array, "Residual"]], probs: Array) -> Array:
    """Quantiles (len(probs), T) of the next measurement, ng/mL: never below zero.

    Each part holds concentrations (M, T), weights (M,) and the error of one model. The distribution
    function is a weighted sum of those of the error around each node; nodes of nearly the same
    concentration are taken together first, and the secant rule is applied to its probit, which is
    nearly a straight line.
    """
    means, weights, errors = [], [], []
    for f, weight, error in parts:
        mean, share = _gathered(f, weight)
        means.append(mean)
        weights.append(share)
        errors.append(error)

    def probit(y: Array) -> Array:
        below = sum(
            (w * e.below_probability(f, y[:, None])).sum(axis=1)
            for f, w, e in zip(means, weights, errors, strict=True)
        )
        return np.asarray(ndtri(np.clip(below, _SURELY, 1.0 - _SURELY)))

    y = np.maximum(_quantiles_of(np.concatenate(means), np.concatenate(weights), probs), _LEAST)
    wanted = ndtri(probs)[:, None]
    last, y = y, y * _FIRST_STEP
    behind = probit(last) - wanted
    for _ in range(_SECANT_STEPS):
        here = probit(y) - wanted
        turn = np.log(y / last)
        slope = np.where(turn == 0.0, 1.0, here - behind) / np.where(turn == 0.0, 1.0, turn)
        step = np.clip(-here / np.where(slope > 0.0, slope, 1.0), -1.0, 1.0)
        step = np.where(np.abs(here) < _CLOSE, 0.0, step)
        last, behind, y = y, here, np.maximum(y * np.exp(step), _LEAST)
        if not step.any():
            break
    return np.where(y <= _LEAST, 0.0, y)


def _gathered(f: Array, weight: Array) -> tuple[Array, Array]:
    """Means and weights (groups, T) of nodes sorted by concentration."""
    order = np.argsort(f, axis=0)
    ordered, share = np.take_along_axis(f, order, axis=0), weight[order]
    rank = np.cumsum(share, axis=0) - 0.5 * share
    score = ndtri(rank / weight.sum()) / _WIDEST_SCORE  # even steps of it keep the tails fine
    group = (np.clip(0.5 + 0.5 * score, 0.0, _BELOW_ONE) * _GROUPS).astype(int)
    columns = f.shape[1]
    flat = (group * columns + np.arange(columns)).ravel()
    size = _GROUPS * columns
    total, moment = (
        np.asarray(np.bincount(flat, x.ravel(), size), np.float64).reshape(_GROUPS, columns)
        for x in (share, share * ordered)
    )
    return moment / np.where(total > 0.0, total, 1.0), total


def _quantiles_of(values: Array, weights: Array, probs: Array) -> Array:
    """Rough quantiles (len(probs), T) of values (G, T) with weights of their own (G, T)."""
    order = np.argsort(values, axis=0)
    ordered, share = (np.take_along_axis(x, order, axis=0) for x in (values, weights))
    rank = (np.cumsum(share, axis=0) - 0.5 * share) / share.sum(axis=0)
    columns = range(values.shape[1])
    return np.stack([np.interp(probs, rank[:, t], ordered[:, t]) for t in columns], axis=1)
