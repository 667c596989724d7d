"""The MAP objective where levels speak of two numbers only: log k and log V.

In the models that `pk.one_compartment` describes, every level is a function of u = log(CL / V) and
w = log V, and both are linear in the whitened random effects. Gradient and Hessian are therefore
exact and cheap, and Newton's method needs few steps. `Reduced` is one patient in plain numbers,
`StackedReduced` many in arrays; both are the objective of `pk.objective` again.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from pk.changing import ChangingLevels, changing
from pk.errors import LevelNotUsedError
from pk.few_doses import FewDoses, are_few
from pk.individual import Individual
from pk.jets import Jet
from pk.minimise import Expansion
from pk.one_compartment import Layout, describes, layout
from pk.residual import NOTHING, Residual
from pk.stitched import segments
from pk.structure import PARENT
from pk.variability import Variability

Array = NDArray[np.float64]

_NOTHING_THEN: Final = "the model predicts no concentration then"
_HALF_LOG_2PI: Final = 0.5 * math.log(2.0 * math.pi)
#: Random effects at most; all models described have one or two.
_EFFECTS: Final = 2


def reducible(person: Individual, effects: Variability) -> bool:
    """True if the levels of the patient are a function of k and V alone."""
    return (
        effects.by_occasion is None
        and len(effects.names) <= _EFFECTS
        and describes(person.model.structure, effects.loads, PARENT)
        and all(v.analyte == PARENT and not v.below_loq for v in person.case.used_levels)
    )


class StackedReduced(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """N patients with L levels in all; `owner` (L,) is sorted, every patient has a level.

    start (2, N): typical u and w; along (2, q): their slopes in the whitened random effects.
    """

    levels: Layout
    y: Array
    owner: NDArray[np.intp]
    residual: Residual
    start: Array
    along: Array
    prior_weight: float

    def concentrations(self, z: Array) -> Array:
        """Concentration (L,) of each level at random effects z (N, q), ng/mL."""
        u, w = self._at(z)
        return np.asarray(self.levels.g(np.exp(u))[0] * np.exp(-w))

    def expand(self, z: Array) -> Expansion:
        u, w = self._at(z)
        k, inverse = np.exp(u), np.exp(-w)
        g, g1, g2 = self.levels.g(k)
        f = np.maximum(g * inverse, NOTHING)
        fu = g1 * k * inverse
        fuu = fu + g2 * k * k * inverse
        nll, n1, n2, info = self.residual.density(f, self.y, np)
        n2fu, ifu = n2 * fu, info * fu
        sums = self._per_patient(
            np.array(
                [
                    nll,
                    n1 * fu,
                    -n1 * f,
                    n2fu * fu + n1 * fuu,
                    -n2fu * f - n1 * fu,
                    (n2 * f + n1) * f,
                    ifu * fu,
                    -ifu * f,
                    info * f * f,
                ]
            )
        )
        q = z.shape[1]
        weight = self.prior_weight
        value = sums[0] + weight * (0.5 * (z * z).sum(axis=1) + q * _HALF_LOG_2PI)
        gradient = weight * z + sums[1:3].T @ self.along
        # rows u, w of a symmetric 2 x 2 matrix, taken to the random effects
        outer = np.einsum("ai,bj->abij", self.along, self.along).reshape(4, q * q)
        prior = weight * np.eye(q)
        hessian = (sums[[3, 4, 4, 5]].T @ outer).reshape(-1, q, q) + prior
        fisher = (sums[[6, 7, 7, 8]].T @ outer).reshape(-1, q, q) + prior
        return Expansion(value, gradient, fisher, hessian)

    def rows(self, keep: NDArray[np.intp]) -> "StackedReduced":
        place = np.full(self.start.shape[1], -1)
        place[keep] = np.arange(len(keep))
        owner = place[self.owner]
        stays = np.flatnonzero(owner >= 0)
        return StackedReduced(
            self.levels.rows(stays),
            self.y[stays],
            owner[stays],
            self.residual,
            self.start[:, keep],
            self.along,
            self.prior_weight,
        )

    def _at(self, z: Array) -> Array:
        return np.take(self.start + self.along @ z.T, self.owner, axis=1)

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def _per_patient(self, values: Array) -> Array:
        if len(self._first) == len(self.owner):
            return values
        return np.asarray(np.add.reduceat(values, self._first, axis=1))


class Reduced:
    """One patient: the objective at (z0, z1) in plain numbers; z1 is idle with one effect."""

    def __init__(
        self,
        levels: Layout | FewDoses | ChangingLevels,
        y: Sequence[float],
        residual: Residual,
        start: tuple[float, float],
        along: Array,
        prior_weight: float,
    ) -> None:
        self.levels = levels
        self.y = y
        self.residual = residual
        self.size = along.shape[1]
        self.prior_weight = prior_weight
        self.u, self.w = start
        (self.u0, self.u1), (self.w0, self.w1) = (
            row if len(row) == _EFFECTS else [*row, 0.0] for row in along.tolist()
        )

    def expand(self, z0: float, z1: float) -> tuple[float, Any, Any, Any]:
        """Value, gradient (2), and Hessian and Fisher information as (00, 01, 11)."""
        u0, u1, w0, w1, density = self.u0, self.u1, self.w0, self.w1, self.residual.density
        k = math.exp(self.u + u0 * z0 + u1 * z1)
        inverse = math.exp(-(self.w + w0 * z0 + w1 * z1))
        weight = self.prior_weight
        value = weight * (0.5 * (z0 * z0 + z1 * z1) + self.size * _HALF_LOG_2PI)
        du = dw = huu = huw = hww = iuu = iuw = iww = 0.0
        for (g, g1, g2), y in zip(self.levels.g_alone(k), self.y, strict=True):
            f = max(g * inverse, NOTHING)
            fu = g1 * k * inverse
            nll, n1, n2, info = density(f, y, math)
            value += nll
            du += n1 * fu
            dw -= n1 * f
            huu += n2 * fu * fu + n1 * (fu + g2 * k * k * inverse)
            huw -= (n2 * f + n1) * fu
            hww += (n2 * f + n1) * f
            iuu += info * fu * fu
            iuw -= info * fu * f
            iww += info * f * f

        def turned(uu: float, uw: float, ww: float) -> tuple[float, float, float]:
            return (
                weight + u0 * u0 * uu + 2.0 * u0 * w0 * uw + w0 * w0 * ww,
                u0 * u1 * uu + (u0 * w1 + u1 * w0) * uw + w0 * w1 * ww,
                weight + u1 * u1 * uu + 2.0 * u1 * w1 * uw + w1 * w1 * ww,
            )

        gradient = (weight * z0 + u0 * du + w0 * dw, weight * z1 + u1 * du + w1 * dw)
        return value, gradient, turned(huu, huw, hww), turned(iuu, iuw, iww)


def alone(
    person: Individual, effects: Variability, residual: Residual, prior_weight: float
) -> Reduced | None:
    """The objective of one patient with levels in plain numbers; None where it has another form.

    Raises LevelNotUsedError if the model cannot predict a level.
    """
    if not reducible(person, effects):
        return None
    if person.varying:
        levels = person.case.used_levels
        times = np.array([v.time_h for v in levels])
        cut = bounds, typical = segments(person, times)
        if len(bounds):
            line = changing(person, effects, times, PARENT, cut)
            if line is None:
                return None
            _check_each_predicted(line.levels.g_alone(1.0))
            y = [v.ng_ml for v in levels]
            along = _along(person, effects)
            return Reduced(line.levels, y, residual, (0.0, 0.0), along, prior_weight)
        # nothing changes as far back as the history goes
        person = replace(person, typical=typical[0])
    history, used = person.case.history, person.case.used_levels
    if are_few(history, len(used)):
        structure, typical = person.model.structure, person.typical.tolist()
        p = dict(zip(structure.parameters, typical, strict=True))
        number = p["D"] if "D" in p else p["ka"]
        few = FewDoses(structure, history, [v.time_h for v in used], number)
        _check_each_predicted(few.g_alone(p["CL"] / p["V"]))
        begin = math.log(p["CL"] / p["V"]), math.log(p["V"])
        y = [v.ng_ml for v in used]
        return Reduced(few, y, residual, begin, _along(person, effects), prior_weight)
    one = stacked([person], effects, residual, prior_weight)
    (u,), (w,) = one.start.tolist()
    return Reduced(one.levels, one.y.tolist(), residual, (u, w), one.along, prior_weight)


def _along(person: Individual, effects: Variability) -> Array:
    """Slopes (2, q) of u and w in the whitened random effects."""
    columns = [person.model.structure.parameters.index(n) for n in ("CL", "V")]
    clearance, volume = effects.whitened[columns]
    return np.array([clearance - volume, volume])


def _check_each_predicted(typical: Sequence[Jet]) -> None:
    for place, level in enumerate(typical):
        if not level[0] > 0.0:  # also false for NaN
            raise LevelNotUsedError(f"levels[{place}]", _NOTHING_THEN)


def _check_predicted(typical: Array, owner: NDArray[np.intp]) -> None:
    if not (typical > 0.0).all():  # also false for NaN
        level = int(np.argmin(typical > 0.0))
        place = level - int(np.argmax(owner == owner[level]))
        raise LevelNotUsedError(f"levels[{place}]", _NOTHING_THEN)


def stacked(
    people: Sequence[Individual], effects: Variability, residual: Residual, prior_weight: float
) -> StackedReduced:
    """Stack the levels of patients of one model; each must be `reducible`, constant, with a level.

    Raises LevelNotUsedError if the model cannot predict one of them.
    """
    structure = people[0].model.structure
    columns = [structure.parameters.index(n) for n in ("CL", "V")]
    typical = np.array([p.typical for p in people])
    levels = [p.case.used_levels for p in people]
    owner = np.repeat(np.arange(len(people)), [len(found) for found in levels])
    times = np.array([v.time_h for found in levels for v in found])
    y = np.array([v.ng_ml for found in levels for v in found])
    clearance, volume = np.log(typical[:, columns]).T
    histories = [p.case.history for p in people]
    number = typical[:, structure.parameters.index("D" if "D" in structure.parameters else "ka")]
    found = StackedReduced(
        layout(structure, histories, owner, times, number[owner]),
        y,
        owner,
        residual,
        np.array([clearance - volume, volume]),
        _along(people[0], effects),
        prior_weight,
    )
    _check_predicted(found.concentrations(np.zeros((len(people), len(effects.names)))), owner)
    return found
