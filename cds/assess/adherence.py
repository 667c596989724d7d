"""How much of the recent time was covered by dispensed supply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cds.assess.policy import Table
from cds.assess.timeline import Segment
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import OrderStatus, Supply


class Coverage(Struct, frozen=True):
    """Proportion of days covered over a window, and how long the supply has been out."""

    percent: float
    window_days: float
    late_days: float


def coverage(
    record: PatientRecord, segments: Sequence[Segment], table: Table, now: datetime
) -> Coverage | None:
    """Proportion of days covered (PDC) by supplies handed over in the window before `now`.

    A supply that overlaps the one before starts when that one is used up. It lasts as long as the
    pharmacy states, but no longer than its tablets make up the dose prescribed then. Days on which
    a prescriber had stopped or held the drug, or a ward gave it, count neither as covered nor as
    missed: the supply at hand then lasts longer. None when no supply with a number of days is
    known, or when supplies began too recently for the window to mean anything.
    """
    supplies = sorted(
        (s for s in record.supplies if s.days and s.handed_over.at <= now),
        key=lambda s: s.handed_over.at,
    )
    if not supplies:
        return None
    pauses = _joined(sorted([*planned_pauses(segments, now), *_on_a_ward(record, now)]))

    def on_drug(at: datetime) -> datetime:
        """The moment on a clock that stands still while no supply is used."""
        past = (min(end, at) - start for start, end in pauses if start < at)
        return at - sum(past, timedelta())

    window_start = max(
        now - timedelta(days=float(table["pdc_window_days"])), supplies[0].handed_over.at
    )
    window_start, until = on_drug(window_start), on_drug(now)
    window = until - window_start
    days = window.total_seconds() / 86400.0
    if days < float(table["pdc_min_days"]):
        return None
    covered, free_from = timedelta(), on_drug(supplies[0].handed_over.at)
    for supply in supplies:
        begins = max(on_drug(supply.handed_over.at), free_from)
        free_from = begins + timedelta(days=_lasts(supply, segments))
        inside = min(free_from, until) - max(begins, window_start)
        covered += max(inside, timedelta())
    late = max(until - free_from, timedelta())
    return Coverage(100.0 * covered / window, days, late.total_seconds() / 86400.0)


def _on_a_ward(record: PatientRecord, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The day after each dose that a ward gave: it comes from the ward's stock."""
    for dose in record.taken:
        if dose.taken and dose.basis == "administration" and dose.at.at < now:
            yield dose.at.at, dose.at.at + timedelta(days=1)


def _lasts(supply: Supply, segments: Sequence[Segment]) -> float:
    """Days for which a supply suffices at the dose prescribed when it was handed over."""
    stated = supply.days or 0.0
    prescribed = [s for s in segments if s.covers(supply.handed_over.at) and not s.on_hold]
    if supply.mg is None or len(prescribed) != 1 or not prescribed[0].regimen.daily_mg:
        return stated
    return min(stated, supply.mg / prescribed[0].regimen.daily_mg)


def planned_pauses(
    segments: Sequence[Segment], now: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """Stretches before `now` in which a prescriber had stopped or held the drug.

    Only an order that was stopped or put on hold begins one. An order that merely ran out
    (completed, or past its end date) does not: a renewal that comes late may be missed doses.
    """
    pauses: list[tuple[datetime, datetime]] = []
    taken = [s for s in segments if not s.on_hold]
    for segment in segments:
        ended = segment.starts if segment.on_hold else segment.ends
        planned = segment.on_hold or segment.order.status is OrderStatus.STOPPED
        if not planned or ended is None or ended >= now:
            continue
        if any(s is not segment and s.covers(ended) for s in taken):
            continue
        resumed = min((s.starts for s in taken if s.starts >= ended), default=now)
        if resumed > ended and (ended, resumed) not in pauses:
            pauses.append((ended, resumed))
    return tuple(_joined(sorted(pauses)))


def _joined(pauses: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The same stretches, those that overlap as one."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in pauses:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
