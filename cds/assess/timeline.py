"""Orders on a time line: which regimen was to be taken when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cds.assess.policy import SAME_DOSE_MG
from cds.clinical.regimen import DrugOrder, OrderStatus, Regimen

_ENDED = (OrderStatus.STOPPED, OrderStatus.COMPLETED)
# An order that was never followed (cancelled, not authorised, unknown) is no part of the course.
_FOLLOWED = (OrderStatus.ACTIVE, OrderStatus.ON_HOLD, *_ENDED)
SAME_START = timedelta(days=1)


class Segment(Struct, frozen=True):
    """A stretch of time on one regimen; `ends` is None while it goes on."""

    regimen: Regimen
    starts: datetime
    ends: datetime | None
    order: DrugOrder
    on_hold: bool = False

    def covers(self, instant: datetime) -> bool:
        """Whether the regimen was to be taken at this instant."""
        return self.starts <= instant and (self.ends is None or instant < self.ends)


def time_line(orders: Sequence[DrugOrder]) -> tuple[Segment, ...]:
    """Segments of all orders by start; an order ends where the one that replaces it starts."""
    segments = [s for order in orders for s in _segments(order)]
    successor = {s.order.replaces: s.starts for s in segments if s.order.replaces}
    cut = []
    for segment in segments:
        until = successor.get(segment.order.reference)
        if until is not None and (segment.ends is None or until < segment.ends):
            if until <= segment.starts:
                continue
            segment = replace(segment, ends=until)
        cut.append(segment)
    return tuple(sorted(cut, key=lambda s: s.starts))


def regimen_at(segments: Iterable[Segment], instant: datetime) -> Regimen | None:
    """The regimen that was to be taken at this instant, None if none or not unique."""
    found = [s.regimen for s in segments if s.covers(instant) and not s.on_hold]
    return found[0] if len(found) == 1 else None


def last_change(segments: Sequence[Segment], until: datetime) -> datetime | None:
    """The last start, restart or change of daily dose at or before `until`.

    A segment changes the course when it differs in daily dose from the one before it, or does not
    adjoin it.
    """
    changed: datetime | None = None
    before: Segment | None = None
    for segment in segments:
        if segment.starts > until or segment.on_hold:
            continue
        goes_on = (
            before is not None
            and _adjoins(before, segment)
            and abs(before.regimen.daily_mg - segment.regimen.daily_mg) <= SAME_DOSE_MG
        )
        if not goes_on:
            changed = segment.starts
        before = segment
    return changed


def last_start(segments: Sequence[Segment], until: datetime) -> datetime | None:
    """The last start or restart at or before `until`: where a segment does not adjoin another."""
    started: datetime | None = None
    before: Segment | None = None
    for segment in segments:
        if segment.starts > until or segment.on_hold:
            continue
        if before is None or not _adjoins(before, segment):
            started = segment.starts
        before = segment
    return started


def last_end(segments: Sequence[Segment], now: datetime) -> datetime | None:
    ends = [s.ends for s in segments if s.ends is not None and s.ends <= now]
    return max(ends) if ends else None


def _adjoins(before: Segment, segment: Segment) -> bool:
    return before.ends is None or before.ends + SAME_START >= segment.starts


def _segments(order: DrugOrder) -> Iterable[Segment]:
    """Segments of one order, as far as its dates allow; an order without dates starts unknown."""
    opened = order.authored.at if order.authored else None
    for regimen in order.regimens:
        starts = regimen.starts.at if regimen.starts else opened
        if starts is None:
            continue
        ends = regimen.ends.at if regimen.ends else None
        if regimen.count is not None:
            run = timedelta(hours=regimen.cycle_h * regimen.count / len(regimen.doses))
            ends = min(ends, starts + run) if ends else starts + run
        if order.stopped and (ends is None or order.stopped.at < ends):
            ends = order.stopped.at
        if order.status in _ENDED and ends is None:
            # Ended at an unknown time: it contributes no dose after its start can be relied on.
            continue
        if order.status not in _FOLLOWED:
            continue
        if ends is not None and ends <= starts:
            continue
        yield Segment(regimen, starts, ends, order, order.status is OrderStatus.ON_HOLD)
