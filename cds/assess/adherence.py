"""How much of the recent time was covered by dispensed supply."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cds.assess.policy import Table
from cds.clinical.record import PatientRecord


@dataclass(frozen=True, slots=True)
class Coverage:
    """Proportion of days covered over a window, and how long the supply has been out."""

    percent: float
    window_days: float
    late_days: float


def coverage(record: PatientRecord, table: Table, now: datetime) -> Coverage | None:
    """Proportion of days covered (PDC) by supplies handed over in the window before `now`.

    A supply that overlaps the one before starts when that one is used up. None when no supply with
    a number of days is known, or when supplies began too recently for the window to mean anything.
    """
    supplies = sorted(
        (s for s in record.supplies if s.days and s.handed_over.at <= now),
        key=lambda s: s.handed_over.at,
    )
    if not supplies:
        return None
    window_start = max(
        now - timedelta(days=float(table["pdc_window_days"])), supplies[0].handed_over.at
    )
    window = now - window_start
    covered, free_from = timedelta(), supplies[0].handed_over.at
    for supply in supplies:
        begins = max(supply.handed_over.at, free_from)
        free_from = begins + timedelta(days=supply.days or 0.0)
        inside = min(free_from, now) - max(begins, window_start)
        covered += max(inside, timedelta())
    late = max(now - free_from, timedelta())
    days = window.total_seconds() / 86400.0
    if days < float(table["pdc_min_days"]):
        return None
    return Coverage(100.0 * covered / window, days, late.total_seconds() / 86400.0)
