"""The objective of MAP estimation: -log posterior density of the whitened random effects.

With eta = root @ z the prior of z is standard normal whatever omega is, so one scale serves every
model and step lengths mean standard deviations. Rows are independent problems: many patients, or
many starting points of one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.curve import Curve, curve
from pk.errors import LevelNotUsedError
from pk.individual import Individual
from pk.minimise import Expansion
from pk.residual import Residual
from pk.variability import Variability

Array = NDArray[np.float64]


class LevelBlock(NamedTuple):
    """Levels of one analyte: y (..., T) in ng/mL (the LLOQ where below), weight 0 for padding."""

    curve: Curve
    residual: Residual
    y: Array
    below: NDArray[np.bool_]
    weight: Array | None
    positions: tuple[int, ...]


class Objective(Struct, frozen=True, eq=False):
    """-log p(levels | z) - log p(z) for rows z (N, q)."""

    blocks: Sequence[LevelBlock]
    root: Array
    prior_weight: float = 1.0

    @property
    def size(self) -> int:
        return int(self.root.shape[0])

    def value(self, z: Array) -> Array:
        """Objective of each row, shape (...,), for z (..., q)."""
        return self.prior(z) + self.misfit(z)

    def prior(self, z: Array) -> Array:
        normal = 0.5 * self.size * math.log(2.0 * math.pi)
        return np.asarray(self.prior_weight * (0.5 * _summed(z * z) + normal))

    def misfit(self, z: Array) -> Array:
        """-log likelihood of the levels, shape (...,)."""
        total = np.zeros(z.shape[:-1])
        eta = z @ self.root.T
        for block in self.blocks:
            nll = -block.residual.log_likelihood(block.curve.at(eta), block.y, block.below)
            total += _summed(nll if block.weight is None else nll * block.weight)
        return total

    def expand(self, z: Array) -> Expansion:
        """Value (N,), gradient (N, q) and positive definite Fisher curvature (N, q, q)."""
        w = self.prior_weight
        value, gradient = self.prior(z), w * z
        curvature = np.broadcast_to(w * np.eye(self.size), (*z.shape, self.size)).copy()
        eta = z @ self.root.T
        for block in self.blocks:
            f, slopes = block.curve.with_slopes(eta)
            jacobian = slopes @ self.root
            nll, d1, d2 = block.residual.terms(f, block.y, block.below)
            if block.weight is not None:
                nll, d1, d2 = nll * block.weight, d1 * block.weight, d2 * block.weight
            value = value + nll.sum(axis=-1)
            gradient = gradient + (d1[..., None, :] @ jacobian)[..., 0, :]
            curvature += np.swapaxes(jacobian, -1, -2) @ (d2[..., None] * jacobian)
        return Expansion(value, gradient, curvature)

    def rows(self, keep: NDArray[np.intp]) -> "Objective":
        """The same objective: rows share everything (overridden where patients are stacked)."""
        return self

    def hessian(self, z: Array) -> Array:
        """Hessian (q, q) at one point z (q,), by central differences of the exact gradient."""
        h = 1e-5
        steps = h * np.eye(self.size)
        gradients = self.expand(np.concatenate([z + steps, z - steps])).gradient
        hessian = (gradients[: self.size] - gradients[self.size :]) / (2.0 * h)
        return 0.5 * (hessian + hessian.T)


def objective(
    person: Individual,
    effects: Variability,
    prior_weight: float = 1.0,
    residual: Mapping[str, Residual] | None = None,
    *,
    checked: bool = False,
) -> Objective:
    """Build the objective of one patient; every level that is not excluded enters it.

    Raises LevelNotUsedError if the model has no such analyte or cannot predict the level; `checked`
    says that it is known to predict it, as after a fit.
    """
    errors = {**person.model.residual, **(residual or {})}
    used = person.case.used_levels
    blocks = []
    for analyte in dict.fromkeys(level.analyte for level in used):
        if analyte not in person.model.structure.analytes:
            raise LevelNotUsedError("levels", f"{person.model.id} does not describe the {analyte}")
        chosen = [i for i, level in enumerate(used) if level.analyte == analyte]
        times = np.array([used[i].time_h for i in chosen])
        below = np.array([used[i].below_loq for i in chosen])
        y = np.array(
            [_reported(used[i].below_loq, used[i].lloq_ng_ml, used[i].ng_ml) for i in chosen]
        )
        line = curve(person, effects, times, analyte)
        if not checked:
            _check_predicted(line.at(np.zeros(effects.omega.shape[0])), chosen)
        blocks.append(LevelBlock(line, errors[analyte], y, below, None, tuple(chosen)))
    return Objective(blocks, effects.root, prior_weight)


def _summed(values: Array) -> Array:
    """The sum over the last axis, which is short: as a product, several times faster."""
    return np.asarray(values @ np.ones(values.shape[-1]))


def _check_predicted(typical: Array, chosen: Sequence[int]) -> None:
    if not (np.isfinite(typical).all() and (typical > 0.0).all()):
        worst = chosen[int(np.argmin(np.where(np.isfinite(typical), typical, -1.0)))]
        raise LevelNotUsedError(f"levels[{worst}]", "the model predicts no concentration then")


def _reported(below: bool, lloq: float | None, value: float) -> float:
    return lloq if below and lloq is not None else value
