"""Levels of one patient whose history is short to write down.

A history has a handful of runs, so that a level sees a handful of terms. For one rate they are
summed in plain numbers, which costs less than laying them out in arrays; for many rates the terms
of all levels are worked out together. `FewDoses` says what `pk.one_compartment.Layout` says.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pk.folded import CANCELS, FOREVER_H, NG_ML_PER_MG_L, faded
from pk.history import SAME_TIME_H, History
from pk.jets import Jet, Seen, run, with_input
from pk.one_compartment import Layout, layout
from pk.structure import MEETING, Structure

Array = NDArray[np.float64]

#: Runs seen from all levels together above which arrays of a general layout are quicker.
_FEW: Final = 48


def are_few(history: History, levels: int) -> bool:
    """True if this is the quicker way."""
    return len(history.last_h) * levels <= _FEW


class FewDoses:
    """Levels at `times_h`; `number` is ka in 1/h, or D in h."""

    def __init__(
        self, structure: Structure, history: History, times_h: Sequence[float], number: float
    ) -> None:
        self.structure, self.history, self.times_h = structure, history, times_h
        self.number, self.zero_order = number, structure.absorption == "zero-order"
        parts = (history.last_h, history.amount, history.tau, history.count)
        runs = list(zip(*(part.tolist() for part in parts), strict=True))
        self.seen = [self._seen(runs, t) for t in times_h]

    def g_alone(self, k: float) -> list[Jet]:
        """g of every level with its two derivatives in k, as `Layout.g_alone`."""
        if not self.zero_order and abs(self.number - k) < MEETING * self.number:
            return self._laid_out.g_alone(k)
        found = []
        for alone, seen in self.seen:
            s0 = s1 = s2 = 0.0
            for age, mg in alone:
                left = mg * math.exp(-k * age)
                s0 += left
                s1 -= left * age
                s2 += left * age * age
            found.append(with_input(k, (s0, s1, s2), seen, self.zero_order))
        return found

    def g(self, k: Array) -> Array:
        """g of every level (L, M), ng/mL x L, at rates k (M,)."""
        terms = self._terms
        fade = faded(terms.age_h, k)
        found = terms.alone @ fade
        for tau, mg in terms.regular:
            found += (mg @ fade) / (1.0 - np.exp(-tau * k))
        special = k <= terms.slow
        if self.zero_order:
            found *= -np.expm1(-self.number * k) / (self.number * k)
            for level, (_, seen) in zip(found, self.seen, strict=True):
                for age, mg in seen.young:
                    level -= mg * np.expm1(-age * k) / (self.number * k)
            found *= NG_ML_PER_MG_L
        else:
            gap = self.number - k
            special |= np.abs(gap) < MEETING * self.number
            found -= terms.at_ka
            found *= NG_ML_PER_MG_L * self.number / np.where(special, 1.0, gap)
        if special.any():
            found[:, special] = self._carefully(k[special])
        return np.asarray(found)

    def _carefully(self, k: Array) -> Array:
        """The same where numbers are so near each other that their difference loses digits."""
        levels = np.tile(np.arange(len(self.times_h)), len(k))
        found = self._laid_out.rows(levels).g(np.repeat(k, len(self.times_h)))[0]
        return np.asarray(found.reshape(len(k), -1).T)

    @cached_property
    def _laid_out(self) -> Layout:
        """The same in general arrays, which know what to do in every case."""
        times = np.array(self.times_h)
        owner = np.zeros(len(times), dtype=np.intp)
        number = np.full(len(times), self.number)
        return layout(self.structure, [self.history], owner, times, number)

    @cached_property
    def _terms(self) -> "_Terms":
        found: list[tuple[float, int, float, float]] = []  # spacing or zero, level, age, mg
        for level, (alone, seen) in enumerate(self.seen):
            found += [(0.0, level, age, mg) for age, mg in alone]
            for age, mg, tau, span in seen.regular:
                found.append((tau, level, age, mg))
                if span < FOREVER_H:
                    found.append((tau, level, age + span, -mg))
        weights = {tau: np.zeros((len(self.seen), len(found))) for tau in (0.0, *_taus(found))}
        for place, (tau, level, _, mg) in enumerate(found):
            weights[tau][level, place] = mg
        alone_mg = weights.pop(0.0)
        return _Terms(
            np.array([age for _, _, age, _ in found]),
            alone_mg,
            list(weights.items()),
            np.array([[seen.at_ka] for _, seen in self.seen]),
            CANCELS / min(weights, default=math.inf),
        )

    def _seen(
        self, runs: Sequence[tuple[float, float, float, float]], t: float
    ) -> tuple[list[tuple[float, float]], Seen]:
        """Doses that stand alone as (age, mg), and all else that a level at `t` sees."""
        over = t - self.number if self.zero_order else t
        alone, regular, young = [], [], []
        for last, mg, tau, count in runs:
            later = _since(last, tau, count, over - SAME_TIME_H)
            age, kept = over - (last - later * tau), count - later
            if kept == 1.0:
                alone.append((age, mg))
            elif kept > 1.0:
                regular.append((age, mg, tau, min(tau * kept, FOREVER_H)))
            if self.zero_order:
                first = _since(last, tau, count, t - SAME_TIME_H)
                running = range(int(first), int(later))
                young += [(t - (last - i * tau), mg) for i in running]
        base = self.number
        if not self.zero_order:
            base = sum(mg * math.exp(-base * age) for age, mg in alone)
            base += sum(run(self.number, *each, math)[0] for each in regular)
        return alone, Seen(self.number, base, regular, young)


class _Terms(NamedTuple):
    """All levels (L,) as sums of exponentials exp(-k age) of n ages.

    A regular run is its youngest dose, less what would be the dose before its first, over
    1 - exp(-k tau): `regular` holds tau and the amounts (L, n) of such runs, `alone` (L, n) those
    of other doses. Rates up to `slow` need more care.
    """

    age_h: Array
    alone: Array
    regular: list[tuple[float, Array]]
    at_ka: Array
    slow: float


def _taus(found: Sequence[tuple[float, int, float, float]]) -> list[float]:
    return sorted({tau for tau, *_ in found if tau > 0.0})


@lru_cache(maxsize=256)
def one_mg_for_ever(structure: Structure, tau_h: float, number: float) -> FewDoses:
    """The trough of 1 mg every tau for ever: the same for every patient with this input."""
    forever = History(*(np.array([x]) for x in (0.0, 1.0, tau_h, np.inf)))
    return FewDoses(structure, forever, [tau_h], number)


def _since(last: float, tau: float, count: float, at_h: float) -> float:
    """How many doses of a run were taken at or after a time."""
    return min(math.floor((last - at_h) / tau) + 1.0, count) if last >= at_h else 0.0
