"""FHIR date, dateTime, instant, time and Period -> Moment.

A clock time without a zone is kept and read in the site's zone, and the Moment says so: the hour
of a trough is clinical data, and appending `Z` would move it. A date stays a date.
"""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from cds.clinical.moment import Moment, Precision
from cds.fhir.elements import Element, element, text
from cds.fhir.problems import ReadError

_DATETIME: Final = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_COMPLETE: Final = re.compile(
    r"(?:19[1-9]\d|2\d{3})-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:[0-5]\d(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)",
    re.ASCII,
)
"""As most times are written, with seconds and zone: Python reads these the same way, faster."""
LAST_YEAR_OF_PLACEHOLDERS: Final = 1900
"""Databases write 0001, 1753, 1899 and 1900 where nothing was entered; nobody alive was there."""
_TIME: Final = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?", re.ASCII)


class Span(Struct, frozen=True):
    """A FHIR Period; `end` is exclusive, so a date-only end reaches to the next midnight."""

    start: Moment | None
    end: Moment | None


def read_moment(written: str, zone: ZoneInfo) -> Moment:
    """A FHIR date, dateTime or instant; without a zone it is read in the site's `zone`.

    Raises ReadError for anything else, such as an impossible date.
    """
    if _COMPLETE.fullmatch(written):
        try:
            return Moment(datetime.fromisoformat(written).astimezone(UTC))
        except ValueError:
            raise _not_a_time(written) from None
    return _read_in_parts(written, zone)


def _read_in_parts(written: str, zone: ZoneInfo) -> Moment:
    match = _DATETIME.fullmatch(written)
    if match is None:
        raise _not_a_time(written)
    part = match.groupdict()
    if int(part["year"]) <= LAST_YEAR_OF_PLACEHOLDERS:
        raise ReadError(
            "resource-unreadable", f"{written[:30]!r} stands for a date that was not entered."
        )
    try:
        if part["hour"] is None:
            return _date(part, zone)
        at = datetime(
            int(part["year"]),
            int(part["month"]),
            int(part["day"]),
            int(part["hour"]),
            int(part["minute"]),
            min(int(part["second"] or 0), 59),  # a leap second is the last second of its minute
            int(((part["fraction"] or "") + "000000")[:6]),
            tzinfo=_offset(part["zone"]) if part["zone"] else zone,
        )
        return Moment(at.astimezone(UTC), zone_assumed=part["zone"] is None)
    except (ValueError, OverflowError):
        raise _not_a_time(written) from None


def moment(parent: Element, name: str, zone: ZoneInfo) -> Moment | None:
    """The date, dateTime or instant `name`, or None if absent."""
    written = text(parent, name)
    return read_moment(written, zone) if written is not None else None


def span(parent: Element, name: str, zone: ZoneInfo) -> Span | None:
    """The Period `name`, or None if absent. Raises ReadError if it ends before it starts."""
    period = element(parent, name)
    if period is None:
        return None
    start = moment(period, "start", zone)
    end = moment(period, "end", zone)
    end = after(end, zone) if end is not None else None
    if start is not None and end is not None and end.at < start.at:
        raise ReadError("resource-unreadable", "A period ends before it starts.", name)
    return Span(start, end)


def after(end: Moment, zone: ZoneInfo) -> Moment:
    """The exclusive end of a period whose last day, month or year is `end`."""
    if end.has_clock_time:
        return end
    local = end.at.astimezone(zone)
    if local.year == MAXYEAR:  # 9999-12-31 says that there is no end
        return end
    if end.precision is Precision.DAY:
        following = _midnight(local.date() + timedelta(days=1), zone)
    elif end.precision is Precision.MONTH:
        following = datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=zone)
    else:
        following = datetime(local.year + 1, 1, 1, tzinfo=zone)
    return Moment(following.astimezone(UTC), Precision.DAY, zone_assumed=True)


def clock_hours(written: str) -> float:
    """A FHIR time of day in hours after local midnight. Raises ReadError if it is not one."""
    match = _TIME.fullmatch(written)
    if match is None:
        raise ReadError("timing-invalid", f"{written[:20]!r} is not a time of day.", "timeOfDay")
    hour, minute, second = (int(group or 0) for group in match.groups())
    if hour > 23 or minute > 59 or second > 60:
        raise ReadError("timing-invalid", f"{written!r} is not a time of day.", "timeOfDay")
    return hour + minute / 60 + second / 3600


def last_clock_time_before(hours: float, instant: datetime, zone: ZoneInfo) -> datetime:
    """The last moment at or before `instant` when local clocks showed `hours` after midnight."""
    local = instant.astimezone(zone)
    seconds = round(hours * 3600) % 86_400
    shown = time(seconds // 3600, seconds // 60 % 60, seconds % 60)
    candidate = _local(local, shown, zone)
    if candidate > instant:
        candidate = _local(local - timedelta(days=1), shown, zone)
    return candidate


def _local(day: datetime, shown: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day.date(), shown, tzinfo=zone).astimezone(UTC)


def _date(part: dict[str, str | None], zone: ZoneInfo) -> Moment:
    year, month, day = (int(part[name] or 1) for name in ("year", "month", "day"))
    precision = Precision.DAY if part["day"] else Precision.MONTH
    if part["month"] is None:
        precision = Precision.YEAR
    first = datetime(year, month, day, tzinfo=zone)
    return Moment(first.astimezone(UTC), precision, zone_assumed=True)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def _offset(written: str) -> timezone:
    if written == "Z":
        return UTC
    hours, minutes = int(written[1:3]), int(written[-2:])
    if hours > 14 or minutes > 59:
        raise ValueError(written)
    size = timedelta(hours=hours, minutes=minutes)
    return timezone(-size if written[0] == "-" else size)


def _not_a_time(written: str) -> ReadError:
    return ReadError("resource-unreadable", f"{written[:30]!r} is not a date or time.")
