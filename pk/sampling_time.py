"""Which next sample would tell most about the steady-state trough.

For every candidate time the next level is not known yet, but its distribution is: the posterior
predictive. Averaging the variance left after each possible result (preposterior analysis) gives the
value of that time, with the real error model and without linearising anything.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Regimen
from pk.predict import measured_quantiles, trough_per_mg
from pk.response import steady_state_unit

if TYPE_CHECKING:
    from pk.posterior import Posterior

Array = NDArray[np.float64]

_RESULTS: Final = 25  # equally likely results considered for each time
_MOST_NODES: Final = 2048


class SampleTime(Struct, frozen=True):
    """One candidate: hours after a dose, and how much it is expected to narrow the trough.

    trough_sd_now and trough_sd_after are standard deviations of the logarithm of the trough, about
    its coefficient of variation.
    """

    hours_after_dose: float
    trough_sd_now: float
    trough_sd_after: float

    @property
    def narrowing(self) -> float:
        """Share of the present uncertainty that the sample is expected to remove."""
        return 1.0 - self.trough_sd_after / self.trough_sd_now


def next_sample(
    posterior: "Posterior", regimen: Regimen, hours_after_dose: Sequence[float] | None = None
) -> list[SampleTime]:
    """Rank sampling times in an interval of `regimen` at steady state, most telling first.

    By default every full hour of the interval is a candidate.
    """
    if hours_after_dose is None:
        ages = np.arange(1.0, regimen.interval_h + 0.5)
    else:
        ages = np.asarray(hours_after_dose, dtype=float)
    z, weight = _thin(posterior)
    theta = posterior.theta(z)
    unit = steady_state_unit(posterior.model.structure, theta, regimen.interval_h, ages)
    f = regimen.amount_mg * unit
    log_trough = np.log(trough_per_mg(posterior, z, regimen.interval_h))
    now = float(np.sqrt(_variance(log_trough, weight[None])[0]))
    error = posterior.residual()
    probs = (np.arange(_RESULTS) + 0.5) / _RESULTS
    results = measured_quantiles([(f, weight, error)], probs)
    never = np.zeros(1, dtype=bool)
    found = []
    for k, age in enumerate(ages.tolist()):
        likelihood = error.log_likelihood(f[:, k], results[:, k, None], never)
        updated = weight * np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        updated /= updated.sum(axis=1, keepdims=True)
        left = float(np.sqrt(_variance(log_trough, updated).mean()))
        found.append(SampleTime(age, now, left))
    return sorted(found, key=lambda s: s.trough_sd_after)


def _variance(x: Array, weights: Array) -> Array:
    """Variance of x (M,) under each row of weights (K, M)."""
    mean = weights @ x
    return np.asarray(weights @ (x * x) - mean * mean)


def _thin(posterior: "Posterior") -> tuple[Array, Array]:
    """At most `_MOST_NODES` nodes: every n-th of a long quasi-random list is one again."""
    nodes = posterior.nodes
    stride = -(-len(nodes.weight) // _MOST_NODES)
    weight = nodes.weight[::stride]
    return nodes.z[::stride], weight / weight.sum()
