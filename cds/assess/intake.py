"""When doses were swallowed, as far as the record knows: the dose history a model is given.

Orders say how often; administrations, statements and the stated time before each level say when.
Nominal times fill the rest: they follow the clock of the nearest known intake, and every known
intake replaces the nominal dose nearest to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from cds.assess.timeline import Segment
from cds.clinical.regimen import Regimen, TakenDose

_DEFAULT_CLOCK_H = 8.0
"""Nominal hour of the first dose of the day where nothing is recorded; shown as an assumption."""
_BY_TIME = itemgetter(0)


class Intake(NamedTuple):
    """One dose with its time in UTC; `known` says that it was recorded rather than assumed.

    A tuple, because a history has hundreds of them; in UTC, because times of one zone without
    summer time are quick to compare and to subtract.
    """

    at: datetime
    amount_mg: float
    known: bool


class Span(Struct, frozen=True):
    """From the last dose before a sample to the sample."""

    dose: datetime
    sample: datetime


def dose_history(
    segments: Sequence[Segment],
    taken: Iterable[TakenDose],
    stated: Sequence[Span],
    *,
    zone: ZoneInfo,
    since: datetime,
    until: datetime,
) -> tuple[Intake, ...]:
    """All doses from `since` up to `until`, oldest first.

    `stated` are the spans between the last dose and a sample that a level's stated time implies:
    a dose was taken at the beginning of the span, and none inside it.
    """
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    stated = [Span(span.dose.astimezone(UTC), span.sample.astimezone(UTC)) for span in stated]
    timed = [(d, d.at.at.astimezone(UTC)) for d in taken if d.at.has_clock_time]
    timed = [(d, at) for d, at in timed if since <= at <= until]
    said = {span.dose for span in stated if since <= span.dose <= until}
    known = sorted({at for d, at in timed if d.taken} | said)
    amounts = {at: d.amount_mg for d, at in timed if d.taken and d.amount_mg is not None}
    doses: list[Intake] = []
    for segment in segments:
        if segment.on_hold or segment.starts > until:
            continue
        end = min(segment.ends or until, until).astimezone(UTC)
        doses += _nominal(segment, since, end, known, zone)
    doses = _with_known(doses, known, amounts, segments)
    for missed in (at for d, at in timed if not d.taken):
        doses = _without(doses, missed, segments)
    doses.sort(key=_BY_TIME)
    for span in stated:
        inside = slice(
            bisect_right(doses, span.dose, key=_BY_TIME),
            bisect_left(doses, span.sample, key=_BY_TIME),
        )
        doses[inside] = [dose for dose in doses[inside] if dose.known]
    return tuple(doses)


def _nominal(
    segment: Segment, since: datetime, end: datetime, known: Sequence[datetime], zone: ZoneInfo
) -> list[Intake]:
    """Doses of one segment at nominal times of the zone's clock, from `since` on."""
    regimen = segment.regimen
    start = _first_time(segment, known, zone)
    cycle = timedelta(hours=regimen.cycle_h)
    skipped = max((since - start) // cycle, 0)
    start += skipped * cycle
    first = regimen.doses[0].offset_h
    steps = [(timedelta(hours=d.offset_h - first), d.amount_mg) for d in regimen.doses]
    taken = skipped * len(steps)
    doses: list[Intake] = []
    while True:
        for after, amount_mg in steps:
            at = (start + after).astimezone(UTC)
            if at > end or (regimen.count is not None and taken >= regimen.count):
                return doses
            taken += 1
            if at >= since:
                doses.append(Intake(at, amount_mg, False))
        start += cycle


def _first_time(segment: Segment, known: Sequence[datetime], zone: ZoneInfo) -> datetime:
    """First nominal dose: the start day at the clock of the order, a known intake or by default."""
    local = segment.starts.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if segment.regimen.clock_known:
        return midnight + timedelta(hours=segment.regimen.doses[0].offset_h)
    later = [k for k in known if segment.covers(k)]
    if later:
        clock = later[-1].astimezone(zone)
        hours = clock.hour + clock.minute / 60.0
        # The known intake may be any dose of the cycle; step back to the first one of its day.
        step = segment.regimen.interval_h or segment.regimen.cycle_h
        return midnight + timedelta(hours=hours % min(step, 24.0))
    return midnight + timedelta(hours=_DEFAULT_CLOCK_H)


def _with_known(
    doses: list[Intake],
    known: Sequence[datetime],
    amounts: dict[datetime, float],
    segments: Sequence[Segment],
) -> list[Intake]:
    """Move the nominal dose nearest to each known intake onto it, or add the intake if none is."""
    result = sorted(doses, key=_BY_TIME)
    for at in known:
        regimen = _regimen_near(segments, at)
        reach = timedelta(hours=(regimen.interval_h or 24.0) / 2.0) if regimen else timedelta()
        nearest = _nearest(result, at, reach)
        if nearest is None:
            amount = amounts.get(at) or (regimen.doses[0].amount_mg if regimen else None)
            if amount is not None:
                result.append(Intake(at, amount, known=True))
        else:
            result[nearest] = Intake(at, amounts.get(at) or result[nearest].amount_mg, known=True)
        result.sort(key=_BY_TIME)
    return result


def _without(doses: list[Intake], missed: datetime, segments: Sequence[Segment]) -> list[Intake]:
    regimen = _regimen_near(segments, missed)
    if regimen is None:
        return doses
    nearest = _nearest(doses, missed, timedelta(hours=(regimen.interval_h or 24.0) / 2.0))
    return doses if nearest is None else [d for i, d in enumerate(doses) if i != nearest]


def _nearest(doses: Sequence[Intake], at: datetime, reach: timedelta) -> int | None:
    """Index of the assumed dose nearest to `at` within `reach`; recorded doses stay."""
    i = bisect_left(doses, at, key=_BY_TIME)
    candidates = [
        (abs(doses[j].at - at), j)
        for j in (i - 1, i)
        if 0 <= j < len(doses) and not doses[j].known and abs(doses[j].at - at) <= reach
    ]
    return min(candidates)[1] if candidates else None


def _regimen_near(segments: Sequence[Segment], at: datetime) -> Regimen | None:
    found = [s for s in segments if s.covers(at) and not s.on_hold]
    return found[0].regimen if len(found) == 1 else None
