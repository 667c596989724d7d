"""Observation -> Lab: results and body measurements in the canonical unit of their key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cds.clinical.labs import Lab
from cds.clinical.level import ResultStatus
from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.clinical.terminology import LabDefinition, Terminology
from cds.clinical.units import UnitError, convert
from cds.fhir.context import CLOCKS_DIFFER, ReadContext
from cds.fhir.elements import (
    Element,
    concept,
    element,
    flag,
    number,
    reference_of,
    text,
)
from cds.fhir.lab_text import Written, read_answer, read_written
from cds.fhir.observed import Known
from cds.fhir.problems import ReadError, problem
from cds.fhir.results import GIGA, Measured, counting_status, measured, sampled_at, upper_limit


def read_labs(
    observation: Element, known: Sequence[Known], context: ReadContext
) -> tuple[list[Lab], list[Problem]]:
    """The results of one Observation, of its parts that are `known` to the rulebook.

    Raises ReadError only for malformed elements.
    """
    reference = reference_of(observation)
    status = counting_status(observation)
    if status is None:
        stated = text(observation, "status")
        message = f"A result ({_name(known[0][1])}) with status {stated} does not count."
        return [], [problem("lab-status-unusable", message, reference, field="status")]
    labs: list[Lab] = []
    problems: list[Problem] = []
    at = sampled_at(observation, context.zone)
    for part, definition in known:
        if not _has_value(part):
            continue  # a panel or a result with a reason for its absence: nothing was measured
        if at is None:
            message = f"A result ({_name(definition)}) does not say when it was taken."
            problems.append(problem("lab-time-unknown", message, reference))
            continue
        if at.at > context.now + CLOCKS_DIFFER:
            written = at.at.astimezone(context.zone).date()
            message = f"{_name(definition)} is dated {written}, in the future; it was not used."
            problems.append(problem("lab-time-future", message, reference))
            continue
        try:
            labs.append(_lab(part, definition, at, status, reference))
        except ReadError as error:
            message = f"{_name(definition)}: {error.message}"
            problems.append(problem(_kind_of(error), message, reference, field=error.field))
    return labs, problems


Place = tuple[datetime, str, bool, float, str]


def place_of(lab: Lab, terminology: Terminology) -> Place:
    """Where a result stands among others: by time, and of one time the one that counts last.

    A final result counts before a preliminary one, and of two final ones the graver.
    """
    definition = terminology.labs_by_key.get(lab.key)
    gravity = (lab.value or 0.0) * (definition.graver if definition else 0)
    final = lab.status is not ResultStatus.PRELIMINARY
    return lab.at.at, lab.key, final, gravity, lab.reference


def _kind_of(error: ReadError) -> str:
    if error.code == "lab-value-implausible":
        return error.code
    return "lab-unit-unreadable" if "unit" in error.code else "lab-value-unreadable"


def _name(definition: LabDefinition) -> str:
    return definition.name or definition.key


def _has_value(part: Element) -> bool:
    return "valueQuantity" in part or any(name.startswith("value") for name in part)


def _lab(
    part: Element, definition: LabDefinition, at: Moment, status: ResultStatus, reference: str
) -> Lab:
    quantity = element(part, "valueQuantity")
    if quantity is not None:
        return _measured_lab(part, quantity, definition, at, status, reference)
    coded = _coded_value(part, definition)
    if coded is not None:
        return Lab(definition.key, definition.unit, None, at, reference, status, coded=coded)
    written = _as_written(part, definition) if definition.as_text else None
    if written is not None:
        return Lab(
            definition.key,
            definition.unit,
            written.value,
            at,
            reference,
            status,
            written.comparator,
            written.coded,
        )
    whole = number(part, "valueInteger")
    if whole is not None and definition.unit == "1":
        return Lab(definition.key, definition.unit, float(whole), at, reference, status)
    message = "the value is not a number with a unit nor a known code."
    raise ReadError("lab-value-unreadable", message, "value")


def _measured_lab(
    part: Element,
    quantity: Element,
    definition: LabDefinition,
    at: Moment,
    status: ResultStatus,
    reference: str,
) -> Lab:
    stated = measured(quantity)
    unit = stated.unit
    if unit is None and not stated.shown_unit and definition.unit == "1":
        unit = "1"  # a score or ratio has no unit to state
    if stated.shown_unit in GIGA and definition.unit == "10*9/L":
        unit = definition.unit
    if unit is None:
        message = f"{stated.value} {stated.shown_unit or ''} has no unit this service reads."
        raise ReadError("lab-unit-unreadable", message, "valueQuantity")
    value = _in_own_unit(stated, unit, definition)
    if value is None:
        try:
            value = convert(stated.value, unit, definition.unit, definition.molar_mass)
        except UnitError as error:
            raise ReadError("lab-unit-unreadable", f"{error}.", "valueQuantity") from error
    low, high = definition.plausible or (value, value)
    if not low <= value <= high:
        message = f"{stated.value} {stated.shown_unit or ''} cannot be true; it was not used."
        raise ReadError("lab-value-implausible", message, "valueQuantity")
    try:
        limit = upper_limit(part, definition.unit, definition.molar_mass)
    except ReadError:
        limit = None  # an unreadable range leaves the result; multiples of normal stay unknown
    return Lab(
        definition.key,
        definition.unit,
        value,
        at,
        reference,
        status,
        stated.comparator,
        None,
        limit,
    )


def _in_own_unit(stated: Measured, unit: str, definition: LabDefinition) -> float | None:
    """The value in the unit of the key, where a unit means something for this result alone."""
    own = definition.also.get(unit)
    if own is None:
        return None
    if stated.value < own.least:
        message = f"{stated.value} {stated.shown_unit} is too small for what {unit} usually means."
        raise ReadError("lab-unit-unreadable", message, "valueQuantity")
    return float(stated.value) * own.is_


def _coded_value(part: Element, definition: LabDefinition) -> str | None:
    """The key of a coded result: by code, else by the exact words that mean one."""
    found = element(part, "valueCodeableConcept")
    for code in concept(found).codes:
        if code in definition.coded_values:
            return definition.coded_values[code]
    answer = flag(part, "valueBoolean")
    words = [" ".join(word.lower().split()) for word in _words(part, found)]
    if answer is not None:
        words.append("positive" if answer else "negative")
    means = definition.said or {key: key for key in definition.coded_values.values()}
    return next((said for word in words if (said := read_answer(word, means))), None)


def _as_written(part: Element, definition: LabDefinition) -> Written | None:
    words = _words(part, element(part, "valueCodeableConcept"))
    return next((said for word in words if (said := read_written(word, definition))), None)


def _words(part: Element, found: Element | None) -> Iterator[str]:
    written = text(part, "valueString")
    if written:
        yield written
    if found is not None:
        yield from (concept(found).text or "").split(" | ")
