"""The dose history as runs of regular doses."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from operator import sub
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.errors import CaseError

if TYPE_CHECKING:
    from pk.case import Dose, SteadyState

#: A dose counts for a level only if it was taken earlier than the level by more than this.
SAME_TIME_H: Final = 1e-9
#: Above this number of doses arrays find the breaks in their rhythm sooner than a loop does.
_MANY_DOSES: Final = 256


class History(Struct, frozen=True):
    """The doses as runs: `count` doses of `amount` every `tau` hours, the last at `last_h`.

    Regular stretches become one run, so that a year of daily doses costs no more than a week; an
    irregular dose is a run of one. `count` is infinite for a steady state. Runs stand in order of
    time.
    """

    last_h: NDArray[np.float64]
    amount: NDArray[np.float64]
    tau: NDArray[np.float64]
    count: NDArray[np.float64]

    @property
    def first_h(self) -> float:
        return float(self.last_h[0] - self.tau[0] * (self.count[0] - 1.0))

    @property
    def end_h(self) -> float:
        """Time of the last dose."""
        return float(self.last_h.max())

    def latest_before(self, time_h: float) -> float:
        """Time of the last dose taken before `time_h`."""
        skipped = np.floor((self.last_h - time_h + SAME_TIME_H) / self.tau) + 1.0
        skipped = np.where(self.last_h > time_h - SAME_TIME_H, skipped, 0.0)
        taken = np.where(skipped < self.count, self.last_h - skipped * self.tau, -np.inf)
        return float(taken.max())

    def latest_doses(self, time_h: float, number: int, not_before_h: float) -> NDArray[np.float64]:
        """Times of the last doses taken before `time_h`, at most `number`, in order."""
        times: list[NDArray[np.float64]] = []
        for last, tau, count in zip(self.last_h, self.tau, self.count, strict=True):
            later = max(math.floor((last - time_h + SAME_TIME_H) / tau) + 1, 0)
            n = int(min(count - later, number)) if later < count else 0
            times.append(last - tau * (later + np.arange(n)))
        found = np.sort(np.concatenate(times))
        return found[found >= not_before_h - SAME_TIME_H][-number:]

    def amounts_at(self, times_h: NDArray[np.float64]) -> NDArray[np.float64]:
        """Amount taken at each of the given dose times, mg."""
        times, amounts = self.single_doses(float(times_h.min()) - SAME_TIME_H)
        return np.array([amounts[np.abs(times - t) <= SAME_TIME_H].sum() for t in times_h.tolist()])

    def single_doses(
        self, after_h: float, before_h: float = math.inf
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times and amounts of all doses after `after_h`, before `before_h`, in order of time."""
        times, amounts = [], []
        parts = (self.last_h, self.amount, self.tau, self.count)
        for last, amount, tau, count in zip(*(part.tolist() for part in parts), strict=True):
            n = int(min(count, max(math.ceil((last - after_h) / tau), 0.0)))
            later = math.floor((last - before_h) / tau) + 1 if last >= before_h else 0
            if later < n:
                times.append(last - tau * np.arange(later, n)[::-1])
                amounts.append(np.full(n - later, amount))
        if not times:
            return np.zeros(0), np.zeros(0)
        t, a = np.concatenate(times), np.concatenate(amounts)
        order = np.argsort(t, kind="stable")
        order = order[t[order] < before_h]
        return t[order], a[order]


def history_of(doses: Sequence["Dose"], steady: "SteadyState | None") -> History:
    """The history of doses in order of time, after a steady state if there is one.

    Raises CaseError, naming the field, for a time or an amount that cannot be.
    """
    times, amounts = [d[0] for d in doses], [d[1] for d in doses]
    if not all(map(math.isfinite, times)):
        place = next(i for i, t in enumerate(times) if not math.isfinite(t))
        raise CaseError(f"doses[{place}].time_h", "is not a number")
    if not all(0.0 <= mg < math.inf for mg in amounts):  # also false for NaN
        place = next(i for i, mg in enumerate(amounts) if not 0.0 <= mg < math.inf)
        raise CaseError(f"doses[{place}].amount_mg", "is not a positive amount")
    runs = _runs(times, amounts)
    if steady is not None:
        if not math.isfinite(steady.last_dose_h):
            raise CaseError("steady_state.last_dose_h", "is not a number")
        if times and times[0] <= steady.last_dose_h:
            raise CaseError("doses[0].time_h", "is not after the last dose of the steady state")
        regimen = steady.regimen
        runs.insert(0, (steady.last_dose_h, regimen.amount_mg, regimen.interval_h, math.inf))
    if not runs:
        raise CaseError("doses", "no dose")
    return History(*np.array(runs).T)


def _runs(
    times: Sequence[float], amounts: Sequence[float]
) -> list[tuple[float, float, float, float]]:
    """Group sorted doses into runs of equal amount and spacing (at least three doses)."""
    n = len(times)
    ends = [*_breaks(times, amounts), n]  # a run goes on until the next of these
    runs: list[tuple[float, float, float, float]] = []
    i = 0
    while i < n:
        end = ends[bisect_left(ends, min(i + 2, n))]
        if end > i + 2:
            tau = (times[end - 1] - times[i]) / (end - 1 - i)
            runs.append((times[end - 1], amounts[i], tau, float(end - i)))
            i = end
        else:
            runs.append((times[i], amounts[i], 1.0, 1.0))
            i += 1
    return runs


def _breaks(times: Sequence[float], amounts: Sequence[float]) -> list[int]:
    """Doses, from the third on, that do not go on as the two before them."""
    if len(times) > _MANY_DOSES:
        t, mg = np.array(times), np.array(amounts)
        gaps, same = np.diff(t), mg[1:] == mg[:-1]
        goes_on = (np.abs(np.diff(gaps)) < SAME_TIME_H) & (gaps[1:] > SAME_TIME_H)
        return [2 + i for i in np.flatnonzero(~(goes_on & same[1:] & same[:-1])).tolist()]
    gaps_h = list(map(sub, times[1:], times))
    pairs = zip(gaps_h, gaps_h[1:], amounts, amounts[1:], amounts[2:], strict=False)
    return [
        i
        for i, (before, gap, a, b, c) in enumerate(pairs, start=2)
        if not (abs(gap - before) < SAME_TIME_H < gap and a == b == c)
    ]
