"""A story moved to today is the same story."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cds.demo.redate import days_to, moved


def test_dates_and_instants_move_by_whole_days_and_keep_their_clock() -> None:
    resource = {
        "birthDate": "1972-03-14",
        "effectiveDateTime": "2026-02-28T08:05:00+01:00",
        "list": [{"start": "2024-02-28"}],
    }
    assert moved(resource, 2) == {
        "birthDate": "1972-03-16",
        "effectiveDateTime": "2026-03-02T08:05:00+01:00",
        "list": [{"start": "2024-03-01"}],
    }


@pytest.mark.parametrize("value", ["2024-05", "2024", "10:00:00", "400 mg on 2024-05-01", 7, None])
def test_what_is_no_full_date_stays(value: object) -> None:
    assert moved(value, 30) == value


@pytest.mark.parametrize("hours", [0, 1, 23, 24, 25, 24 * 400 + 5])
def test_the_storys_moment_comes_to_lie_within_the_last_day(hours: int) -> None:
    story = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    today = story + timedelta(hours=hours)
    gap = today - (story + timedelta(days=days_to(today, story)))

    assert timedelta(0) <= gap < timedelta(days=1)


def test_moving_there_and_back_changes_nothing() -> None:
    value = {"a": ["2024-02-29", "2026-11-20T10:00:00Z"]}

    assert moved(moved(value, 400), -400) == value
