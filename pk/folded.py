"""Doses of one patient whose input was over, summed at any number of rates.

Each is an exponential of its age, and a regular run of them a geometric series.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]

NG_ML_PER_MG_L: Final = 1000.0
#: Stands for an infinite number of doses: exp(-rate x this) is zero for every rate met in practice.
FOREVER_H: Final = 1e9
#: Above this 1 - exp(-x) keeps twelve digits, and is several times faster than expm1.
CANCELS: Final = 1e-3
#: exp of less is no normal number any more: it takes twenty times as long, and nothing is left.
_FAINTEST: Final = -700.0
#: Exponentials worked out at once: they stay in the processor's cache.
_AT_ONCE: Final = 65536


class Folded(Struct, frozen=True, eq=False):
    """Folded doses as exponentials of their age.

    alone_h, alone_mg (A,): doses that stand alone. A regular run is exp(-k age), less the same at
    the age where a dose more would have been, over 1 - exp(-k tau). at_h: both ages of all runs
    (n,), then the spacings tau; mg (taus, n): what each counts towards the runs of a spacing. runs:
    age, mg, tau and span of each once more.
    """

    alone_h: Array
    alone_mg: Array
    at_h: Array
    mg: Array
    runs: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(cls, age_h: Array, mg: Array, tau_h: Array, span_h: Array) -> "Folded":
        """Runs (R,) by the age of their youngest dose; a span of one spacing is a dose alone."""
        alone = span_h == tau_h
        parts = (part[~alone].tolist() for part in (age_h, mg, tau_h, span_h))
        runs = tuple(zip(*parts, strict=True))
        taus = sorted({tau for _, _, tau, _ in runs})
        ends = [i for i, (_, _, _, span) in enumerate(runs) if span < FOREVER_H]
        by_tau = [[m if tau == each else 0.0 for _, m, tau, _ in runs] for each in taus]
        before = [runs[i][0] + runs[i][3] for i in ends]
        return cls(
            age_h[alone],
            mg[alone],
            np.array([*(age for age, _, _, _ in runs), *before, *taus]),
            np.array([[*row, *(-row[i] for i in ends)] for row in by_tau]),
            runs,
        )

    def sums(self, rate: Array) -> Array:
        """Dose sums, mg, at rates (...), 1/h."""
        k = rate.ravel()
        step = max(_AT_ONCE // max(len(self.alone_h) + len(self.at_h), 1), 1)
        if len(k) <= step:
            return self._sums(k).reshape(rate.shape)
        parts = [self._sums(k[first : first + step]) for first in range(0, len(k), step)]
        return np.concatenate(parts).reshape(rate.shape)

    def _sums(self, k: Array) -> Array:
        total = np.zeros(len(k))
        if len(self.alone_h):
            total += self.alone_mg @ faded(self.alone_h, k)
        if not self.runs:
            return total
        taus, ages = self.mg.shape
        if float(k.min()) * float(self.at_h[ages]) > CANCELS:  # the shortest spacing stands first
            fade = faded(self.at_h, k)
            series = self.mg @ fade[:ages]
            series /= 1.0 - fade[ages:]
            total += series[0] if taus == 1 else series.sum(axis=0)
            return total
        for age, mg, tau, span in self.runs:  # so slow that the ends of a run would cancel
            total += mg * np.exp(-k * age) * (np.expm1(-k * span) / np.expm1(-k * tau))
        return total


def faded(age_h: Array, k: Array) -> Array:
    """exp(-k age), (ages, rates)."""
    x = np.multiply.outer(-age_h, k)
    np.maximum(x, _FAINTEST, out=x)
    return np.asarray(np.exp(x, out=x))
