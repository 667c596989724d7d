"""When the last dose was taken, as comments on a level write it: dates, clocks, yesterday.

A date written with dots or hyphens has its day first. One with slashes has the month first in the
United States alone, so beside English words it is read only if one of its readings is a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cds.clinical.moment import Moment
from cds.fhir.problems import ReadError
from cds.fhir.times import last_clock_time_before, read_moment

_ENGLISH: Final = r"last (?:dose|intake|tablet|administration)(?: (?:was|taken|given|time|at|on))*"
_OTHER: Final = (
    r"letzte (?:einnahme|gabe|dosis|tablette)(?: (?:war|am|vom|um))*"
    r"|dernière prise(?: (?:le|à))*|última toma(?: (?:el|a las))*"
    r"|ultima assunzione(?: (?:il|alle))*|laatste (?:inname|dosis)(?: (?:op|om))*"
)
_LAST_DOSE: Final = rf"(?:{_ENGLISH}|{_OTHER})"
_TODAY: Final = "today|heute|aujourd'hui|hoy|oggi|vandaag"
_YESTERDAY: Final = "yesterday|the day before|gestern|hier|la veille|ayer|ieri|gisteren"
_AT: Final = r"(?:(?:at|um|à|om|a las|alle) )?"
_CLOCK: Final = (
    r"(\d{1,2})(?:[:.h](\d\d)(?!\d)| ?(?:uhr|uur)(?!\w)|(?<=(?:à|m) \d)h(?!\w)"
    r"|(?<=(?:à|m) \d\d)h(?!\w))"
    r"(?! ?(?:h|std|stunden|heures|uur|hours)?\.? ?(?:du|de|avant|vor|voor|before|prior|ago)(?!\w))"
)
"""A bare `10h` is a clock only after `à`, `um` or `om`: elsewhere it may be a duration."""
_HALF: Final = r"\s*(a\.?m\.?|p\.?m\.?)?(?!\w)"

_WITH_ZONE: Final = re.compile(
    rf"{_LAST_DOSE}\s*:?\s*(\d{{4}}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?(?:z|[+-]\d\d:\d\d)?)?)"
)
_DATED: Final = re.compile(
    rf"(?:({_ENGLISH})|{_OTHER})\s*:?\s*(\d{{1,2}})([./-])(\d{{1,2}})(?:\3(\d{{4}}|\d\d))?\.?,?"
    rf"\s+{_AT}{_CLOCK}{_HALF}"
)
_CLOCK_ONLY: Final = re.compile(
    rf"{_LAST_DOSE}\s*:?\s*({_TODAY}|{_YESTERDAY})?\s*{_AT}{_CLOCK}(?![\d:.-]){_HALF}"
    rf"(?: ?(?:uhr|uur))?\s*({_TODAY}|{_YESTERDAY})?(?!\w)"
)

_HOURS_BEFORE: Final = re.compile(
    rf"{_LAST_DOSE}\s*:?\s*(\d{{1,3}}(?:\.\d+)?) ?(?:h|hrs?|hours?|std\.?|stunden|heures|uur)"
    r" (?:before|prior|vor|avant|voor)(?!\w)"
)


def hours_before(words: str) -> Iterator[float]:
    """The hours that a comment, in lower case, says lie between the last dose and the sample."""
    yield from map(float, _HOURS_BEFORE.findall(words))


def last_dose_moments(words: str, sampled: Moment, zone: ZoneInfo) -> Iterator[Moment]:
    """The moments of the last dose that a comment, in lower case, states with a clock time."""
    for written in _WITH_ZONE.findall(words):
        at = _written(written, zone)
        if at is not None and at.has_clock_time:
            yield at
    for english, first, sign, second, year, hour, minute, half in _DATED.findall(words):
        days_first = not english or sign != "/"
        ways = [(first, second)] if days_first else [(first, second), (second, first)]
        hours = _hours(hour, minute, half)
        found = {
            at
            for day, month in ways
            if (at := _dated(int(day), int(month), year, hours, sampled, zone))
        }
        if len(found) == 1:
            yield found.pop()
    for before, hour, minute, half, behind in _CLOCK_ONLY.findall(words):
        hours = _hours(hour, minute, half)
        if hours is not None:
            yield _on_day(hours, before or behind, sampled, zone)


def _written(written: str, zone: ZoneInfo) -> Moment | None:
    try:
        return read_moment(written.upper().replace(" ", "T"), zone)
    except ReadError:
        return None  # a comment that is not a date after all is only a comment


def _dated(
    day: int, month: int, year: str, hours: float | None, sampled: Moment, zone: ZoneInfo
) -> Moment | None:
    """A day and a clock time; without a year the last such day before the sample."""
    shown = sampled.at.astimezone(zone)
    if hours is None:
        return None
    stated = int(year) + (2000 if len(year) == 2 else 0) if year else shown.year
    try:
        midnight = datetime(stated, month, day, tzinfo=zone)
        if not year and midnight > shown:
            midnight = midnight.replace(year=stated - 1)
    except ValueError:
        return None
    return Moment((midnight + timedelta(hours=hours)).astimezone(sampled.at.tzinfo))


def _hours(hour: str, minute: str, half: str = "") -> float | None:
    """Hours after midnight; None if no clock shows it."""
    shown, past = int(hour), int(minute or 0)
    if past > 59 or shown > 23 or (half and not 1 <= shown <= 12):
        return None
    if half:
        shown = shown % 12 + (12 if half.startswith("p") else 0)
    return shown + past / 60


def _on_day(hours: float, day: str, sampled: Moment, zone: ZoneInfo) -> Moment:
    """A clock time on the day of the sample, the day before, or - unsaid - most recently."""
    if not day:
        return Moment(last_clock_time_before(hours, sampled.at, zone))
    shown = sampled.at.astimezone(zone)
    if day not in _TODAY.split("|"):
        shown -= timedelta(days=1)
    midnight = shown.replace(hour=0, minute=0, second=0, microsecond=0)
    return Moment((midnight + timedelta(hours=hours)).astimezone(sampled.at.tzinfo))
