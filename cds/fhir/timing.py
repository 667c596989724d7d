"""FHIR Timing -> when doses fall inside a repeating cycle.

What the specification leaves open is either a stated assumption (two doses a day are spaced
evenly) or a question (a range, a frequency without a period, code and repeat in conflict).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from cds.clinical.moment import Moment
from cds.clinical.units import UnitError, convert
from cds.fhir.elements import Element, element, elements, number, text, texts
from cds.fhir.frequency import GTS_RATES, GTS_SYSTEMS, Rate, find_rates, rate_of_phrase
from cds.fhir.problems import ReadError
from cds.fhir.times import clock_hours, read_moment, span

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
_LIMITS: Final = frozenset({"count", "countMax", "boundsPeriod", "boundsRange", "boundsDuration"})
"""What may limit a schedule, of which most have nothing."""
_ANY_MEAL: Final = frozenset({"AC", "C", "PC"})
_BEFORE_FOOD: Final = frozenset({"AC", "ACM", "ACD", "ACV"})
_WITH_FOOD: Final = frozenset({"C", "CM", "CD", "CV", "PC", "PCM", "PCD", "PCV"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """When doses fall: hours after the start of a cycle, repeated.

    With `clock_known` the hours are after local midnight; with `day_of_week` after Monday 00:00.
    `events` are single doses at stated times and then there is no cycle.
    """

    offsets_h: tuple[float, ...]
    cycle_h: float
    clock_known: bool = False
    part_of_day: bool = False
    """Offsets come from parts of the day: they order concurrent doses but are not clock times."""
    day_of_week: bool = False
    single: bool = False
    count: int | None = None
    events: tuple[Moment, ...] = ()
    with_food: bool | None = None
    starts: Moment | None = None
    ends: Moment | None = None
    length_h: float | None = None
    assumptions: tuple[str, ...] = field(default=())

    @property
    def rate(self) -> Rate:
        """Doses per cycle."""
        return Rate(len(self.offsets_h), self.cycle_h, self.single)


def read_timing(timing: Element, zone: ZoneInfo) -> Schedule | None:
    """The schedule a Timing states, or None if it states none (only bounds, or nothing).

    Raises ReadError when the statement is contradictory, incomplete or a range.
    """
    repeat = element(timing, "repeat") or {}
    events = tuple(read_moment(written, zone) for written in texts(timing, "event"))
    repeated = _repeated(repeat)
    coded = _coded_rate(element(timing, "code"), repeated)
    if events:
        if coded or repeated:
            raise _conflict("The order lists single dates and a repeating schedule.")
        return _bounded(Schedule((0.0,), _DAY_H, single=True, events=events), repeat, zone)
    if coded and repeated and not coded.agrees_with(repeated.rate):
        raise _conflict(
            f"The timing code says {_said(coded)}, the structured timing {_said(repeated.rate)}."
        )
    found = repeated or (_even(coded) if coded else None)
    return _bounded(found, repeat, zone) if found else None


def read_bounds(timing: Element, zone: ZoneInfo) -> Schedule:
    """Only the bounds and count of a Timing, for a schedule that stands in the text."""
    return _bounded(Schedule((), _DAY_H), element(timing, "repeat") or {}, zone)


def schedule_of(rate: Rate) -> Schedule:
    """Evenly spaced doses."""
    return _even(rate)


def _coded_rate(code: Element | None, repeated: Schedule | None) -> Rate | None:
    """The rate of Timing.code: all its codings and its text must agree.

    A code that cannot be read is a question only if nothing else says how often.
    """
    if code is None:
        return None
    found: list[Rate] = []
    unread: list[str] = []
    for coding in elements(code, "coding"):
        value = text(coding, "code")
        words = text(coding, "display")
        rate = GTS_RATES.get(value or "") if text(coding, "system") in GTS_SYSTEMS else None
        if rate is not None:
            found.append(rate)
            continue
        _phrase(words or value, found, unread)  # `BID` means the same in every system
    _phrase(text(code, "text"), found, unread)
    stated = [*found, *(rate for words in unread for rate in find_rates(words.lower())[0])]
    if stated and not all(stated[0].agrees_with(other) for other in stated[1:]):
        raise _conflict("Codes and text of the timing code state different frequencies.")
    if found:
        return found[0]
    if repeated is None:
        shown = next(iter(unread), None) or "a code without words"
        raise ReadError("timing-unknown", f"The timing {shown[:60]!r} is not known.", "timing.code")
    return stated[0] if stated else None


def _phrase(written: str | None, found: list[Rate], unread: list[str]) -> None:
    if written:
        rate = rate_of_phrase(written)
        if rate:
            found.append(rate)
        else:
            unread.append(written)


def _repeated(repeat: Element) -> Schedule | None:
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
        schedule = _even(Rate(1, _DAY_H) if weekly else Rate(per_period or 1, cycle_h))
    elif days:
        schedule = _even(Rate(per_period or 1, _DAY_H))
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
        return _even(Rate(per_period or 1, cycle_h))
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
        raise _conflict(f"The order gives a {what}, but its period is not one day.")
    if per_period is not None and per_period != len(hours):
        raise _conflict(
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
        raise _conflict(f"The order says {per_period} dose(s) a week on {len(days)} day(s).")
    if not weekly and cycle_h not in {None, _DAY_H}:
        raise _conflict("The order names days of the week, but its period is not a day or week.")
    offsets = sorted(
        _DAYS.index(day) * _DAY_H + offset for day in days for offset in daily.offsets_h
    )
    return replace(daily, offsets_h=tuple(offsets), cycle_h=_WEEK_H, day_of_week=True)


def _even(rate: Rate) -> Schedule:
    step = rate.cycle_h / rate.doses
    offsets = tuple(i * step for i in range(rate.doses))
    several = rate.doses > 1 and rate.cycle_h <= _DAY_H
    assumed = ("Doses were spaced evenly; clock times are not stated.",) if several else ()
    return Schedule(offsets, rate.cycle_h, single=rate.single, assumptions=assumed)


def _whole(repeat: Element, name: str, name_max: str) -> int | None:
    value, most = number(repeat, name), number(repeat, name_max)
    if most is not None and most != value:
        raise _range(f"The order gives a range of {name} ({value} to {most}).", name_max)
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
        raise _range(f"The order gives a range of intervals ({period} to {most}).", "periodMax")
    if period is None and unit is None:
        return None
    if period is None or unit is None:
        message = "The period of the order lacks its number or its unit."
        raise ReadError("timing-incomplete", message, "timing.repeat.periodUnit")
    if period <= 0 or unit not in _PERIOD_UNITS:
        raise ReadError("timing-invalid", f"A period of {period} {unit[:10]} is not possible.")
    return convert(period, unit, "h")


def _bounded(schedule: Schedule, repeat: Element, zone: ZoneInfo) -> Schedule:
    """Add what limits a schedule: period, duration or number of doses."""
    if _LIMITS.isdisjoint(repeat):  # as most
        return schedule
    count = number(repeat, "count")
    most = number(repeat, "countMax")
    if most is not None and most != count:
        raise _range("The number of doses is given as a range.", "countMax")
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


def _food(parts: list[str]) -> bool | None:
    if any(part in _WITH_FOOD for part in parts):
        return True
    return False if any(part in _BEFORE_FOOD for part in parts) else None


def _said(rate: Rate) -> str:
    if rate.single:
        return "a single dose"
    return f"{rate.doses} dose(s) in {rate.cycle_h:g} h"


def _conflict(message: str) -> ReadError:
    return ReadError("timing-conflict", message, "timing")


def _range(message: str, name: str) -> ReadError:
    return ReadError("timing-range", message, f"timing.repeat.{name}")
