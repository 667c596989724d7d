"""A control chart of how often a rule speaks, which sees a fall as well as a rise.

It is a p-chart: the share of decisions, week by week, in which a rule did something. Shares are of
few decisions, so the limits are no multiples of a standard deviation but prediction limits of the
beta-binomial distribution: what the next week may bring when nothing changes, given how little the
weeks before have shown. Weeks that scatter more than chance count for less (a chart that is opened
ten times asks the same rule ten times). A week outside its limits does not enter the limits of
later weeks, so a lasting change stays visible. An EWMA would see a slow drift sooner; it was not
taken because its limits rest on the normal distribution, which counts of zero to five a week
forbid. What a p-chart cannot see, a rare rule that never speaks again, is asked of all silent weeks
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, ndtri

TAIL: Final = 0.00135
"""Chance of a false alarm on one side of one week: that of three standard deviations."""
BASELINE_WEEKS: Final = 26
RECENT_WEEKS: Final = 4
"""Weeks in which a signal is news."""
FEWEST_WEEKS: Final = 8
FEWEST_DECISIONS: Final = 50
_PRIOR: Final = 0.5
"""Jeffreys' prior of a share."""
_MANY: Final = 4000
"""Above this many decisions a week the normal distribution is as good and quicker."""


class Observed(Struct, frozen=True):
    """One week: in how many of the decisions that asked the rule it did the thing counted."""

    begins: date
    of: int
    count: int


class Point(Struct, frozen=True):
    """One week judged; shares are per 100 decisions, limits None while too little is known."""

    begins: date
    of: int
    count: int
    low: float | None = None
    middle: float | None = None
    high: float | None = None
    signal: str = ""
    """`fall`, `rise`, or nothing."""

    @property
    def percent(self) -> float:
        """The share of this week."""
        return 100.0 * self.count / self.of


class Silence(Struct, frozen=True):
    """The thing did not happen for longer than chance explains."""

    since: date
    until: date | None
    """The Monday of the week in which it happened again; None while it is still silent."""
    of: int
    expected: float


class ControlChart(Struct, frozen=True):
    """Weeks in order, and what they say about the present."""

    points: tuple[Point, ...]
    silence: Silence | None = None

    @property
    def judged(self) -> bool:
        """Whether any week has limits."""
        return any(point.high is not None for point in self.points)

    @property
    def last(self) -> Point | None:
        """The newest week."""
        return self.points[-1] if self.points else None

    def since(self, first: date) -> ControlChart:
        """The chart without the weeks before a day, which only made its limits."""
        return ControlChart(tuple(p for p in self.points if p.begins >= first), self.silence)


def control_chart(weeks: Sequence[Observed]) -> ControlChart:
    """Judge weeks in order, each by those before it."""
    points: list[Point] = []
    kept: list[Observed] = []
    for week in weeks:
        if week.of <= 0:
            continue
        point = _judged(week, kept[-BASELINE_WEEKS:])
        points.append(point)
        if not point.signal:
            kept.append(week)
    return ControlChart(tuple(points), _silence(points))


def _judged(week: Observed, baseline: Sequence[Observed]) -> Point:
    if not _enough(baseline):
        return Point(week.begins, week.of, week.count)
    successes, failures, spread = _learned(baseline)
    # Decisions that come in clumps count as fewer independent ones.
    of = max(round(week.of / spread), 1)
    count = week.count / spread
    low, high = _limits(of, successes, failures)
    signal = "fall" if count < low else "rise" if count > high else ""
    return Point(
        begins=week.begins,
        of=week.of,
        count=week.count,
        low=100.0 * low / of,
        middle=100.0 * successes / (successes + failures),
        high=min(100.0 * high / of, 100.0),
        signal=signal,
    )


def _enough(baseline: Sequence[Observed]) -> bool:
    return len(baseline) >= FEWEST_WEEKS and sum(w.of for w in baseline) >= FEWEST_DECISIONS


def _learned(baseline: Sequence[Observed]) -> tuple[float, float, float]:
    """What the weeks before teach: successes, failures, and how much more than chance they vary."""
    of, count = sum(w.of for w in baseline), sum(w.count for w in baseline)
    share = (count + _PRIOR) / (of + 2 * _PRIOR)
    scatter = sum((w.count - w.of * share) ** 2 / (w.of * share * (1 - share)) for w in baseline)
    spread = max(scatter / (len(baseline) - 1), 1.0)
    return count / spread + _PRIOR, (of - count) / spread + _PRIOR, spread


@lru_cache(maxsize=50_000)  # weeks that are over ask the same again on every look
def _limits(of: int, a: float, b: float) -> tuple[float, float]:
    """The fewest and the most of `of` that chance explains, one tail each side."""
    if of > _MANY:
        share = a / (a + b)
        deviation = float(np.sqrt(of * share * (1 - share) * (a + b + of) / (a + b + 1)))
        reach = -float(ndtri(TAIL)) * deviation
        return max(of * share - reach, 0.0), min(of * share + reach, float(of))
    up_to = np.cumsum(_beta_binomial(of, a, b))
    low = int(np.searchsorted(up_to, TAIL))
    high = int(np.searchsorted(up_to, 1.0 - TAIL))
    return float(low), float(min(high, of))


def _beta_binomial(of: int, a: float, b: float) -> NDArray[np.float64]:
    k = np.arange(of + 1, dtype=float)
    ways = gammaln(of + 1.0) - gammaln(k + 1.0) - gammaln(of - k + 1.0)
    chances: NDArray[np.float64] = np.exp(ways + betaln(k + a, of - k + b) - betaln(a, b))
    return chances


def _silence(points: Sequence[Point]) -> Silence | None:
    """The weeks of the last silence taken together, if it reaches into the newest weeks."""
    start, end = _last_quiet(points)
    quiet = points[start:end]
    before = [Observed(p.begins, p.of, p.count) for p in points[:start] if not p.signal]
    before = before[-BASELINE_WEEKS:]
    if not quiet or end <= len(points) - RECENT_WEEKS or not _enough(before):
        return None
    a, b, spread = _learned(before)
    of = sum(p.of for p in quiet)
    none = float(np.exp(betaln(a, of / spread + b) - betaln(a, b)))
    if none >= TAIL:
        return None
    again = points[end].begins if end < len(points) else None
    return Silence(quiet[0].begins, again, of, of * a / (a + b))


def _last_quiet(points: Sequence[Point]) -> tuple[int, int]:
    """Where the last run of weeks without a single one begins and ends."""
    end = len(points)
    while end and points[end - 1].count:
        end -= 1
    start = end
    while start and not points[start - 1].count:
        start -= 1
    return start, end
