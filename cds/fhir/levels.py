"""Observation of a drug concentration -> Level, in ng/mL, or the reason why it cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from cds.clinical.level import Level, NoNumber, ResultStatus
from cds.clinical.problem import Problem
from cds.clinical.regimen import DrugOrder, TakenDose
from cds.clinical.terminology import LevelCode
from cds.clinical.units import convert
from cds.fhir.context import CLOCKS_DIFFER, ReadContext
from cds.fhir.drawn import sampled_when, specimen
from cds.fhir.elements import (
    Element,
    concept,
    element,
    notes,
    number,
    reference_of,
    text,
)
from cds.fhir.level_tests import codings_of, of_something_else
from cds.fhir.missed import says_doses_missed
from cds.fhir.no_dates import without_dates_before_drug
from cds.fhir.pending import is_awaited
from cds.fhir.problems import ReadError, problem
from cds.fhir.results import Measured, counting_status, measured
from cds.fhir.sampling import timing_claims
from cds.fhir.times import moment

# The units in which laboratories report; another unit is a question even where it would convert,
# because nobody reports a level in it and a slip is likelier.
_LEVEL_UNITS: Final = frozenset({"ng/mL", "ug/L", "mg/L", "ug/mL", "umol/L", "nmol/L"})
_UNUSED: Final = frozenset({"cancelled", "entered-in-error"})


def read_level(
    observation: Element,
    code: LevelCode,
    context: ReadContext,
    *,
    is_latest: bool,
    taken: Sequence[TakenDose],
    orders: Sequence[DrugOrder],
    members: Callable[[Element], Sequence[Element]],
) -> tuple[Level | None, list[Problem]]:
    """One concentration with everything known about its timing; None if it does not count.

    Raises ReadError only for malformed elements.
    """
    reference = reference_of(observation)
    status = counting_status(observation)
    if status is None or not is_latest:
        return None, [_why_not(observation, reference, is_latest)]
    other = of_something_else(observation, context, reference)
    if other is not None:
        return None, [other]
    value = _value(observation)
    if value is None and is_awaited(observation):
        return None, [_awaited(reference)]
    if value is None:
        message = "The level has no value."
        absent = concept(element(observation, "dataAbsentReason")).text
        message += f" Reason given: {absent[:80]}." if absent else ""
        return None, [problem("level-no-value", message, reference)]
    shown_value, shown_unit, stated, questions = value
    observation, problems = without_dates_before_drug(observation, context.drug)
    problems += (question.as_problem(reference) for question in questions)
    ng_ml: float | None = None
    no_number: NoNumber | None = _why_no_number(questions)
    if stated is not None:
        ng_ml, no_number, said = _in_ng_ml(stated, context, reference)
        problems += said
    sampled, time_problems = sampled_when(observation, context, reference)
    claims, claim_problems = timing_claims(
        observation,
        sampled,
        taken,
        orders,
        members(observation),
        code.hours_post_dose,
        context.zone,
    )
    problems += time_problems + claim_problems + _remarks(observation, status, context, reference)
    return (
        Level(
            reference,
            status,
            shown_value,
            shown_unit,
            ng_ml,
            sampled,
            stated.comparator if stated is not None else None,
            claims,
            specimen(observation, context),
            moment(observation, "issued", context.zone),
            text(element(observation, "meta") or {}, "versionId"),
            no_number,
            sampled is not None and sampled.at > context.now + CLOCKS_DIFFER,
            says_doses_missed(notes(observation)),
        ),
        problems,
    )


_Value = tuple[str, str | None, Measured | None, list[ReadError]]


def _value(observation: Element) -> _Value | None:
    quantity = element(observation, "valueQuantity")
    if quantity is not None:
        shown = f"{quantity.get('comparator', '')}{quantity.get('value', '')}"
        unit = text(quantity, "unit") or text(quantity, "code")
        if quantity.get("value") is None:
            return None
        if isinstance(quantity["value"], str):
            return _as_text(f"{shown} {unit or ''}".strip())
        try:
            return shown, unit, measured(quantity), []
        except ReadError as error:
            return shown, unit, None, [error]
    written = text(observation, "valueString")
    written = written or concept(element(observation, "valueCodeableConcept")).text
    if written:
        return _as_text(written)
    whole = number(observation, "valueInteger")
    if whole is not None:
        message = f"The level {whole} has no unit."
        return str(whole), None, None, [ReadError("level-unit-unreadable", message, "value")]
    ends = element(observation, "valueRange")
    if ends is not None:
        return _as_text(" to ".join(_end(ends, name) for name in ("low", "high")))
    if any(name.startswith("value") for name in observation):
        message = "The level is not a number with a unit."
        return "?", None, None, [ReadError("level-value-text", message, "value")]
    return None


def _end(ends: Element, name: str) -> str:
    quantity = element(ends, name) or {}
    return f"{quantity.get('value', '?')} {text(quantity, 'unit') or ''}".strip()


def _as_text(written: str) -> _Value:
    message = f"The level is written as text ({written[:40]!r}); please confirm the value."
    return written[:80], None, None, [ReadError("level-value-text", message, "value")]


def _why_no_number(questions: Sequence[ReadError]) -> NoNumber:
    as_text = any(question.code == "level-value-text" for question in questions)
    return NoNumber.TEXT if as_text else NoNumber.UNIT


def _in_ng_ml(
    stated: Measured, context: ReadContext, reference: str
) -> tuple[float | None, NoNumber | None, list[Problem]]:
    shown = f"{stated.value} {stated.shown_unit or ''}".strip()
    if stated.unit not in _LEVEL_UNITS:
        accepted = ", ".join(sorted(_LEVEL_UNITS))
        message = f"The level {shown} has no unit this service reads ({accepted})."
        said = problem("level-unit-unreadable", message, reference, field="valueQuantity")
        return None, NoNumber.UNIT, [said]
    if stated.value < Decimal(0):
        message = f"A level of {shown} cannot be true: no concentration is negative."
        said = problem("level-value-implausible", message, reference)
        return None, NoNumber.NEGATIVE, [said]
    if stated.value == Decimal(0):
        message = (
            f"A level of {shown} cannot be used as a number: it usually stands for one below the "
            "limit of quantification, which is not stated."
        )
        said = problem("level-value-implausible", message, reference)
        return None, NoNumber.ZERO, [said]
    return convert(stated.value, stated.unit, "ng/mL", context.drug.molar_mass), None, []


def _why_not(observation: Element, reference: str, is_latest: bool) -> Problem:
    status = text(observation, "status")
    if status in _UNUSED:
        message = f"A level with status {status} is ignored."
        return problem("level-withdrawn", message, reference, field="status")
    if status == "registered":
        return _awaited(reference)
    if not is_latest:
        message = "A later report of the same result replaces this level."
        return problem("level-superseded", message, reference)
    message = f"A level with status {status} does not count."
    return problem("level-status-unusable", message, reference, field="status")


def _awaited(reference: str) -> Problem:
    return problem("level-pending", "A level is registered but has no result yet.", reference)


def _remarks(
    observation: Element, status: ResultStatus, context: ReadContext, reference: str
) -> list[Problem]:
    found: list[Problem] = []
    if status is ResultStatus.PRELIMINARY:
        message = "The level is preliminary and may still change."
        found.append(problem("level-preliminary", message, reference, field="status"))
    displays = [text(coding, "display") for coding in codings_of(observation)]
    salts = context.drug.salt_names
    if any(salt in shown.lower() for shown in displays if shown for salt in salts):
        message = (
            f"The test is named after the salt; the value was read as {context.drug.name} base."
        )
        found.append(problem("level-salt-named", message, reference, field="code"))
    return found
