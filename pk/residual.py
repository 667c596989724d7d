"""Residual error: how far a measured level may lie from the prediction.

The standard deviation sits on the prediction (as in NONMEM and Tucuxi), so its logarithm is part of
the likelihood. A level below quantification contributes the probability of being below (M3, Beal
2001).
"""

import math
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import erfc, log_ndtr, ndtr

from pk.errors import PkError

Array = NDArray[np.float64]

#: Predictions below this (ng/mL) count as this: far draws can underflow to zero, where a
#: proportional error has no density.
NOTHING: Final = 1e-9
_HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)


class Residual(Struct, frozen=True):
    """One error model.

    kind is `proportional` (sd = proportional x prediction), `additive` (sd = additive_ng_ml),
    `combined` (variances add) or `log-normal` (sd of the logarithm = log_sd).
    """

    kind: str
    proportional: float = 0.0
    additive_ng_ml: float = 0.0
    log_sd: float = 0.0

    def __post_init__(self) -> None:
        needs = {
            "proportional": ("proportional",),
            "additive": ("additive_ng_ml",),
            "combined": ("proportional", "additive_ng_ml"),
            "log-normal": ("log_sd",),
        }.get(self.kind)
        if needs is None:
            raise PkError("residual.kind", f"unknown error model {self.kind!r}")
        for name in ("proportional", "additive_ng_ml", "log_sd"):
            if (getattr(self, name) > 0.0) != (name in needs):
                raise PkError(f"residual.{name}", f"does not belong to {self.kind}")

    def log_likelihood(self, f: Array, y: Array, below: NDArray[np.bool_]) -> Array:
        """Log density of each level y (ng/mL) given the prediction f; `below`: y is the LLOQ."""
        f = np.maximum(f, NOTHING)
        if self.kind == "log-normal" or below.any():
            return -self.terms(f, y, below)[0]
        # the same as `terms` without slopes: adherence asks for a hundred thousand of these
        v = self.proportional**2 * f * f + self.additive_ng_ml**2
        r = y - f
        return -(_HALF_LOG_2PI + 0.5 * np.log(v) + 0.5 * r * r / v)

    def terms(self, f: Array, y: Array, below: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
        """Return -log density, its slope in f, and a positive curvature in f (Fisher information).

        f has any shape that broadcasts with y and below; units ng/mL.
        """
        nll, slope, _, curvature = self.density(np.maximum(f, NOTHING), y, np)
        if below.any():
            nll_b, slope_b, curvature_b = self._below(f, y)
            nll = np.where(below, nll_b, nll)
            slope = np.where(below, slope_b, slope)
            curvature = np.where(below, curvature_b, curvature)
        return nll, slope, curvature

    def density(self, f: Any, y: Any, m: Any) -> tuple[Any, Any, Any, Any]:
        """-log density, its two derivatives in f, and the Fisher information, for f > 0.

        `m` is numpy for arrays, math for plain numbers.
        """
        if self.kind == "log-normal":
            log_y = m.log(y)
            r, s2 = log_y - m.log(f), self.log_sd**2
            nll = _HALF_LOG_2PI + math.log(self.log_sd) + log_y + 0.5 * r * r / s2
            fisher = 1.0 / (s2 * f * f)
            return nll, -r / (s2 * f), (1.0 + r) * fisher, fisher
        p2 = self.proportional**2
        v = p2 * f * f + self.additive_ng_ml**2
        r = y - f
        rv, dv = r / v, 2.0 * p2 * f / v  # dv: slope of log v
        nll = _HALF_LOG_2PI + 0.5 * m.log(v) + 0.5 * r * rv
        misfit = 0.5 - 0.5 * r * rv  # slope of nll in log v
        slope = misfit * dv - rv
        second = 1.0 / v + 2.0 * rv * dv + misfit * (2.0 * p2 / v) - (0.5 - r * rv) * dv * dv
        return nll, slope, second, 1.0 / v + 0.5 * dv * dv

    def _below(self, f: Array, limit: Array) -> tuple[Array, Array, Array]:
        u, du = self._score(f, limit), self._score_slope(f, limit)
        log_p = log_ndtr(u)
        # inverse Mills ratio, in logarithms so that it survives far tails
        hazard = np.exp(-0.5 * u * u - _HALF_LOG_2PI - log_p)
        return -log_p, -hazard * du, hazard * (hazard + u) * du * du

    def _score(self, f: Array, y: Array) -> Array:
        """Standardised distance of y from f."""
        f = np.maximum(f, NOTHING)
        if self.kind == "log-normal":
            return np.asarray((np.log(y) - np.log(f)) / self.log_sd)
        return np.asarray((y - f) / self.sd(f))

    def _score_slope(self, f: Array, y: Array) -> Array:
        """Slope of the standardised distance in f."""
        f = np.maximum(f, NOTHING)
        if self.kind == "log-normal":
            return -1.0 / (self.log_sd * f)
        sd = self.sd(f)
        return -1.0 / sd - (y - f) * self.proportional**2 * f / sd**3

    def sd(self, f: Array) -> Array:
        """Standard deviation of a level around the prediction f, ng/mL."""
        if self.kind == "log-normal":
            return f * math.sqrt(math.exp(self.log_sd**2) * math.expm1(self.log_sd**2))
        return np.sqrt(self.proportional**2 * f * f + self.additive_ng_ml**2)

    def below_probability(self, f: Array, y: Array) -> Array:
        """Probability that a level at prediction f is measured below y."""
        return np.asarray(ndtr(self._score(f, y)))

    def draw(self, f: Array, u: Array) -> Array:
        """A level for each prediction f from a standard normal u, never below zero."""
        if self.kind == "log-normal":
            return f * np.exp(self.log_sd * u)
        return np.maximum(f + self.sd(f) * u, 0.0)


def two_sided_tail(z: Array) -> Array:
    """Probability of a standard normal at least as far out as z."""
    return np.asarray(erfc(np.abs(z) / math.sqrt(2.0)))
