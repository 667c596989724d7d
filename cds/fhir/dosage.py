"""Dosage instructions -> the regimens a patient is told to follow, or a question.

A question is a ReadError: nothing here guesses a dose, a frequency, or whether two instructions
add up or are alternatives. What the specification lets us infer is written into the regimen's
assumptions, which every card repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from math import lcm
from typing import Final
from zoneinfo import ZoneInfo

from cds.clinical.moment import Moment
from cds.clinical.regimen import PlannedDose, Regimen
from cds.fhir.dose import Dose, DoseContext, read_dose, tablets_dose, volume_dose
from cds.fhir.dose_text import TextDosage, read_text
from cds.fhir.elements import Element, concept, element, elements, flag, number, text
from cds.fhir.problems import ReadError
from cds.fhir.timing import Schedule, read_bounds, read_timing, schedule_of

_WEEK_H: Final = 168.0
_LONGEST_CYCLE_H: Final = 8 * _WEEK_H
_SAME: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Instruction:
    sequence: int | None
    dose: Dose
    schedule: Schedule


def read_dosages(
    dosages: Sequence[Element], context: DoseContext, zone: ZoneInfo, authored: Moment | None
) -> tuple[Regimen, ...]:
    """The consecutive regimens of a list of Dosage elements.

    `authored` is when the order was written: the start if nothing else says when it starts.
    Raises ReadError when a person has to be asked.
    """
    if not dosages:
        raise ReadError("dose-missing", "The order has no dosage.", "dosageInstruction")
    instructions = [_read_instruction(dosage, context, zone) for dosage in dosages]
    start = _start(instructions[0].schedule.starts, authored)
    regimens: list[Regimen] = []
    for step in _steps(instructions):
        if regimens and step[0].schedule.starts is None and start[0] is None:
            raise _open_sequence()
        merged = _concurrent(step)
        regimens.extend(_regimens(merged, start, zone))
        start = (regimens[-1].ends, ())
    return tuple(regimens)


def is_as_needed(dosage: Element) -> bool:
    """Whether a Dosage is to be taken only as needed."""
    return bool(flag(dosage, "asNeededBoolean")) or "asNeededCodeableConcept" in dosage


def _read_instruction(dosage: Element, context: DoseContext, zone: ZoneInfo) -> _Instruction:
    if is_as_needed(dosage):
        message = f"{context.drug.name.capitalize()} is ordered as needed, which is not a regimen."
        raise ReadError("as-needed", message, "dosageInstruction.asNeeded")
    written = [text(dosage, name) for name in ("text", "patientInstruction")]
    said = [read_text(words) for words in written if words]
    timing = element(dosage, "timing")
    schedule = read_timing(timing, zone) if timing is not None else None
    dose = read_dose(dosage, context)
    if dose is None and schedule is None and not said:
        raise _nothing_said(dosage)
    if dose is None or schedule is None:
        dose, schedule = _completed_by_text(dose, schedule, said, context)
        if timing is not None and schedule.starts is None:
            schedule = _bounded_by(schedule, read_bounds(timing, zone))
    else:
        for reading in said:
            _compare(reading, dose, schedule, context)
    food = _food(dosage, said)
    sequence = number(dosage, "sequence")
    if schedule.with_food is None and food is not None:
        schedule = replace(schedule, with_food=food)
    return _Instruction(int(sequence) if sequence is not None else None, dose, schedule)


def _completed_by_text(
    dose: Dose | None, schedule: Schedule | None, said: list[TextDosage], context: DoseContext
) -> tuple[Dose, Schedule]:
    """Fill what the structure lacks from the text, if the text is understood to the last word."""
    reading = next(iter(said), None)
    if reading is None:
        if dose is None:
            raise ReadError("dose-missing", "The order states no dose.", "doseAndRate")
        raise ReadError("timing-missing", "The order does not say how often.", "timing")
    if not reading.understood or len(said) > 1:
        message = "The dosage is written as free text that cannot be read safely."
        raise ReadError("text-unreadable", message, "dosageInstruction.text")
    assumed = "The dosage was read from free text."
    if schedule is None:
        if reading.rate is None:
            message = "The text of the order does not say one frequency."
            raise ReadError("timing-missing", message, "dosageInstruction.text")
        schedule = schedule_of(reading.rate)
        schedule = replace(schedule, assumptions=(*schedule.assumptions, assumed))
    if dose is None:
        dose = _text_dose(reading, context)
        dose = replace(dose, assumptions=tuple(dict.fromkeys((*dose.assumptions, assumed))))
    _compare(reading, dose, schedule, context)
    return dose, schedule


def _text_dose(reading: TextDosage, context: DoseContext) -> Dose:
    """The one dose of a text: in mg, else in tablets or mL of known strength."""
    if len(reading.counts) > 1 or len(reading.amounts_mg) > 1 or len(reading.volumes_ml) > 1:
        message = "The text of the order states several amounts."
        raise ReadError("text-unreadable", message, "dosageInstruction.text")
    if reading.counts:
        # "2 tablets (400 mg)": is it 400 mg in all, or each? Only the product's strength can tell.
        return tablets_dose(reading.counts[0], context)
    if reading.amounts_mg:
        return Dose(reading.amounts_mg[0])
    if reading.volumes_ml:
        return volume_dose(reading.volumes_ml[0], context)
    raise ReadError("dose-missing", "The text of the order states no dose.", "text")


def _compare(reading: TextDosage, dose: Dose, schedule: Schedule, context: DoseContext) -> None:
    """Refuse a structured dosage that its own text contradicts."""
    if reading.changes and not (schedule.day_of_week and reading.changes.endswith(("day", "days"))):
        raise _text_conflict(f"The text adds {reading.changes!r} to the structured dosage.")
    wrong = [rate for rate in reading.rates if not rate.agrees_with(schedule.rate)]
    if wrong and not schedule.day_of_week:
        stated = _per_day(wrong[0].doses, wrong[0].cycle_h)
        ours = _per_day(len(schedule.offsets_h), schedule.cycle_h)
        raise _text_conflict(
            f"The text says {dose.mg * stated:g} mg a day, the structured dosage "
            f"{dose.mg * ours:g} mg a day; which one is taken?"
        )
    daily = dose.mg * _per_day(len(schedule.offsets_h), schedule.cycle_h)
    unit = _known_unit(context)
    for mg in reading.amounts_mg:
        if not any(_near(mg, allowed) for allowed in (dose.mg, daily, unit) if allowed):
            raise _text_conflict(f"The text says {mg:g} mg, the structured dosage {dose.mg:g} mg.")
    if unit and any(not _near(count * unit, dose.mg) for count in reading.counts):
        tablets = " or ".join(f"{count:g}" for count in reading.counts)
        raise _text_conflict(f"The text says {tablets} tablet(s), which is not {dose.mg:g} mg.")


def _known_unit(context: DoseContext) -> float | None:
    try:
        return context.strength().per_unit_mg
    except ReadError:
        return None  # the text cannot be checked against tablets; the dose in mg stands on its own


def _steps(instructions: list[_Instruction]) -> list[list[_Instruction]]:
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


def _unnumbered(instructions: list[_Instruction]) -> list[list[_Instruction]]:
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
    step: list[_Instruction],
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
    return replace(first, cycle_h=cycle_h), doses, tuple(dict.fromkeys(said))


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


def _start(stated: Moment | None, authored: Moment | None) -> tuple[Moment | None, tuple[str, ...]]:
    if stated is not None or authored is None:
        return stated, ()
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


def _bounded_by(schedule: Schedule, bounds: Schedule) -> Schedule:
    return replace(
        schedule,
        count=bounds.count,
        starts=bounds.starts,
        ends=bounds.ends,
        length_h=bounds.length_h,
        assumptions=(*schedule.assumptions, *bounds.assumptions),
    )


def _common_cycle(cycles_h: list[float]) -> float:
    if len(set(cycles_h)) == 1:
        return cycles_h[0]
    if all(cycle.is_integer() for cycle in cycles_h):
        common = lcm(*(int(cycle) for cycle in cycles_h))
        if common <= _LONGEST_CYCLE_H:
            return float(common)
    raise _ambiguous()


def _food(dosage: Element, said: list[TextDosage]) -> bool | None:
    added = [concept(c).text for c in elements(dosage, "additionalInstruction")]
    readings = [read_text(words).with_food for words in added if words]
    readings += [reading.with_food for reading in said]
    return next((food for food in readings if food is not None), None)


def _nothing_said(dosage: Element) -> ReadError:
    if "maxDosePerPeriod" in dosage or "maxDosePerAdministration" in dosage:
        message = "The order states only a maximum dose, not the dose to take."
        return ReadError("dose-ceiling-only", message, "dosageInstruction.maxDosePerPeriod")
    return ReadError("dose-missing", "The order has no dosage.", "dosageInstruction")


def _per_day(doses: int, cycle_h: float) -> float:
    return doses * 24.0 / cycle_h


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * abs(other)


def _ambiguous() -> ReadError:
    message = (
        "The order has several dosages; do they add up, follow each other, or are they a choice?"
    )
    return ReadError("dosage-ambiguous", message, "dosageInstruction")


def _open_sequence() -> ReadError:
    message = "The order has consecutive steps but does not say when one ends."
    return ReadError("dosage-sequence-open", message, "dosageInstruction.sequence")


def _text_conflict(message: str) -> ReadError:
    return ReadError("text-conflict", message, "dosageInstruction.text")
