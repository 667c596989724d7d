"""Weighted nodes: the posterior as a table of parameter sets and weights.

Up to two random effects: a lattice over the plane, moved and stretched to the posterior
(quadrature; for smooth densities a lattice converges faster than any power of its size). More:
importance sampling from a multivariate Student t around the MAP with quasi-random points, and its
effective sample size. Both are deterministic.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import gammaincinv, gammaln, ndtri

from pk.distribution import Distribution, weighted_quantiles

Array = NDArray[np.float64]

#: Fibonacci lattices of the plane, number of points and generator: to find the posterior, to
#: integrate a value that is expensive, and to integrate over the posterior.
_ROUGH: Final = (377, 233)
_COARSE: Final = (610, 377)
_FINE: Final = (987, 610)
_RADIUS: Final = 5.0  # standard deviations; 4e-6 of a normal density lies outside
_LINE: Final = 301
#: Draws of importance sampling unless the caller asks for more or fewer.
DRAWS: Final = 4096
#: Heavy tails, so that no part of the posterior is missed by the proposal.
_DEGREES: Final = 5.0
_WIDEN: Final = 1.1


class Nodes(Struct, frozen=True, eq=False):
    """Points z (M, q) with weights (M,) that sum to one, and the log marginal likelihood.

    `effective` is the number of equally weighted draws worth the same (importance sampling), or the
    number of nodes (quadrature). `step` is the side of the cell that a node of a lattice stands
    for, in standard deviations of the posterior; zero for draws. `kept` says which of the points
    that were weighed last these are; the others carry nothing.
    """

    z: Array
    weight: Array
    log_evidence: float
    method: Literal["quadrature", "importance"]
    effective: float
    step: float
    kept: NDArray[np.bool_]

    def mean(self, values: Array) -> Array:
        """Weighted mean over the nodes (first axis)."""
        flat = values.reshape(len(values), -1)
        return np.asarray(self.weight @ flat).reshape(values.shape[1:])

    def distribution(self, values: Array) -> Distribution:
        """The distribution of a number by its values (M,) at the nodes."""
        return Distribution.of(values, self.weight, self.step)

    def quantiles(self, values: Array, probs: Array) -> Array:
        """Quantiles (len(probs), ...) of numbers by their values (M, ...) at the nodes."""
        return weighted_quantiles(values, self.weight, probs, self.step)


@cache
def _plane(n: int, generator: int) -> Array:
    i = np.arange(n)
    square = np.column_stack([(i + 0.5) / n, (i * generator / n + 0.5) % 1.0])
    points = _RADIUS * (2.0 * square - 1.0)
    inside: Array = points[(points**2).sum(axis=1) < _RADIUS**2]
    return inside


@cache
def _unit(draws: int, q: int) -> Array:
    """Points of the unit cube (draws, q): Kronecker sequence of the generalised golden ratio."""
    phi = 2.0
    for _ in range(60):
        phi = (1.0 + phi) ** (1.0 / (q + 1))
    steps = phi ** -np.arange(1.0, q + 1.0)
    return np.asarray((0.5 + np.outer(np.arange(1, draws + 1), steps)) % 1.0)


@cache
def prior_nodes(q: int, draws: int = DRAWS, *, coarse: bool = False) -> Nodes:
    """Nodes of the standard normal prior of z; `coarse` and `draws` as for `posterior_nodes`."""
    return posterior_nodes(
        lambda z: 0.5 * (z * z).sum(axis=-1),
        np.zeros(q),
        np.eye(q),
        0.0,
        coarse=coarse,
        draws=draws,
    )


def posterior_nodes(
    value: Callable[[Array], Array],
    centre: Array,
    hessian: Array,
    constant: float,
    *,
    coarse: bool = False,
    draws: int = DRAWS,
) -> Nodes:
    """Nodes of the density exp(-value(z)), given its mode and the Hessian there.

    `constant` is added to the log of its integral (normalisation left out of `value`). `coarse`
    integrates two random effects over fewer nodes, for a `value` that is expensive. `draws` counts
    where more than two are sampled.
    """
    q = len(centre)
    scale = np.linalg.inv(np.linalg.cholesky(hessian)).T
    if q > 2:
        return _importance(value, centre, scale, constant, draws)
    # the first pass finds mean and spread of a skewed posterior, the second fits the lattice to it
    rough = _lattice(value, centre, scale, constant, _ROUGH)
    mean = rough.mean(rough.z)
    spread = rough.z - mean
    covariance = (rough.weight[:, None] * spread).T @ spread
    fitted = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    return _lattice(value, mean, fitted, constant, _COARSE if coarse else _FINE)


def _lattice(
    value: Callable[[Array], Array],
    centre: Array,
    scale: Array,
    constant: float,
    lattice: tuple[int, int],
) -> Nodes:
    if len(centre) == 1:
        points = np.linspace(-_RADIUS, _RADIUS, _LINE)[:, None]
        cell = step = 2.0 * _RADIUS / (_LINE - 1)
    else:
        points = _plane(*lattice)
        cell = (2.0 * _RADIUS) ** 2 / lattice[0]
        step = math.sqrt(cell)
    z = centre + points @ scale.T
    log_density = -value(z)
    volume = math.log(cell) + math.log(abs(float(scale.diagonal().prod())))  # it is triangular
    return _weighted(z, log_density, volume + constant, "quadrature", step)


def _importance(
    value: Callable[[Array], Array], centre: Array, scale: Array, constant: float, draws: int
) -> Nodes:
    q = len(centre)
    u = _unit(draws, q + 1)
    normal = ndtri(u[:, :q])
    chi = 2.0 * gammaincinv(0.5 * _DEGREES, u[:, q])
    t = normal / np.sqrt(chi / _DEGREES)[:, None]
    z = centre + _WIDEN * t @ scale.T
    log_proposal = (
        gammaln(0.5 * (_DEGREES + q))
        - gammaln(0.5 * _DEGREES)
        - 0.5 * q * math.log(_DEGREES * math.pi)
        - 0.5 * (_DEGREES + q) * np.log1p((t * t).sum(axis=1) / _DEGREES)
        - np.linalg.slogdet(_WIDEN * scale)[1]
    )
    log_ratio = -value(z) - log_proposal
    return _weighted(z, log_ratio, constant - math.log(len(z)), "importance", 0.0)


def _weighted(
    z: Array,
    log_weight: Array,
    constant: float,
    method: Literal["quadrature", "importance"],
    step: float,
) -> Nodes:
    log_weight = np.where(np.isfinite(log_weight), log_weight, -np.inf)
    top = float(log_weight.max())
    weight = np.exp(log_weight - top)
    total = float(weight.sum())
    weight /= total
    keep = weight > 1e-12  # nodes far outside cost time and carry nothing
    sampled = method == "importance"
    effective = 1.0 / float(weight @ weight) if sampled else float(np.count_nonzero(keep))
    kept = weight.compress(keep)
    kept /= kept.sum()
    evidence = top + math.log(total) + constant
    return Nodes(z.compress(keep, axis=0), kept, evidence, method, effective, step, keep)
