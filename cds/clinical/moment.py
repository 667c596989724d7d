"""Points in time as clinical records give them: with a precision, and sometimes without a zone."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Precision(StrEnum):
    """How finely a time was recorded; only `INSTANT` carries a clock time."""

    INSTANT = "instant"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Moment(Struct, frozen=True):
    """A time from the record.

    `at` is always timezone-aware. Below instant precision it is the first instant of the period in
    the site's zone, so that ordering works; such a moment must never be used as a clock time.
    `zone_assumed` says that the record gave no zone and the site's zone was used.
    """

    at: datetime
    precision: Precision = Precision.INSTANT
    zone_assumed: bool = False

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a Moment needs a timezone-aware datetime")

    @property
    def has_clock_time(self) -> bool:
        """Whether hours and minutes were recorded."""
        return self.precision is Precision.INSTANT

    def hours_until(self, later: Moment | datetime) -> float:
        """Hours from this moment to `later` (negative if `later` is earlier)."""
        end = later.at if isinstance(later, Moment) else later
        return (end - self.at).total_seconds() / 3600.0

    def days_until(self, later: Moment | datetime) -> float:
        """Days from this moment to `later` (negative if `later` is earlier)."""
        return self.hours_until(later) / 24.0
