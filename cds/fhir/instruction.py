"""One Dosage -> one dose on one schedule: its structure, completed by or compared with its text."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from cds.fhir.dose import Dose, DoseContext, read_dose, tablets_dose, volume_dose
from cds.fhir.dose_text import TextDosage
from cds.fhir.dose_text_memory import DOSE_TEXTS
from cds.fhir.elements import Element, concept, element, elements, flag, number, text
from cds.fhir.problems import ReadError
from cds.fhir.schedule import Schedule, schedule_of
from cds.fhir.timing import read_bounds, read_timing

_SAME: Final = 0.005
"""Relative; what the text says and what the structure says is then one amount."""


class Instruction(Struct, frozen=True):
    """A dose and when it is taken; `sequence` orders it among others."""

    sequence: int | None
    dose: Dose
    schedule: Schedule


def is_as_needed(dosage: Element) -> bool:
    """Whether a Dosage is to be taken only as needed."""
    return bool(flag(dosage, "asNeededBoolean")) or "asNeededCodeableConcept" in dosage


def read_instruction(dosage: Element, context: DoseContext, zone: ZoneInfo) -> Instruction:
    """The dose and schedule of a Dosage. Raises ReadError when a person has to be asked."""
    if is_as_needed(dosage):
        message = f"{context.drug.name.capitalize()} is ordered as needed, which is not a regimen."
        raise ReadError("as-needed", message, "dosageInstruction.asNeeded")
    written = [text(dosage, name) for name in ("text", "patientInstruction")]
    said = [DOSE_TEXTS.read(words, context.drug) for words in written if words]
    timing = element(dosage, "timing")
    known = context.frequencies
    schedule = read_timing(timing, zone, known) if timing is not None else None
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
    return Instruction(int(sequence) if sequence is not None else None, dose, schedule)


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


def _bounded_by(schedule: Schedule, bounds: Schedule) -> Schedule:
    return replace(
        schedule,
        count=bounds.count,
        starts=bounds.starts,
        ends=bounds.ends,
        length_h=bounds.length_h,
        assumptions=(*schedule.assumptions, *bounds.assumptions),
    )


def _food(dosage: Element, said: list[TextDosage]) -> bool | None:
    added = [concept(c).text for c in elements(dosage, "additionalInstruction")]
    readings = [DOSE_TEXTS.read(words).with_food for words in added if words]
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


def _text_conflict(message: str) -> ReadError:
    return ReadError("text-conflict", message, "dosageInstruction.text")
