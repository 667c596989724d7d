"""Dose histories: nominal times, moved by what is known."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from cds.assess.intake import Intake, Span, dose_history
from cds.assess.timeline import Segment
from cds.clinical.regimen import PlannedDose, Regimen, TakenDose
from tests.assess.build import NOW, ago, once_daily, order, taken

UTC_ZONE = ZoneInfo("UTC")
YESTERDAY = Span(NOW - timedelta(days=1), NOW)
LONG_AGO = NOW - timedelta(days=3650)


def history(
    *segments: Segment,
    doses: tuple[TakenDose, ...] = (),
    stated: tuple[Span, ...] = (),
) -> tuple[Intake, ...]:
    return dose_history(segments, doses, stated, zone=UTC_ZONE, since=LONG_AGO, until=NOW)


def segment(regimen: Regimen, *, days: float = 10.0) -> Segment:
    return Segment(regimen, ago(days=days).at, None, order(regimen=regimen))


def test_without_any_clock_doses_are_daily_and_marked_as_assumed() -> None:
    doses = history(segment(once_daily(400)))
    assert len(doses) in (10, 11)
    assert not any(d.known for d in doses)
    gaps = {b.at - a.at for a, b in pairwise(doses)}
    assert gaps == {timedelta(hours=24)}


def test_the_stated_time_before_a_level_sets_the_clock_of_all_doses() -> None:
    stated = NOW - timedelta(days=2, hours=3)
    doses = history(segment(once_daily(400)), stated=(Span(stated, NOW),))
    assert stated in [d.at for d in doses]
    assert {d.at.hour for d in doses} == {stated.hour}
    assert sum(d.known for d in doses) == 1


def test_a_documented_intake_replaces_the_nearest_nominal_dose() -> None:
    late = taken(days=3.125, mg=300)
    doses = history(segment(once_daily(400)), doses=(late,), stated=(YESTERDAY,))
    near = [d for d in doses if abs(d.at - late.at.at) < timedelta(hours=12)]
    assert [(d.at, d.amount_mg, d.known) for d in near] == [(late.at.at, 300, True)]


def test_a_documented_omission_removes_the_dose() -> None:
    whole = history(segment(once_daily(400)), stated=(YESTERDAY,))
    missed = taken(days=4, was_taken=False)
    doses = history(segment(once_daily(400)), doses=(missed,), stated=(YESTERDAY,))
    assert len(doses) == len(whole) - 1
    assert missed.at.at not in [d.at for d in doses]


def test_a_clock_in_the_order_is_used_as_local_time() -> None:
    zone = ZoneInfo("Europe/Zurich")
    regimen = Regimen((PlannedDose(8.0, 400), PlannedDose(20.0, 200)), 24.0, clock_known=True)
    doses = dose_history((segment(regimen),), (), (), zone=zone, since=LONG_AGO, until=NOW)
    local = {(d.at.astimezone(zone).hour, d.amount_mg) for d in doses}
    assert local == {(8, 400), (20, 200)}


def test_a_count_limits_the_doses() -> None:
    assert len(history(segment(once_daily(400, count=4)))) == 4


def test_nothing_is_taken_on_hold() -> None:
    held = Segment(once_daily(400), ago(days=10).at, None, order(), on_hold=True)
    assert history(held) == ()


def test_no_dose_is_assumed_between_the_last_dose_and_a_late_sample() -> None:
    """A sample 30 h after the dose means that the dose due in between was not taken."""
    span = Span(NOW - timedelta(hours=40), NOW - timedelta(hours=10))
    doses = history(segment(once_daily(400)), stated=(span,))
    assert span.dose in [d.at for d in doses]
    assert not [d for d in doses if span.dose < d.at < span.sample]


def test_looking_back_from_a_date_gives_the_same_doses_from_then_on() -> None:
    long = segment(once_daily(400), days=1000)
    whole = history(long)
    since = NOW - timedelta(days=30)
    recent = dose_history((long,), (), (), zone=UTC_ZONE, since=since, until=NOW)
    assert recent == tuple(d for d in whole if d.at >= since)
