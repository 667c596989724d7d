"""What limits a schedule: period, duration and number of doses of FHIR Timing.repeat."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cds.clinical.units import UnitError, convert
from cds.fhir.elements import Element, element, number, text
from cds.fhir.problems import ReadError
from cds.fhir.schedule import Schedule, timing_range
from cds.fhir.times import span

_LIMITS: Final = frozenset({"count", "countMax", "boundsPeriod", "boundsRange", "boundsDuration"})
"""What may limit a schedule, of which most have nothing."""


def bounded(schedule: Schedule, repeat: Element, zone: ZoneInfo) -> Schedule:
    """Add what limits a schedule: period, duration or number of doses."""
    if _LIMITS.isdisjoint(repeat):  # as most
        return schedule
    count = number(repeat, "count")
    most = number(repeat, "countMax")
    if most is not None and most != count:
        raise timing_range("The number of doses is given as a range.", "countMax")
    if count is not None and (count <= 0 or count != int(count)):
        raise ReadError("timing-invalid", f"A count of {count} is not possible.", "timing.count")
    bounds = span(repeat, "boundsPeriod", zone)
    spread = element(repeat, "boundsRange")
    assumptions = schedule.assumptions
    if spread is not None:
        assumptions += ("When the order ends is given as a range; it was taken as open.",)
    return replace(
        schedule,
        count=int(count) if count is not None else None,
        starts=bounds.start if bounds else None,
        ends=bounds.end if bounds else None,
        length_h=_duration(element(repeat, "boundsDuration")),
        assumptions=assumptions,
    )


def _duration(duration: Element | None) -> float | None:
    if duration is None:
        return None
    value = number(duration, "value")
    unit = text(duration, "code") or text(duration, "unit")
    if value is None or unit is None or value <= 0:
        raise ReadError("timing-incomplete", "The duration of the order is incomplete.", "timing")
    try:
        return convert(Decimal(value), unit, "h")
    except UnitError as error:
        raise ReadError("timing-invalid", f"The duration of the order: {error}.") from error
