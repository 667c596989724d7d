"""The distribution of a positive number over weighted nodes, and several of them pooled.

A node of a lattice stands for its cell, not for a point. Counting nodes below a limit would be off
by the weight of a whole row of them wherever rows lie along the limit; so the logarithm of the
number is spread over what it varies within a cell to either side, most in the middle (a triangle).
The rows then join without gaps whatever their distance, and probabilities come out many times as
exact as by counting. Spreading widens a distribution by the variance of the triangle, so the nodes
are first drawn together by as much: mean and variance stay.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Places between which quantiles of a continuous distribution are looked up: a twelfth of a
#: standard deviation apart, where a straight line between two is off by 2e-4 in probability.
_PLACES: Final = 129
_LEAST: Final = 1e-300
#: Variation of a logarithm that is nothing but rounding.
_NONE: Final = 1e-9


class Spread(Protocol):
    """What can be asked of a distribution."""

    def quantiles(self, probs: Array) -> Array:
        """Quantiles (len(probs),)."""
        ...

    def below(self, limits: Array) -> Array:
        """Probability of less than each limit (n,)."""
        ...

    def above(self, limits: Array) -> Array:
        """Probability of more than each limit (n,)."""
        ...


class Distribution(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Sorted once, it answers every question about quantiles and limits by looking up a place.

    at (M,): the number at the nodes in order, and reached (M + 1,) the weight up to each. Where
    nodes stand for cells, `at` are logarithms and `cell` is what they vary within one.
    """

    at: Array
    reached: Array
    cell: float

    @classmethod
    def of(
        cls, values: Array, weight: Array, step: float = 0.0, over: Array | None = None
    ) -> "Distribution":
        """Values (M,) with weights (M,) at nodes with cells of `step` standard deviations.

        The deviations are those of the nodes with weights `over` (M,), if these are but some of
        them. As far as a logarithm is linear over the nodes, it varies by as many of its own. What
        has no logarithm, or does not vary, is counted node by node.
        """
        if not step or not values.min() > 0.0:
            return cls._stepped(values, weight)
        logs = np.log(values)
        mean, spread = _moments(logs, weight)
        cell = step * (spread if over is None else _moments(logs, over)[1])
        if not spread > _NONE:
            return cls._stepped(values, weight)
        drawn_together = math.sqrt(max(1.0 - (cell / spread) ** 2 / 6.0, 0.0))
        stepped = cls._stepped(mean + drawn_together * (logs - mean), weight)
        return cls(stepped.at, stepped.reached, cell)

    @classmethod
    def _stepped(cls, values: Array, weight: Array) -> "Distribution":
        order = np.argsort(values)
        reached = np.zeros(len(values) + 1)
        np.cumsum(weight[order], out=reached[1:])
        return cls(values[order], reached, 0.0)

    def quantiles(self, probs: Array) -> Array:
        if not self.cell:  # between the middles of the steps
            middle = 0.5 * (self.reached[1:] + self.reached[:-1])
            return np.asarray(np.interp(probs, middle, self.at))
        places = np.linspace(self.at[0] - self.cell, self.at[-1] + self.cell, _PLACES)
        return np.exp(np.interp(probs, self._reached_at(places), places))

    def below(self, limits: Array) -> Array:
        if not self.cell:
            return self.reached[np.searchsorted(self.at, limits, side="left")]
        return self._reached_at(np.log(np.maximum(limits, _LEAST)))

    def above(self, limits: Array) -> Array:
        if self.cell:
            return np.asarray(self.reached[-1] - self.below(limits))
        return np.asarray(
            self.reached[-1] - self.reached[np.searchsorted(self.at, limits, side="right")]
        )

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest number."""
        first, last = float(self.at[0]), float(self.at[-1])
        if not self.cell:
            return first, last
        return math.exp(first - self.cell), math.exp(last + self.cell)

    def _reached_at(self, at: Array) -> Array:
        """Weight up to each logarithm, by the steps averaged under a triangle around it."""
        cell, whole = self.cell, self.reached[-1]
        before, here, after = (self._twice(at + move) for move in (-cell, 0.0, cell))
        found = np.clip((before - 2.0 * here + after) / (cell * cell), 0.0, whole)
        # beyond the last node nothing but rounding would be left of the difference
        return np.where(at - cell >= self.at[-1], whole, found)

    def _twice(self, at: Array) -> Array:
        """The steps integrated twice, up to each place: between nodes a parabola."""
        places, area, twice = self._integrals
        node = np.searchsorted(self.at, at)
        off = at - places[node]
        return np.asarray(twice[node] + off * (area[node] + 0.5 * off * self.reached[node]))

    @cached_property
    def _integrals(self) -> tuple[Array, Array, Array]:
        """Where each step begins (M + 1,), and its integrals up to there."""
        places = np.append(self.at[0], self.at)
        off, step = np.diff(places), self.reached[:-1]
        area = np.append(0.0, np.cumsum(step * off))
        return places, area, np.append(0.0, np.cumsum(off * (area[:-1] + 0.5 * off * step)))


class Pooled(Struct, frozen=True, eq=False):
    """Distributions of one number under several models, by the weight of each model."""

    parts: Sequence[tuple[float, Distribution]]

    def quantiles(self, probs: Array) -> Array:
        ends = [part.ends for _, part in self.parts]
        low, high = min(first for first, _ in ends), max(last for _, last in ends)
        if not low < high:
            return np.full(len(probs), low)
        space = np.geomspace if low > 0.0 else np.linspace
        places = space(low, high, _PLACES * len(self.parts))
        return np.asarray(np.interp(probs, self.below(places), places))

    def below(self, limits: Array) -> Array:
        return np.asarray(sum(weight * part.below(limits) for weight, part in self.parts))

    def above(self, limits: Array) -> Array:
        return np.asarray(sum(weight * part.above(limits) for weight, part in self.parts))


def weighted_quantiles(
    values: Array,
    weight: Array,
    probs: Array,
    step: float = 0.0,
    over: Array | None = None,
) -> Array:
    """Quantiles (len(probs), ...) of values (M, ...), otherwise as `Distribution.of`."""
    columns = values.reshape(len(values), -1).T
    found = [Distribution.of(column, weight, step, over).quantiles(probs) for column in columns]
    return np.stack(found, axis=1).reshape(len(probs), *values.shape[1:])


def _moments(logs: Array, weight: Array) -> tuple[float, float]:
    """Mean and standard deviation."""
    mean = float(weight @ logs)
    off = logs - mean
    return mean, math.sqrt(float(weight @ (off * off)))
