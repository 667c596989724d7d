"""Which regimen the patient is on, since when, and what for.

Orders are laid on a time line of segments. Two active orders are one regimen only when they are
the two strengths of one usual dose; otherwise they are an overlap that a person must resolve, and
no regimen is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cds.assess.assessment import Course
from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus, PlannedDose, Regimen

_ENDED = (OrderStatus.STOPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED)
_SAME_START = timedelta(days=1)
_SAME_DOSE_MG = 0.5


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time on one regimen; `ends` is None while it goes on."""

    regimen: Regimen
    starts: datetime
    ends: datetime | None
    order: DrugOrder
    on_hold: bool = False

    def covers(self, instant: datetime) -> bool:
        """Whether the regimen was to be taken at this instant."""
        return self.starts <= instant and (self.ends is None or instant < self.ends)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two orders that ask for the drug at the same time."""

    first: DrugOrder
    second: DrugOrder
    first_mg: float
    second_mg: float
    make_up: bool

    @property
    def total_mg(self) -> float:
        """Daily dose if both are taken."""
        return self.first_mg + self.second_mg


@dataclass(frozen=True, slots=True)
class Therapy:
    """The course with the time line it was read from."""

    course: Course
    segments: tuple[Segment, ...]
    overlaps: tuple[Overlap, ...]
    problems: tuple[Problem, ...]


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
    placed = [order for order in record.orders if not order.is_draft]
    segments = tuple(sorted((s for o in placed for s in _segments(o, now)), key=lambda s: s.starts))
    current = [s for s in segments if s.covers(now) and not s.on_hold]
    overlaps = tuple(_overlaps(current, usual_daily_mg))
    problems = list(_overlap_problems(overlaps))
    segments = _joined(segments, overlaps)
    current = [s for s in segments if s.covers(now)]
    held = any(s.on_hold for s in current)
    following = [s for s in current if not s.on_hold]
    regimen = following[0].regimen if len(following) == 1 else None
    started = _first_dose(record, segments, now)
    taken_lately = any(d.taken and d.at.at <= now for d in record.taken)
    unread_active = any(
        o.status is OrderStatus.ACTIVE and not o.regimens and not o.is_draft for o in record.orders
    )
    active = bool(following) or unread_active or (not placed and taken_lately)
    age = record.person.age_years(now)
    course = Course(
        indication=indication[0],
        disease=indication[1],
        population=None if age is None else ("adult" if age >= adult_from_years else "child"),
        regimen=regimen,
        active=active,
        on_hold=held and not following,
        starting=started is None and any(o.is_draft for o in record.orders),
        started=started,
        dose_changed=_last_change(segments, now),
        stopped=None if active or held else _last_end(segments, now),
        start_daily_mg=segments[0].regimen.daily_mg if segments else None,
        current_order=following[0].order.reference if len(following) == 1 else None,
    )
    return Therapy(course, segments, overlaps, tuple(problems))


def regimen_at(segments: Iterable[Segment], instant: datetime) -> Regimen | None:
    """The regimen that was to be taken at this instant, None if none or not unique."""
    found = [s.regimen for s in segments if s.covers(instant) and not s.on_hold]
    return found[0] if len(found) == 1 else None


def changed_before(segments: Sequence[Segment], instant: datetime) -> datetime | None:
    """The last start, restart or change of daily dose at or before this instant."""
    return _last_change(segments, instant)


def _segments(order: DrugOrder, now: datetime) -> Iterable[Segment]:
    """Segments of one order, as far as its dates allow; an order without dates starts unknown."""
    opened = order.authored.at if order.authored else None
    for regimen in order.regimens:
        starts = regimen.starts.at if regimen.starts else opened
        if starts is None:
            continue
        ends = regimen.ends.at if regimen.ends else None
        if regimen.count is not None:
            run = timedelta(hours=regimen.cycle_h * regimen.count / len(regimen.doses))
            ends = min(ends, starts + run) if ends else starts + run
        if order.stopped and (ends is None or order.stopped.at < ends):
            ends = order.stopped.at
        if order.status in _ENDED and ends is None:
            # Ended at an unknown time: it contributes no dose after its start can be relied on.
            continue
        if order.status is OrderStatus.CANCELLED:
            continue
        if ends is not None and ends <= starts:
            continue
        yield Segment(regimen, starts, ends, order, order.status is OrderStatus.ON_HOLD)


def _overlaps(current: Sequence[Segment], usual: Sequence[float]) -> Iterable[Overlap]:
    for i, one in enumerate(current):
        for other in current[i + 1 :]:
            if one.order is other.order:
                continue
            first, second = one.regimen.daily_mg, other.regimen.daily_mg
            strengths_differ = (
                one.order.strength_mg is None
                or other.order.strength_mg is None
                or one.order.strength_mg != other.order.strength_mg
            ) and abs(first - second) > _SAME_DOSE_MG
            make_up = (
                strengths_differ
                and abs(one.starts - other.starts) <= _SAME_START
                and any(abs(first + second - dose) <= _SAME_DOSE_MG for dose in usual)
            )
            yield Overlap(one.order, other.order, first, second, make_up)


def _overlap_problems(overlaps: Iterable[Overlap]) -> Iterable[Problem]:
    for overlap in overlaps:
        if not overlap.make_up:
            yield Problem(
                "orders-overlap",
                f"Two orders of the drug overlap ({overlap.first_mg:g} mg and "
                f"{overlap.second_mg:g} mg a day), so the dose being taken is not known.",
                Impact.PREVENTS,
                overlap.second.reference,
            )


def _joined(segments: Sequence[Segment], overlaps: Sequence[Overlap]) -> tuple[Segment, ...]:
    """Replace the two strengths of one dose by one segment with both amounts taken together."""
    result = list(segments)
    for overlap in overlaps:
        if not overlap.make_up:
            continue
        pair = [s for s in result if s.order in (overlap.first, overlap.second)]
        if len(pair) != 2:
            continue
        one, other = pair
        result = [s for s in result if s not in pair]
        result.append(replace(one, regimen=_together(one.regimen, other.regimen)))
    return tuple(sorted(result, key=lambda s: s.starts))


def _together(one: Regimen, other: Regimen) -> Regimen:
    if one.is_uniform and other.is_uniform and one.interval_h == other.interval_h:
        amount = one.doses[0].amount_mg + other.doses[0].amount_mg
        return replace(one, doses=tuple(replace(d, amount_mg=amount) for d in one.doses))
    doses = sorted((*one.doses, *other.doses), key=lambda d: d.offset_h)
    return replace(one, doses=tuple(PlannedDose(d.offset_h, d.amount_mg) for d in doses))


def _first_dose(
    record: PatientRecord, segments: Sequence[Segment], now: datetime
) -> datetime | None:
    """The earliest sign of therapy that is not in the future."""
    signs = [s.starts for s in segments]
    signs += [d.at.at for d in record.taken if d.taken]
    signs += [s.handed_over.at for s in record.supplies]
    past = [sign for sign in signs if sign <= now]
    return min(past) if past else None


def _last_change(segments: Sequence[Segment], until: datetime) -> datetime | None:
    """Start of the latest segment that differs in daily dose from, or does not adjoin, the last."""
    changed: datetime | None = None
    before: Segment | None = None
    for segment in segments:
        if segment.starts > until or segment.on_hold:
            continue
        adjoins = (
            before is not None
            and (before.ends is None or before.ends + _SAME_START >= segment.starts)
            and abs(before.regimen.daily_mg - segment.regimen.daily_mg) <= _SAME_DOSE_MG
        )
        if not adjoins:
            changed = segment.starts
        before = segment
    return changed


def _last_end(segments: Sequence[Segment], now: datetime) -> datetime | None:
    ends = [s.ends for s in segments if s.ends is not None and s.ends <= now]
    return max(ends) if ends else None
