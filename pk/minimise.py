"""Damped Newton iteration for many small problems at once, and for one in plain numbers.

Where an objective knows its exact Hessian, that is the curvature; otherwise it is the Fisher
information plus a secant estimate of what that leaves out (as in NL2SOL, Dennis, Gay & Welsch
1981). Where it bends downwards along some direction, the size of the bend is taken there
(saddle-free Newton, Dauphin et al. 2014), so steps are downhill everywhere, and faster than
linear near the minimum. Each row keeps its own damping; rows that have converged drop out.
"""

import math
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Largest gradient component at convergence. The prior makes the curvature at least the prior
#: weight, so this bounds the error of each whitened random effect (in standard deviations).
GRADIENT_TOLERANCE: Final = 1e-8
#: With an exact Hessian the last step squares the error, so more costs nothing.
EXACT_TOLERANCE: Final = 1e-10
MAX_ITERATIONS: Final = 60
#: A step never moves a random effect by more standard deviations than this.
LONGEST_STEP: Final = 3.0
#: A bend smaller than this counts as this where the objective bends downwards; the prior's is 1.
_FLATTEST: Final = 1e-3


class Expansion(NamedTuple):
    """An objective around z: value (N,), gradient (N, q), Fisher information (N, q, q), Hessian."""

    value: Array
    gradient: Array
    fisher: Array
    hessian: Array | None = None


class Expandable(Protocol):
    """What the iteration needs of an objective over rows z (N, q)."""

    def expand(self, z: Array) -> Expansion: ...

    def rows(self, keep: NDArray[np.intp]) -> "Expandable": ...


class Minimum(Struct, frozen=True, eq=False):
    """Where each row ended: z (N, q), value (N,), largest gradient component (N,).

    hessian (N, q, q) is None where the objective does not know it.
    """

    z: Array
    value: Array
    gradient_norm: Array
    converged: NDArray[np.bool_]
    iterations: int
    hessian: Array | None = None

    def split(self) -> list["Minimum"]:
        """One Minimum for each row."""
        return [
            Minimum(
                self.z[row],
                self.value[row],
                self.gradient_norm[row],
                self.converged[row],
                self.iterations,
                None if self.hessian is None else self.hessian[row],
            )
            for row in (slice(i, i + 1) for i in range(len(self.z)))
        ]


def minimise(objective: Expandable, start: Array) -> Minimum:
    """Minimise every row from its starting point."""
    n = len(start)
    best = Minimum(start.copy(), np.empty(n), np.empty(n), np.zeros(n, dtype=bool), 0)
    curvature = np.empty((n, *start.shape[1:] * 2))
    alive = np.arange(n)
    z = start
    value, gradient, fisher, hessian = objective.expand(z)
    norm = np.abs(gradient).max(axis=1)
    extra = np.zeros_like(fisher) if hessian is None else hessian - fisher
    tolerance = GRADIENT_TOLERANCE if hessian is None else EXACT_TOLERANCE
    damping = np.zeros(n)
    iteration = 0
    while True:
        # a step refused near the minimum means that rounding allows no better
        done = (norm <= tolerance) | ((norm <= GRADIENT_TOLERANCE) & (damping > 0.0))
        leave = done | (damping > 1e10) | (iteration == MAX_ITERATIONS)
        if leave.any():
            out = alive[leave]
            best.z[out], best.value[out] = z[leave], value[leave]
            best.gradient_norm[out], best.converged[out] = norm[leave], done[leave]
            curvature[out] = fisher[leave] + extra[leave]
            if leave.all():
                break
            stay = np.flatnonzero(~leave)
            objective, alive = objective.rows(stay), alive[stay]
            z, value, gradient, norm, fisher, extra, damping = (
                a[stay] for a in (z, value, gradient, norm, fisher, extra, damping)
            )
        iteration += 1
        step = _step(gradient, _upwards(fisher + extra), damping)
        new_z = z + step
        new_value, new_gradient, new_fisher, hessian = objective.expand(new_z)
        new_norm = np.abs(new_gradient).max(axis=1)
        # near the minimum the value is flat to rounding: then a smaller gradient is progress too
        slack = 1e-13 * (1.0 + np.abs(value))
        flat = (new_value <= value + slack) & (new_norm < norm)
        better = (new_value < value - slack) | flat
        if hessian is None:
            new_extra = _secant(step, new_gradient - gradient, new_fisher, extra)
        else:
            new_extra = hessian - new_fisher
        if better.all():
            z, value, gradient, norm = new_z, new_value, new_gradient, new_norm
            fisher, extra = new_fisher, new_extra
            damping = np.where(damping > 1e-3, damping * 0.1, 0.0)
            continue
        pick = better[:, None]
        z = np.where(pick, new_z, z)
        value = np.where(better, new_value, value)
        gradient = np.where(pick, new_gradient, gradient)
        norm = np.where(better, new_norm, norm)
        fisher = np.where(pick[..., None], new_fisher, fisher)
        # a secant estimate that led astray is dropped; an exact Hessian still holds
        extra = np.where(pick[..., None], new_extra, 0.0 if hessian is None else extra)
        damping = np.where(better, damping * 0.1, np.maximum(damping * 10.0, 0.1))
    known = None if hessian is None else curvature
    return Minimum(best.z, best.value, best.gradient_norm, best.converged, iteration, known)


def _upwards(curvature: Array) -> Array:
    """The curvature (N, q, q) with every bend turned upwards."""
    if curvature.shape[1] == 2:
        a, b, c = curvature[:, 0, 0], curvature[:, 0, 1], curvature[:, 1, 1]
        downwards = (a <= 0.0) | (a * c <= b * b)
    else:
        downwards = np.linalg.eigvalsh(curvature)[:, 0] <= 0.0
    if not downwards.any():
        return curvature
    bends, along = np.linalg.eigh(curvature[downwards])
    turned = curvature.copy()
    size = np.maximum(np.abs(bends), _FLATTEST)
    turned[downwards] = (along * size[:, None, :]) @ along.swapaxes(1, 2)
    return turned


def _step(gradient: Array, curvature: Array, damping: Array) -> Array:
    """Newton step, damped, and cut to the longest."""
    full = curvature
    if damping.any():
        diagonal = np.einsum("nii->ni", full).copy()
        full = full.copy()
        np.einsum("nii->ni", full)[...] += damping[:, None] * diagonal
    if gradient.shape[1] == 2:
        a, b, c = full[:, 0, 0], full[:, 0, 1], full[:, 1, 1]
        across = np.stack([b * gradient[:, 1], b * gradient[:, 0]], axis=1)
        along = np.stack([c, a], axis=1) * gradient
        step = (across - along) / (a * c - b * b)[:, None]
    else:
        step = np.asarray(-np.linalg.solve(full, gradient[..., None])[..., 0], np.float64)
    longest = np.abs(step).max(axis=1)
    if (longest > LONGEST_STEP).any():
        step *= np.minimum(1.0, LONGEST_STEP / longest)[:, None]
    return step


class Alone(Protocol):
    """One objective of two numbers (the second idle if `size` is one)."""

    size: int

    def expand(self, z0: float, z1: float) -> tuple[float, Any, Any, Any]: ...


def minimise_alone(objective: Alone, z0: float = 0.0, z1: float = 0.0) -> Minimum:
    """The same iteration for one objective with an exact Hessian, without arrays."""
    value, gradient, hessian, _ = objective.expand(z0, z1)
    norm = max(abs(gradient[0]), abs(gradient[1]))
    damping, iteration = 0.0, 0
    while norm > EXACT_TOLERANCE and damping <= 1e10 and iteration < MAX_ITERATIONS:
        if norm <= GRADIENT_TOLERANCE and damping > 0.0:
            break  # a step refused near the minimum means that rounding allows no better
        iteration += 1
        d0, d1 = _step_alone(gradient, hessian, damping)
        new_value, new_gradient, new_hessian, _ = objective.expand(z0 + d0, z1 + d1)
        new_norm = max(abs(new_gradient[0]), abs(new_gradient[1]))
        slack = 1e-13 * (1.0 + abs(value))
        if new_value < value - slack or (new_value <= value + slack and new_norm < norm):
            z0, z1, value, norm = z0 + d0, z1 + d1, new_value, new_norm
            gradient, hessian = new_gradient, new_hessian
            damping = damping * 0.1 if damping > 1e-3 else 0.0
        else:
            damping = max(damping * 10.0, 0.1)
    return Minimum(
        np.array([[z0, z1]])[:, : objective.size],
        np.array([value]),
        np.array([norm]),
        np.array([norm <= GRADIENT_TOLERANCE]),
        iteration,
        np.array([[hessian[:2], hessian[1:]]])[:, : objective.size, : objective.size],
    )


def _step_alone(gradient: Any, hessian: Any, damping: float) -> tuple[float, float]:
    a, b, c = hessian
    if a <= 0.0 or a * c <= b * b:
        a, b, c = _upwards_alone(a, b, c)
    a, c = a * (1.0 + damping), c * (1.0 + damping)
    determinant = a * c - b * b
    d0 = (b * gradient[1] - c * gradient[0]) / determinant
    d1 = (b * gradient[0] - a * gradient[1]) / determinant
    longest = max(abs(d0), abs(d1))
    if longest > LONGEST_STEP:
        d0, d1 = d0 * LONGEST_STEP / longest, d1 * LONGEST_STEP / longest
    return d0, d1


def _upwards_alone(a: float, b: float, c: float) -> tuple[float, float, float]:
    """The symmetric matrix (a b; b c) with every bend turned upwards."""
    middle, apart = 0.5 * (a + c), math.hypot(0.5 * (a - c), b)
    more, less = (max(abs(middle + sign * apart), _FLATTEST) for sign in (1.0, -1.0))
    if apart == 0.0:
        return more, 0.0, more
    half, lean = 0.5 * (more + less), 0.5 * (more - less) / apart
    return half + lean * 0.5 * (a - c), lean * b, half - lean * 0.5 * (a - c)


def _secant(step: Array, change: Array, fisher: Array, extra: Array) -> Array:
    """Update the part of the Hessian that Fisher information misses (symmetric rank one)."""
    missing = change - ((fisher + extra) @ step[..., None])[..., 0]
    along = (missing * step).sum(axis=1)
    size = np.sqrt((missing**2).sum(axis=1) * (step**2).sum(axis=1))
    usable = np.abs(along) > 1e-6 * size
    scale = np.where(usable, 1.0 / np.where(usable, along, 1.0), 0.0)
    return extra + scale[:, None, None] * missing[:, :, None] * missing[:, None, :]
