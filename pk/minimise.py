"""Damped Newton iteration for many small problems at once.

The curvature is the Fisher information plus a secant estimate of what it leaves out (as in NL2SOL,
Dennis, Gay & Welsch 1981), so steps are safe far from the minimum and converge faster than linearly
near it. Each row keeps its own damping; rows that have converged drop out.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Largest gradient component at convergence. The prior makes the curvature at least the prior
#: weight, so this bounds the error of each whitened random effect (in standard deviations).
GRADIENT_TOLERANCE: Final = 1e-8
MAX_ITERATIONS: Final = 60
#: A step never moves a random effect by more standard deviations than this.
LONGEST_STEP: Final = 3.0


class Expandable(Protocol):
    """What the iteration needs of an objective over rows z (N, q)."""

    def expand(self, z: Array) -> tuple[Array, Array, Array]: ...

    def rows(self, keep: NDArray[np.intp]) -> "Expandable": ...


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where each row ended: z (N, q), value (N,), largest gradient component (N,)."""

    z: Array
    value: Array
    gradient_norm: Array
    converged: NDArray[np.bool_]
    iterations: int


def minimise(objective: Expandable, start: Array) -> Minimum:
    """Minimise every row from its starting point."""
    n = len(start)
    best = Minimum(start.copy(), np.empty(n), np.empty(n), np.zeros(n, dtype=bool), 0)
    alive = np.arange(n)
    z = start
    value, gradient, fisher = objective.expand(z)
    norm = np.abs(gradient).max(axis=1)
    extra = np.zeros_like(fisher)
    damping = np.zeros(n)
    iteration = 0
    while True:
        done = norm <= GRADIENT_TOLERANCE
        leave = done | (damping > 1e10) | (iteration == MAX_ITERATIONS)
        if leave.any():
            out = alive[leave]
            best.z[out], best.value[out] = z[leave], value[leave]
            best.gradient_norm[out], best.converged[out] = norm[leave], done[leave]
            if leave.all():
                break
            stay = np.flatnonzero(~leave)
            objective, alive = objective.rows(stay), alive[stay]
            z, value, gradient, norm, fisher, extra, damping = (
                a[stay] for a in (z, value, gradient, norm, fisher, extra, damping)
            )
        iteration += 1
        step = _step(gradient, fisher, extra, damping)
        new_z = z + step
        new_value, new_gradient, new_fisher = objective.expand(new_z)
        new_norm = np.abs(new_gradient).max(axis=1)
        # near the minimum the value is flat to rounding: then a smaller gradient is progress too
        slack = 1e-13 * (1.0 + np.abs(value))
        flat = (new_value <= value + slack) & (new_norm < norm)
        better = (new_value < value - slack) | flat
        new_extra = _secant(step, new_gradient - gradient, new_fisher, extra)
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
        extra = np.where(pick[..., None], new_extra, 0.0)
        damping = np.where(better, damping * 0.1, np.maximum(damping * 10.0, 0.1))
    return Minimum(best.z, best.value, best.gradient_norm, best.converged, iteration)


def _step(gradient: Array, fisher: Array, extra: Array, damping: Array) -> Array:
    """Newton step with the estimated Hessian where that is safe, else with Fisher information."""
    full = fisher + extra
    if gradient.shape[1] == 2:
        # trust the secant part only while it leaves at least a tenth of the Fisher determinant
        determinant = full[:, 0, 0] * full[:, 1, 1] - full[:, 0, 1] ** 2
        floor = 0.1 * (fisher[:, 0, 0] * fisher[:, 1, 1] - fisher[:, 0, 1] ** 2)
        safe = (determinant > floor) & (full[:, 0, 0] > 0.0)
    else:
        eigenvalues = np.linalg.eigvalsh(full)
        safe = eigenvalues[:, 0] > 0.1 * np.linalg.eigvalsh(fisher)[:, 0]
    if not safe.all():
        full = np.where(safe[:, None, None], full, fisher)
    if damping.any():
        diagonal = np.einsum("nii->ni", full).copy()
        full = full.copy()
        np.einsum("nii->ni", full)[...] += damping[:, None] * diagonal
    step: Array = np.asarray(-np.linalg.solve(full, gradient[..., None])[..., 0], np.float64)
    longest = np.abs(step).max(axis=1)
    if (longest > LONGEST_STEP).any():
        step *= np.minimum(1.0, LONGEST_STEP / longest)[:, None]
    return step


def _secant(step: Array, change: Array, fisher: Array, extra: Array) -> Array:
    """Update the part of the Hessian that Fisher information misses (symmetric rank one)."""
    missing = change - ((fisher + extra) @ step[..., None])[..., 0]
    along = (missing * step).sum(axis=1)
    size = np.sqrt((missing**2).sum(axis=1) * (step**2).sum(axis=1))
    usable = np.abs(along) > 1e-6 * size
    scale = np.where(usable, 1.0 / np.where(usable, along, 1.0), 0.0)
    return extra + scale[:, None, None] * missing[:, :, None] * missing[:, None, :]
