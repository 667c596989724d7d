"""Which regimen the patient is on, since when, and what for.

Two active orders are one regimen only when they are the two strengths of one usual dose; otherwise
they are an overlap that a person must resolve, and no regimen is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cds.assess.assessment import Course
from cds.assess.overlap import (
    Overlap,
    joined,
    joined_drafts,
    overlap_problems,
    overlaps_being_written,
    overlaps_of,
)
from cds.assess.policy import SAME_DOSE_MG
from cds.assess.timeline import Segment, last_change, last_end, time_line
from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus

_FOLLOWED_NOW = (OrderStatus.ACTIVE, OrderStatus.ON_HOLD)
_ENDED = (OrderStatus.STOPPED, OrderStatus.COMPLETED)
_ENDS_ONE = (OrderStatus.STOPPED, OrderStatus.COMPLETED, OrderStatus.ON_HOLD)


class Therapy(Struct, frozen=True):
    """The course with the time line it was read from."""

    course: Course
    segments: tuple[Segment, ...]
    overlaps: tuple[Overlap, ...]
    drafts: tuple[DrugOrder, ...]
    """The orders being written, two strengths of one dose joined; last those that end or hold."""
    problems: tuple[Problem, ...]
    overlaps_written: tuple[Overlap, ...] = ()
    """Pairs of new orders that would be followed together."""


def read_therapy(
    record: PatientRecord,
    *,
    indication: tuple[str | None, str | None],
    usual_daily_mg: Sequence[float],
    adult_from_years: float,
    now: datetime,
) -> Therapy:
    """Lay the orders of the drug on a time line and say what is being taken now.

    `indication` is (indication key, disease key); `usual_daily_mg` the dose steps of the
    indication, by which two strengths are recognised as one dose.
    """
    written = [order for order in record.orders if order.is_draft]
    ends = [order for order in written if order.status is not OrderStatus.DRAFT]
    placed = [order for order in record.orders if not order.is_draft]
    if not any(order.status in _FOLLOWED_NOW for order in placed):
        # Until an end or a hold is signed, the order it concerns is the one being followed.
        placed += [replace(o, status=OrderStatus.ACTIVE) for o in ends if o.status in _ENDS_ONE]
    segments = time_line([order for order in placed if not order.reported])
    reported = time_line([order for order in placed if order.reported])
    differs = _reported_differs(segments, reported, now) if segments else None
    segments = segments or reported
    current = [s for s in segments if s.covers(now) and not s.on_hold]
    overlaps = tuple(overlaps_of(current, usual_daily_mg))
    problems = [*overlap_problems(overlaps), *([differs.problem] if differs else [])]
    segments = joined(segments, overlaps)
    current = [s for s in segments if s.covers(now)]
    held = any(s.on_hold for s in current)
    following = [s for s in current if not s.on_hold]
    regimen = following[0].regimen if len(following) == 1 else None
    started = _first_dose(record, segments, now)
    taken_lately = any(d.taken and d.at.at <= now for d in record.taken)
    unread_active = any(
        o.status is OrderStatus.ACTIVE and not o.regimens and not o.is_draft for o in record.orders
    )
    known_by_use = not placed and (taken_lately or _supplied(record, now))
    active = bool(following) or unread_active or known_by_use
    age = record.person.age_years(now)
    course = Course(
        indication=indication[0],
        disease=indication[1],
        population=None if age is None else ("adult" if age >= adult_from_years else "child"),
        regimen=regimen,
        active=active,
        on_hold=held and not following,
        starting=started is None and len(written) > len(ends),
        started=started,
        dose_changed=last_change(segments, now),
        stopped=None if active or held else last_end(segments, now),
        start_daily_mg=segments[0].regimen.daily_mg if segments else None,
        current_order=following[0].order.reference if len(following) == 1 else None,
        reported_daily_mg=differs.daily_mg if differs else None,
    )
    drafts = joined_drafts([o for o in written if o not in ends], usual_daily_mg)
    together = tuple(overlaps_being_written(drafts))
    return Therapy(course, segments, overlaps, (*drafts, *ends), tuple(problems), together)


def _supplied(record: PatientRecord, now: datetime) -> bool:
    """Whether a dispensed supply reaches to today: a pharmacy may be all that knows of the drug."""
    return any(
        supply.days is not None
        and supply.handed_over.at <= now <= supply.handed_over.at + timedelta(days=supply.days)
        for supply in record.supplies
    )


class _SaidToTake(Struct, frozen=True):
    """Another dose than the one prescribed now."""

    problem: Problem
    daily_mg: float | None
    """The dose that is said to be taken; None where the prescription is newer than the saying."""


def _reported_differs(
    prescribed: Sequence[Segment], reported: Sequence[Segment], now: datetime
) -> _SaidToTake | None:
    """What the patient is said to take instead of the dose prescribed now."""
    here = [s for s in prescribed if s.covers(now) and not s.on_hold]
    said = [s for s in reported if s.covers(now) and not s.on_hold]
    if not here or not said:
        return None
    ordered, stated = here[-1].regimen.daily_mg, said[-1].regimen.daily_mg
    if abs(sum(s.regimen.daily_mg for s in here) - stated) <= SAME_DOSE_MG:
        return None
    problem = Problem(
        "dose-reported-differs",
        f"The patient is said to take {stated:g} mg a day; prescribed are {ordered:g} mg a "
        "day. The prescribed dose was used.",
        Impact.LIMITS,
        said[-1].order.reference,
    )
    when = said[-1].order.authored
    is_older = when is not None and when.at < here[-1].starts
    return _SaidToTake(problem, None if is_older else stated)


def _first_dose(
    record: PatientRecord, segments: Sequence[Segment], now: datetime
) -> datetime | None:
    """The earliest sign of therapy that is not in the future."""
    signs = [s.starts for s in segments]
    # An order that ended nobody knows when is on no segment, but with it the therapy had begun.
    ended = [o for o in record.orders if o.status in _ENDED and not o.is_draft]
    begun = [regimen.starts or o.authored for o in ended for regimen in o.regimens]
    signs += [moment.at for moment in begun if moment]
    signs += [d.at.at for d in record.taken if d.taken]
    signs += [s.handed_over.at for s in record.supplies]
    past = [sign for sign in signs if sign <= now]
    return min(past) if past else None
