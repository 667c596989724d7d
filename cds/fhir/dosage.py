"""Dosage instructions -> the regimens a patient is told to follow, or a question.

A question is a ReadError: nothing here guesses a dose, a frequency, or whether two instructions
add up or are alternatives. What the specification lets us infer is written into the regimen's
assumptions, which every card repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from math import lcm
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cds.clinical.moment import Moment
from cds.clinical.regimen import PlannedDose, Regimen
from cds.fhir.dose import DoseContext
from cds.fhir.elements import Element
from cds.fhir.instruction import Instruction, read_instruction
from cds.fhir.problems import ReadError
from cds.fhir.schedule import Schedule

_WEEK_H: Final = 168.0
_LONGEST_CYCLE_H: Final = 8 * _WEEK_H


def read_dosages(
    dosages: Sequence[Element], context: DoseContext, zone: ZoneInfo, authored: Moment | None
) -> tuple[Regimen, ...]:
    """The consecutive regimens of a list of Dosage elements.

    `authored` is when the order was written: the start if nothing else says when it starts.
    Raises ReadError when a person has to be asked.
    """
    if not dosages:
        raise ReadError("dose-missing", "The order has no dosage.", "dosageInstruction")
    instructions = [read_instruction(dosage, context, zone) for dosage in dosages]
    start = _start(authored)
    regimens: list[Regimen] = []
    for step in _steps(instructions):
        if regimens and step[0].schedule.starts is None and start[0] is None:
            raise _open_sequence()
        merged = _concurrent(step)
        regimens.extend(_regimens(merged, start, zone))
        start = (regimens[-1].ends, ())
    return tuple(regimens)


def _steps(instructions: list[Instruction]) -> list[list[Instruction]]:
    """Instructions grouped into consecutive steps of concurrent ones."""
    if len(instructions) == 1:
        return [instructions]
    numbers = [instruction.sequence for instruction in instructions]
    if None in numbers:
        if any(numbers):
            raise _ambiguous()
        return _unnumbered(instructions)
    ordered = sorted(set(numbers), key=lambda n: n or 0)
    steps = [[i for i in instructions if i.sequence == number_] for number_ in ordered]
    for step in steps[:-1]:
        if not any(_ends(i.schedule) for i in step):
            raise _open_sequence()
    return steps


def _unnumbered(instructions: list[Instruction]) -> list[list[Instruction]]:
    """Without sequence numbers, only distinct periods or distinct times of day are unambiguous."""
    schedules = [instruction.schedule for instruction in instructions]
    dated = [(i.schedule.starts.at, i) for i in instructions if i.schedule.starts is not None]
    if len(dated) == len(instructions):
        ordered = [instruction for _, instruction in sorted(dated, key=lambda pair: pair[0])]
        if all(_is_before(one.schedule, two.schedule) for one, two in pairwise(ordered)):
            return [[instruction] for instruction in ordered]
    hours = [offset for schedule in schedules for offset in schedule.offsets_h]
    timed = all(schedule.clock_known or schedule.part_of_day for schedule in schedules)
    if timed and len(set(hours)) == len(hours) and len({_bounds(s) for s in schedules}) == 1:
        return [instructions]
    raise _ambiguous()


def _is_before(one: Schedule, two: Schedule) -> bool:
    return one.ends is not None and two.starts is not None and one.ends.at <= two.starts.at


def _concurrent(
    step: list[Instruction],
) -> tuple[Schedule, tuple[PlannedDose, ...], tuple[str, ...]]:
    """Several instructions that hold at the same time as one cycle of doses."""
    first = step[0].schedule
    schedules = [instruction.schedule for instruction in step]
    if len(step) > 1 and (
        len({_bounds(s) for s in schedules}) > 1
        or len({(s.clock_known, s.part_of_day, s.day_of_week, s.single) for s in schedules}) > 1
    ):
        raise _ambiguous()
    cycle_h = _common_cycle([schedule.cycle_h for schedule in schedules])
    amounts: dict[float, float] = {}
    for instruction in step:
        schedule = instruction.schedule
        for turn in range(round(cycle_h / schedule.cycle_h)):
            for offset in schedule.offsets_h:
                at = offset + turn * schedule.cycle_h
                amounts[at] = amounts.get(at, 0.0) + instruction.dose.mg
    doses = tuple(PlannedDose(at, mg) for at, mg in sorted(amounts.items()))
    said = [a for i in step for a in (*i.dose.assumptions, *i.schedule.assumptions)]
    merged = first if cycle_h == first.cycle_h else replace(first, cycle_h=cycle_h)
    return merged, doses, tuple(dict.fromkeys(said))


def _regimens(
    merged: tuple[Schedule, tuple[PlannedDose, ...], tuple[str, ...]],
    start: tuple[Moment | None, tuple[str, ...]],
    zone: ZoneInfo,
) -> list[Regimen]:
    """The regimen of one step; single doses at stated times are one regimen each."""
    schedule, doses, assumptions = merged
    starts, assumed = (schedule.starts, ()) if schedule.starts else start
    if schedule.day_of_week and starts is not None:
        doses = _counted_from(starts, doses, zone)
    if schedule.events:
        return [
            Regimen(doses, schedule.cycle_h, starts=event, count=1, assumptions=assumptions)
            for event in sorted(schedule.events, key=lambda moment: moment.at)
        ]
    if schedule.single:
        said = (*assumptions, "One single dose; when it is given is not stated.")
        return [Regimen(doses, schedule.cycle_h, count=1, assumptions=said)]
    return [
        Regimen(
            doses,
            schedule.cycle_h,
            starts=starts,
            ends=_end(schedule, starts, len(doses)),
            count=schedule.count,
            clock_known=schedule.clock_known,
            with_food=schedule.with_food,
            assumptions=(*assumptions, *assumed),
        )
    ]


def _counted_from(
    starts: Moment, doses: tuple[PlannedDose, ...], zone: ZoneInfo
) -> tuple[PlannedDose, ...]:
    """A weekly pattern counted from the local midnight of the day the regimen starts."""
    shift = starts.at.astimezone(zone).weekday() * 24.0
    moved = (replace(dose, offset_h=(dose.offset_h - shift) % _WEEK_H) for dose in doses)
    return tuple(sorted(moved, key=lambda dose: dose.offset_h))


def _start(authored: Moment | None) -> tuple[Moment | None, tuple[str, ...]]:
    """Where a regimen starts that does not say so itself, with what is then assumed."""
    if authored is None:
        return None, ()
    return authored, ("The start was taken from the date of the order.",)


def _end(schedule: Schedule, starts: Moment | None, doses: int) -> Moment | None:
    if schedule.ends is not None:
        return schedule.ends
    length_h = schedule.length_h
    if length_h is None and schedule.count is not None:
        length_h = schedule.count * schedule.cycle_h / doses
    if length_h is None or starts is None:
        return None
    return replace(starts, at=starts.at + timedelta(hours=length_h))


def _ends(schedule: Schedule) -> bool:
    return any(end is not None for end in (schedule.ends, schedule.length_h, schedule.count))


def _bounds(schedule: Schedule) -> tuple[object, ...]:
    return schedule.starts, schedule.ends, schedule.length_h, schedule.count


def _common_cycle(cycles_h: list[float]) -> float:
    if len(set(cycles_h)) == 1:
        return cycles_h[0]
    if all(cycle.is_integer() for cycle in cycles_h):
        common = lcm(*(int(cycle) for cycle in cycles_h))
        if common <= _LONGEST_CYCLE_H:
            return float(common)
    raise _ambiguous()


def _ambiguous() -> ReadError:
    message = (
        "The order has several dosages; do they add up, follow each other, or are they a choice?"
    )
    return ReadError("dosage-ambiguous", message, "dosageInstruction")


def _open_sequence() -> ReadError:
    message = "The order has consecutive steps but does not say when one ends."
    return ReadError("dosage-sequence-open", message, "dosageInstruction.sequence")
