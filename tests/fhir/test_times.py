"""FHIR times: precision kept, zones never invented."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.clinical.moment import Moment, Precision
from cds.fhir.problems import ReadError
from cds.fhir.times import (
    _read_in_parts,
    after,
    clock_hours,
    last_clock_time_before,
    read_moment,
    span,
)
from tests.fhir.factories import ZONE

_NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("written", "at", "precision", "assumed"),
    [
        ("2024-05-01T08:00:00+02:00", "2024-05-01T06:00:00", Precision.INSTANT, False),
        ("2024-05-01T08:00:00Z", "2024-05-01T08:00:00", Precision.INSTANT, False),
        ("2024-05-01T08:00:00.715Z", "2024-05-01T08:00:00.715", Precision.INSTANT, False),
        ("2024-05-01T08:00:00+0200", "2024-05-01T06:00:00", Precision.INSTANT, False),
        ("2024-05-01T08:00Z", "2024-05-01T08:00:00", Precision.INSTANT, False),
        ("2024-05-01T08:00:00", "2024-05-01T06:00:00", Precision.INSTANT, True),
        ("2024-01-15T08:00", "2024-01-15T07:00:00", Precision.INSTANT, True),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59", Precision.INSTANT, False),
        ("2024-05-01", "2024-04-30T22:00:00", Precision.DAY, True),
        ("2024-05", "2024-04-30T22:00:00", Precision.MONTH, True),
        ("2024", "2023-12-31T23:00:00", Precision.YEAR, True),
    ],
)
def test_a_time_keeps_its_precision_and_says_whose_zone_it_has(
    written: str, at: str, precision: Precision, assumed: bool
) -> None:
    expected = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert read_moment(written, ZONE) == Moment(expected, precision, assumed)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "2024-02-30",
        "2024-13",
        "24-05-01",
        "2024-05-01T25:00:00Z",
        "2024-05-01 08:00",
        "2024-05-01T24:00:00Z",
        "2024-05-01T08:00:00+25:00",
        "0000-01-01",
        "２０２４-05-01",
    ],
)
def test_what_is_not_a_time_is_a_question(written: str) -> None:
    with pytest.raises(ReadError):
        read_moment(written, ZONE)


@pytest.mark.parametrize(
    ("end", "exclusive"),
    [
        ("2024-05-01", "2024-05-02"),
        ("2024-02", "2024-03-01"),
        ("2024-12", "2025-01-01"),
        ("2024", "2025-01-01"),
        ("2024-03-30", "2024-03-31"),
        ("2024-03-31", "2024-04-01"),
    ],
)
def test_the_last_day_of_a_period_belongs_to_it(end: str, exclusive: str) -> None:
    assert after(read_moment(end, ZONE), ZONE).at == read_moment(exclusive, ZONE).at


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ReadError, match="ends before"):
        span({"p": {"start": "2024-05-02", "end": "2024-04-01"}}, "p", ZONE)


@pytest.mark.parametrize(
    ("written", "hours"),
    [("08:00:00", 8.0), ("20:30", 20.5), ("23:59:59.5", 23 + 59 / 60 + 59 / 3600)],
)
def test_a_time_of_day_is_hours_after_midnight(written: str, hours: float) -> None:
    assert clock_hours(written) == pytest.approx(hours)


@pytest.mark.parametrize("written", ["24:00:00", "8:00", "noon", "08:61:00"])
def test_what_is_not_a_time_of_day_is_a_question(written: str) -> None:
    with pytest.raises(ReadError):
        clock_hours(written)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        # The night the clocks went forward, 08:00 came 23 hours after the last 08:00.
        ("2024-03-31T05:59:00Z", "2024-03-30T07:00:00Z"),
        ("2024-03-31T06:00:00Z", "2024-03-31T06:00:00Z"),
        # And the night they went back, 25 hours.
        ("2024-10-27T06:59:00Z", "2024-10-26T06:00:00Z"),
        ("2024-10-27T07:00:00Z", "2024-10-27T07:00:00Z"),
    ],
)
def test_clock_times_follow_the_local_clock_through_daylight_saving(
    instant: str, expected: str
) -> None:
    at = read_moment(instant, ZONE).at
    assert last_clock_time_before(8.0, at, ZONE) == read_moment(expected, ZONE).at


@given(
    at=st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    hours=st.floats(0, 23.99),
)
def test_the_last_clock_time_is_never_later_and_at_most_25_hours_back(
    at: datetime, hours: float
) -> None:
    last = last_clock_time_before(hours, at, _NEW_YORK)
    assert last <= at
    assert (at - last).total_seconds() <= 25.01 * 3600


@given(st.text(alphabet="0123456789-:.TZ+", max_size=30))
def test_any_text_is_a_moment_or_a_question(written: str) -> None:
    with suppress(ReadError):
        assert read_moment(written, ZONE).at.tzinfo is not None


@pytest.mark.parametrize(
    "written",
    ["0001-01-01", "0001-01-01T00:00:00Z", "1753-01-01", "1899-12-30T00:00:00", "1900-01-01"],
)
def test_what_databases_write_for_no_date_is_not_a_date(written: str) -> None:
    with pytest.raises(ReadError, match="stands for a date that was not entered"):
        read_moment(written, ZONE)


@pytest.mark.parametrize("written", ["9999-12-31", "9999-12", "9999"])
def test_a_period_until_the_end_of_time_ends_after_all_others(written: str) -> None:
    end = after(read_moment(written, ZONE), ZONE)

    assert end.at >= datetime(9998, 12, 31, tzinfo=UTC)


_COMPLETE_OR_NEARLY = st.from_regex(
    re.compile(
        r"(?:1[89]\d\d|2\d{3})-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d:[0-6]\d(?:\.\d)?"
        r"(?:Z|[+-][01]\d:?[0-6]\d)?",
        re.ASCII,
    ),
    fullmatch=True,
)


@given(_COMPLETE_OR_NEARLY)
def test_the_short_way_reads_a_complete_time_as_the_long_way_does(written: str) -> None:
    def read(way: Callable[[str, ZoneInfo], Moment]) -> Moment | str:
        try:
            return way(written, ZONE)
        except ReadError as error:
            return error.message

    assert read(read_moment) == read(_read_in_parts)
