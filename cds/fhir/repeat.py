"""FHIR Timing.repeat -> a schedule: frequency, clock times, parts of the day, days of the week."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from cds.clinical.units import convert
from cds.fhir.elements import Element, number, text, texts
from cds.fhir.frequency import Rate
from cds.fhir.problems import ReadError
from cds.fhir.schedule import Schedule, schedule_of, timing_conflict, timing_range
from cds.fhir.times import clock_hours

_DAY_H: Final = 24.0
_WEEK_H: Final = 168.0
_PERIOD_UNITS: Final = frozenset({"s", "min", "h", "d", "wk", "mo", "a"})
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# Customary hours for the parts of the day FHIR names (valueset-event-timing). They order and space
# doses; `clock_known` stays False, so no time after dose is ever computed from them.
_EVENT_HOURS: Final = MappingProxyType(
    {
        **dict.fromkeys(("MORN", "MORN.early", "MORN.late", "WAKE", "ACM", "CM", "PCM"), 8.0),
        **dict.fromkeys(("NOON", "AFT", "AFT.early", "ACD", "CD", "PCD"), 12.0),
        "AFT.late": 16.0,
        **dict.fromkeys(("EVE", "EVE.early", "EVE.late", "ACV", "CV", "PCV"), 20.0),
        **dict.fromkeys(("NIGHT", "HS", "PHS"), 22.0),
    }
)
_ANY_MEAL: Final = frozenset({"AC", "C", "PC"})
_BEFORE_FOOD: Final = frozenset({"AC", "ACM", "ACD", "ACV"})
_WITH_FOOD: Final = frozenset({"C", "CM", "CD", "CV", "PC", "PCM", "PCD", "PCV"})


def schedule_in(repeat: Element) -> Schedule | None:
    """The schedule of Timing.repeat, or None if it holds only bounds, count or duration."""
    per_period = _whole(repeat, "frequency", "frequencyMax")
    cycle_h = _period(repeat)
    clock = sorted(clock_hours(written) for written in texts(repeat, "timeOfDay"))
    parts = texts(repeat, "when")
    days = texts(repeat, "dayOfWeek")
    if per_period is not None and cycle_h is None and not days:
        raise ReadError(
            "timing-incomplete",
            f"The order says {per_period} time(s), but not in which period.",
            "timing.repeat.period",
        )
    if clock:
        placed = _placed(clock, per_period, cycle_h, "clock time")
        warning = ("The order gives both clock times and parts of the day.",) if parts else ()
        schedule = Schedule(placed, _DAY_H, clock_known=True, assumptions=warning)
    elif parts:
        schedule = _by_parts(parts, per_period, cycle_h)
    elif cycle_h is not None:
        weekly = bool(days) and cycle_h == _WEEK_H
        # R4: a frequency that is missing means once in the period.
        schedule = schedule_of(Rate(1, _DAY_H) if weekly else Rate(per_period or 1, cycle_h))
    elif days:
        schedule = schedule_of(Rate(per_period or 1, _DAY_H))
    else:
        return None
    if days:
        schedule = _on_days(schedule, days, per_period, cycle_h)
    food = _food(parts)
    return replace(schedule, with_food=food) if food is not None else schedule


def _by_parts(parts: list[str], per_period: int | None, cycle_h: float | None) -> Schedule:
    unknown = [part for part in parts if part not in _EVENT_HOURS and part not in _ANY_MEAL]
    if unknown:
        message = f"The part of the day {unknown[0][:20]!r} is not known."
        raise ReadError("timing-unknown", message, "timing.repeat.when")
    if all(part in _ANY_MEAL for part in parts):
        if cycle_h is None:
            message = "The order says at meals, but not at how many."
            raise ReadError("timing-incomplete", message, "timing.repeat.frequency")
        return schedule_of(Rate(per_period or 1, cycle_h))
    hours = sorted(_EVENT_HOURS[part] for part in parts if part in _EVENT_HOURS)
    if len(set(hours)) != len(parts):
        raise ReadError(
            "timing-unknown", "The parts of the day of the order overlap.", "timing.repeat.when"
        )
    assumed = "Clock times were assumed from the part of the day."
    return Schedule(
        _placed(hours, per_period, cycle_h, "part of the day"),
        _DAY_H,
        part_of_day=True,
        assumptions=(assumed,),
    )


def _placed(
    hours: list[float], per_period: int | None, cycle_h: float | None, what: str
) -> tuple[float, ...]:
    """Daily hours, checked against the stated frequency."""
    if cycle_h is not None and cycle_h != _DAY_H:
        raise timing_conflict(f"The order gives a {what}, but its period is not one day.")
    if per_period is not None and per_period != len(hours):
        raise timing_conflict(
            f"The order says {per_period} dose(s) a day and gives {len(hours)} time(s) ({what})."
        )
    return tuple(hours)


def _on_days(
    daily: Schedule, days: list[str], per_period: int | None, cycle_h: float | None
) -> Schedule:
    if any(day not in _DAYS for day in days) or len(set(days)) != len(days):
        raise ReadError(
            "timing-invalid", "A day of the week is not valid.", "timing.repeat.dayOfWeek"
        )
    weekly = cycle_h == _WEEK_H
    if weekly and per_period not in {None, len(days)}:
        message = f"The order says {per_period} dose(s) a week on {len(days)} day(s)."
        raise timing_conflict(message)
    if not weekly and cycle_h not in {None, _DAY_H}:
        raise timing_conflict(
            "The order names days of the week, but its period is not a day or week."
        )
    offsets = sorted(
        _DAYS.index(day) * _DAY_H + offset for day in days for offset in daily.offsets_h
    )
    return replace(daily, offsets_h=tuple(offsets), cycle_h=_WEEK_H, day_of_week=True)


def _whole(repeat: Element, name: str, name_max: str) -> int | None:
    value, most = number(repeat, name), number(repeat, name_max)
    if most is not None and most != value:
        raise timing_range(f"The order gives a range of {name} ({value} to {most}).", name_max)
    if value is None:
        return None
    if value <= 0 or value != int(value) or value > 168:
        raise ReadError("timing-invalid", f"A {name} of {value} is not possible.", f"timing.{name}")
    return int(value)


def _period(repeat: Element) -> float | None:
    """Hours of the period, from a number and a unit that need each other (invariant tim-2)."""
    period, most = number(repeat, "period"), number(repeat, "periodMax")
    unit = text(repeat, "periodUnit")
    if most is not None and most != period:
        raise timing_range(
            f"The order gives a range of intervals ({period} to {most}).", "periodMax"
        )
    if period is None and unit is None:
        return None
    if period is None or unit is None:
        message = "The period of the order lacks its number or its unit."
        raise ReadError("timing-incomplete", message, "timing.repeat.periodUnit")
    if period <= 0 or unit not in _PERIOD_UNITS:
        raise ReadError("timing-invalid", f"A period of {period} {unit[:10]} is not possible.")
    return convert(period, unit, "h")


def _food(parts: list[str]) -> bool | None:
    if any(part in _WITH_FOOD for part in parts):
        return True
    return False if any(part in _BEFORE_FOOD for part in parts) else None
