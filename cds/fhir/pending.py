"""Levels that were ordered or drawn and have no result yet."""

from __future__ import annotations

from typing import Final

from cds.clinical.level import PendingLevel
from cds.clinical.moment import Moment
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, codes_of, element, flag, reference_of, text
from cds.fhir.level_tests import level_code, looks_like_level, of_something_else
from cds.fhir.times import moment, span
from cds.fhir.vocabulary import AUTHORISED_INTENTS

_ABSENT_FOR_NOW: Final = frozenset({"temp-unknown"})
"""Why a result is absent although the laboratory has the sample (HL7 data-absent-reason)."""


def pending_level(observation: Element, context: ReadContext) -> PendingLevel | None:
    """The level that a result without a value announces; None if it announces none.

    Raises ReadError for malformed elements.
    """
    reference = reference_of(observation)
    if not is_awaited(observation) or of_something_else(observation, context, reference):
        return None
    return PendingLevel(reference, _announced(observation, context))


def is_awaited(observation: Element) -> bool:
    """Whether the laboratory has registered the test, or is at it and has given no value yet."""
    status = text(observation, "status")
    if status == "registered":
        return True
    if status != "preliminary" or any(name.startswith("value") for name in observation):
        return False
    absent = {code.code for code in codes_of(element(observation, "dataAbsentReason"))}
    return absent <= _ABSENT_FOR_NOW and ("dataAbsentReason" not in observation or bool(absent))


def requested_level(
    request: Element, context: ReadContext, *, is_draft: bool
) -> PendingLevel | None:
    """The level that a ServiceRequest orders; None if it orders none, or nothing any more.

    Raises ReadError for malformed elements.
    """
    wanted = "draft" if is_draft else "active"
    ordered = text(request, "intent") in AUTHORISED_INTENTS or is_draft
    if text(request, "status") != wanted or not ordered or flag(request, "doNotPerform"):
        return None
    if level_code(request, context) is None and not looks_like_level(request, context):
        return None
    reference = reference_of(request)
    if of_something_else(request, context, reference):
        return None
    return PendingLevel(reference, _planned(request, context))


def _announced(observation: Element, context: ReadContext) -> Moment | None:
    zone = context.zone
    drawn = moment(observation, "effectiveDateTime", zone)
    drawn = drawn or moment(observation, "effectiveInstant", zone)
    during = span(observation, "effectivePeriod", zone)
    drawn = drawn or (during.start if during is not None else None)
    return drawn or moment(observation, "issued", zone)


def _planned(request: Element, context: ReadContext) -> Moment | None:
    """When the sample is to be drawn, else when it was ordered."""
    zone = context.zone
    planned = moment(request, "occurrenceDateTime", zone)
    during = span(request, "occurrencePeriod", zone)
    planned = planned or (during.start if during is not None else None)
    return planned or moment(request, "authoredOn", zone)
