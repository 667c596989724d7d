"""Dose proposals: regimens that tablets can make, ranked by the probability of meeting the target.

Every candidate is judged over the whole posterior, not at one estimate: P(below), P(in), P(above).
The current and the ordered regimen are always among the rows, so that a clinician sees what they
lead to. If no candidate within the limits is acceptable, that is the answer, not a dose outside.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Regimen
from pk.distribution import Spread
from pk.errors import CaseError, NotReliableError
from pk.predict import TAILS

Array = NDArray[np.float64]


class Exposure(Protocol):
    """What doses are judged on: a Posterior, or an Average of several models."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why no dose may be proposed; empty if one may."""
        ...

    def trough(self, interval_h: float, clearance_factor: float) -> Spread:
        """Steady-state trough per mg, ng/mL: doses only scale it."""
        ...

    def auc24(self, clearance_factor: float) -> Spread:
        """AUC over 24 h (mg h/L) per mg a day."""
        ...


class Target(Struct, frozen=True):
    """Steady-state trough wanted, ng/mL; `best_ng_ml` defaults to the geometric middle."""

    low_ng_ml: float
    high_ng_ml: float
    best_ng_ml: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.low_ng_ml < self.high_ng_ml < math.inf:
            raise CaseError("target", "needs 0 < low < high")
        if not self.low_ng_ml <= self.best <= self.high_ng_ml:
            raise CaseError("target.best_ng_ml", "is not between low and high")

    @property
    def best(self) -> float:
        if self.best_ng_ml is not None:
            return self.best_ng_ml
        return math.sqrt(self.low_ng_ml * self.high_ng_ml)

    def score(self, trough_ng_ml: float) -> float:
        """Tucuxi's score: 1 at best, 0 at a limit that lies as far from best as the other."""
        half_width = 0.5 * math.log(self.high_ng_ml / self.low_ng_ml)
        return 1.0 - (math.log(trough_ng_ml / self.best) / half_width) ** 2


class DoseOptions(Struct, frozen=True):
    """What may be proposed. Every limit comes from the caller.

    strengths_mg: tablets on hand; scored_mg: those that may be halved. step_mg: only multiples of
    it are proposed. max_single_mg: largest single intake. max_p_above: a regimen more likely than
    this to exceed the target is not acceptable.
    """

    strengths_mg: tuple[float, ...]
    max_daily_mg: float
    min_daily_mg: float
    scored_mg: tuple[float, ...] = ()
    intervals_h: tuple[float, ...] = (24.0,)
    max_single_mg: float | None = None
    step_mg: float | None = None
    max_p_above: float | None = None
    current: Regimen | None = None
    ordered: Regimen | None = None
    clearance_factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.strengths_mg or min(self.strengths_mg) <= 0.0:
            raise CaseError("options.strengths_mg", "needs tablets of positive strength")
        if not 0.0 < self.min_daily_mg <= self.max_daily_mg:
            raise CaseError("options.max_daily_mg", "needs 0 < min_daily_mg <= max_daily_mg")
        if any(s not in self.strengths_mg for s in self.scored_mg):
            raise CaseError("options.scored_mg", "names a strength that is not there")


class Proposal(Struct, frozen=True):
    """One regimen and what it leads to in steady state.

    `tablets` counts tablets of each strength for one intake (halves for scored ones), empty if the
    tablets on hand cannot make it. Probabilities are of the true trough over the posterior.
    `why_not` is empty for an acceptable regimen.
    """

    regimen: Regimen
    tablets: Mapping[float, float]
    trough_ng_ml: float
    trough_interval: tuple[float, float]
    p_below: float
    p_in: float
    p_above: float
    auc24_mg_h_l: float
    score_tucuxi: float
    is_current: bool
    is_ordered: bool
    acceptable: bool
    why_not: tuple[str, ...]


class _Outlook(NamedTuple):
    """What a regimen leads to in steady state: trough in ng/mL, and the sides of the target."""

    regimen: Regimen
    low: float
    median: float
    high: float
    p_below: float
    p_above: float


def propose(exposure: Exposure, target: Target, options: DoseOptions) -> list[Proposal]:
    """Rank the regimens within the limits; acceptable ones first, most likely in target on top.

    Raises NotReliableError if the fit cannot carry a proposal. No acceptable row is an answer.
    """
    if exposure.doubts:
        raise NotReliableError(exposure.doubts)
    factor = options.clearance_factor
    daily_auc = float(exposure.auc24(factor).quantiles(np.array([0.5]))[0])
    regimens = _regimens(options)
    rows: list[Proposal] = []
    for hours in dict.fromkeys(regimen.interval_h for regimen in regimens):
        some = [regimen for regimen in regimens if regimen.interval_h == hours]
        outlooks = _outlooks(exposure.trough(hours, factor), some, target)
        rows += [_judge(outlook, daily_auc, target, options) for outlook in outlooks]
    return sorted(rows, key=lambda p: _rank(p, target))


def best_proposal(proposals: list[Proposal]) -> Proposal | None:
    """The first acceptable row, or None: no acceptable regimen."""
    return next((p for p in proposals if p.acceptable), None)


def _regimens(options: DoseOptions) -> list[Regimen]:
    """Every regimen that tablets make within the limits, then the current and ordered ones."""
    found: dict[Regimen, None] = {}
    for interval in options.intervals_h:
        per_day = 24.0 / interval
        top = options.max_daily_mg / per_day
        if options.max_single_mg is not None:
            top = min(top, options.max_single_mg)
        for amount in _amounts(options, top):
            if amount * per_day >= options.min_daily_mg - 1e-9:
                found[Regimen(amount, float(interval))] = None
    for extra in (options.current, options.ordered):
        if extra is not None:
            found[extra] = None
    return list(found)


def _pieces(options: DoseOptions) -> list[tuple[float, float]]:
    """Pieces of tablets as (mg, share of a tablet), large first."""
    whole = [(s, 1.0) for s in options.strengths_mg]
    halves = [(s / 2.0, 0.5) for s in options.scored_mg]
    return sorted(whole + halves, reverse=True)


def _amounts(options: DoseOptions, top_mg: float) -> list[float]:
    """Amounts up to `top_mg` that whole (and allowed half) tablets add up to."""
    reachable = {0.0}
    frontier = {0.0}
    steps = [mg for mg, _ in _pieces(options)]
    while frontier:
        grown = {round(a + mg, 6) for a in frontier for mg in steps if a + mg <= top_mg + 1e-9}
        frontier = grown - reachable
        reachable |= grown
    amounts = sorted(reachable - {0.0})
    if options.step_mg is not None:
        step = options.step_mg
        amounts = [a for a in amounts if math.isclose(a / step, round(a / step), abs_tol=1e-9)]
    return amounts


def tablets_for(amount_mg: float, options: DoseOptions) -> Mapping[float, float]:
    """Fewest tablets that make one intake; empty if none do, or more than anybody would count.

    Exact search by growing amounts: with odd strengths taking the largest tablet first can fail.
    """
    pieces = tuple(_pieces(options))
    # The search grows with the amount: an absurd order must not cost time or memory.
    if amount_mg > _MOST_TABLETS * max(options.strengths_mg):
        return MappingProxyType({})
    return _fewest(amount_mg, pieces)


_MOST_TABLETS = 50
"""Of the largest strength, in one intake; a bound of the search and no clinical limit."""


@lru_cache(maxsize=1024)
def _fewest(amount_mg: float, pieces: tuple[tuple[float, float], ...]) -> Mapping[float, float]:
    best: dict[float, tuple[float, dict[float, float]]] = {0.0: (0.0, {})}
    queue = [0.0]
    while queue:
        at = queue.pop(0)
        count, made = best[at]
        for mg, share in pieces:
            total = round(at + mg, 6)
            if total > amount_mg + 1e-6:
                continue
            if total not in best or count + share < best[total][0] - 1e-9:
                strength = mg / share
                best[total] = (count + share, {**made, strength: made.get(strength, 0.0) + share})
                queue.append(total)
    made = best.get(round(amount_mg, 6), (0.0, {}))[1]
    return MappingProxyType(dict(sorted(made.items(), reverse=True)))


def _outlooks(trough: Spread, regimens: Sequence[Regimen], target: Target) -> list[_Outlook]:
    """Regimens of one interval: a dose only scales the trough per mg, so it is asked for once."""
    mg = np.array([regimen.amount_mg for regimen in regimens])
    low, median, high = trough.quantiles(TAILS)
    below, above = trough.below(target.low_ng_ml / mg), trough.above(target.high_ng_ml / mg)
    found = np.stack([low * mg, median * mg, high * mg, below, above], axis=1).tolist()
    return [_Outlook(regimen, *row) for regimen, row in zip(regimens, found, strict=True)]


def _judge(outlook: _Outlook, daily_auc: float, target: Target, options: DoseOptions) -> Proposal:
    regimen, low, median, high, below, above = outlook
    tablets = tablets_for(regimen.amount_mg, options)
    why_not = _objections(regimen, tablets, median, above, target, options)
    return Proposal(
        regimen=regimen,
        tablets=tablets,
        trough_ng_ml=median,
        trough_interval=(low, high),
        p_below=below,
        p_in=max(1.0 - below - above, 0.0),
        p_above=above,
        auc24_mg_h_l=daily_auc * regimen.daily_mg,
        score_tucuxi=target.score(median) if median > 0.0 else -math.inf,
        is_current=regimen == options.current,
        is_ordered=regimen == options.ordered,
        acceptable=not why_not,
        why_not=why_not,
    )


def _objections(
    regimen: Regimen,
    tablets: Mapping[float, float],
    median: float,
    above: float,
    target: Target,
    options: DoseOptions,
) -> tuple[str, ...]:
    found = []
    if not tablets:
        found.append("no whole number of the tablets on hand makes it")
    if regimen.daily_mg > options.max_daily_mg + 1e-9:
        found.append(f"more than {options.max_daily_mg:g} mg a day")
    if regimen.daily_mg < options.min_daily_mg - 1e-9:
        found.append(f"less than {options.min_daily_mg:g} mg a day")
    if options.max_single_mg is not None and regimen.amount_mg > options.max_single_mg + 1e-9:
        found.append(f"more than {options.max_single_mg:g} mg at once")
    if median < target.low_ng_ml:
        found.append("expected trough below the target")
    if median > target.high_ng_ml:
        found.append("expected trough above the target")
    if options.max_p_above is not None and above > options.max_p_above:
        found.append(f"more than {100 * options.max_p_above:g} % likely to exceed the target")
    return tuple(found)


def _rank(proposal: Proposal, target: Target) -> tuple[bool, float, float, float]:
    # to a tenth of a percent: beyond that the simpler regimen (longer interval) wins
    distance = abs(math.log(max(proposal.trough_ng_ml, 1e-9) / target.best))
    return (
        not proposal.acceptable,
        -round(proposal.p_in, 3),
        -proposal.regimen.interval_h,
        distance,
    )
