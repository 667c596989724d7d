"""Orders that ask for the drug at the same time: two strengths of one dose, or a duplicate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cds.assess.policy import SAME_DOSE_MG
from cds.assess.timeline import SAME_START, Segment
from cds.clinical.problem import Impact, Problem
from cds.clinical.regimen import DrugOrder, PlannedDose, Regimen

T = TypeVar("T")

_PAIRED = 12
"""Orders of which every pair is named. Nobody reads more, and pairs grow with the square."""


class Overlap(Struct, frozen=True):
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


def overlaps_of(current: Sequence[Segment], usual: Sequence[float]) -> Iterable[Overlap]:
    for one, other in _pairs(current, lambda one, other: one.order is not other.order):
        first, second = one.regimen.daily_mg, other.regimen.daily_mg
        make_up = _one_dose(one.order, other.order, usual) and (
            abs(one.starts - other.starts) <= SAME_START or _grouped(one, other)
        )
        yield Overlap(one.order, other.order, first, second, make_up)


def overlaps_being_written(drafts: Sequence[DrugOrder]) -> Iterable[Overlap]:
    """Pairs of orders of one bundle that would be followed together."""
    readable = [order for order in drafts if order.regimens]
    for one, other in _pairs(readable, lambda *pair: not _one_after_the_other(*pair)):
        first, second = one.regimens[0].daily_mg, other.regimens[0].daily_mg
        yield Overlap(one, other, first, second, make_up=False)


def _pairs(items: Sequence[T], meet: Callable[[T, T], bool]) -> Iterator[tuple[T, T]]:
    """The pairs that meet; after the first dozen items, each with the first it meets alone."""
    for number, other in enumerate(items):
        met = ((one, other) for one in items[:number] if meet(one, other))
        yield from met if number < _PAIRED else islice(met, 1)


def _one_after_the_other(one: DrugOrder, other: DrugOrder) -> bool:
    """Whether one order ends before the other starts, or follows it."""
    if one.replaces == other.reference or other.replaces == one.reference:
        return True
    return any(
        earlier.regimens[-1].ends is not None
        and later.regimens[0].starts is not None
        and earlier.regimens[-1].ends.at <= later.regimens[0].starts.at
        for earlier, later in ((one, other), (other, one))
    )


def overlap_problems(overlaps: Iterable[Overlap]) -> Iterable[Problem]:
    for overlap in overlaps:
        if not overlap.make_up:
            yield Problem(
                "orders-overlap",
                f"Two orders of the drug overlap ({overlap.first_mg:g} mg and "
                f"{overlap.second_mg:g} mg a day), so the dose being taken is not known.",
                Impact.PREVENTS,
                overlap.second.reference,
            )


def joined(segments: Sequence[Segment], overlaps: Sequence[Overlap]) -> tuple[Segment, ...]:
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


def joined_drafts(
    drafts: Sequence[DrugOrder], usual_daily_mg: Sequence[float]
) -> tuple[DrugOrder, ...]:
    """The orders being written, the two strengths of one usual dose as one order.

    The order of the larger strength stands for both.
    """
    daily = [order.regimens[0].daily_mg if order.regimens else None for order in drafts]
    result: dict[int, DrugOrder | None] = dict(enumerate(drafts))
    for i, one in enumerate(drafts):
        for j, other in enumerate(drafts):
            more, less = daily[i], daily[j]
            if more is None or result[i] is not one:
                break
            smaller = less is not None and less < more and result[j] is other
            if smaller and _one_dose(one, other, usual_daily_mg):
                both = _together(one.regimens[0], other.regimens[0])
                selected = one.selected or other.selected
                result |= {i: replace(one, regimens=(both,), selected=selected), j: None}
    return tuple(order for order in result.values() if order is not None)


def _one_dose(one: DrugOrder, other: DrugOrder, usual_daily_mg: Sequence[float]) -> bool:
    """Whether two orders differ in strength and together make one usual dose."""
    first, second = one.regimens[0].daily_mg, other.regimens[0].daily_mg
    strengths_differ = (
        one.strength_mg is None or other.strength_mg is None or one.strength_mg != other.strength_mg
    ) and abs(first - second) > SAME_DOSE_MG
    return strengths_differ and any(
        abs(first + second - dose) <= SAME_DOSE_MG for dose in usual_daily_mg
    )


def _grouped(one: Segment, other: Segment) -> bool:
    return one.order.group is not None and one.order.group == other.order.group


def _together(one: Regimen, other: Regimen) -> Regimen:
    if one.is_uniform and other.is_uniform and one.interval_h == other.interval_h:
        amount = one.doses[0].amount_mg + other.doses[0].amount_mg
        return replace(one, doses=tuple(replace(d, amount_mg=amount) for d in one.doses))
    doses = sorted((*one.doses, *other.doses), key=lambda d: d.offset_h)
    return replace(one, doses=tuple(PlannedDose(d.offset_h, d.amount_mg) for d in doses))
