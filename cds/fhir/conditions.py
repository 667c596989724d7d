"""Condition, Procedure, AdverseEvent and AllergyIntolerance."""

from __future__ import annotations

from typing import Final

from cds.clinical.medication import Allergy, Condition
from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, concept, display, element, elements, reference_of, text
from cds.fhir.problems import problem
from cds.fhir.products import is_about_drug
from cds.fhir.times import moment, span

_ACTIVE: Final = frozenset({"active", "recurrence", "relapse"})
_REFUTED: Final = frozenset({"refuted", "entered-in-error"})
_DONE: Final = frozenset({"completed", "in-progress"})


def read_condition(resource: Element, context: ReadContext) -> Condition | None:
    """A Condition; None if it was refuted or entered in error."""
    named = element(resource, "code")
    certainty = _certainty(named)
    if _status(resource, "verificationStatus") in _REFUTED or certainty == "A":
        return None
    clinical = _status(resource, "clinicalStatus")
    ended = _time(resource, "abatement", context)
    return Condition(
        context.terminology.conditions_of(concept(named)),
        display(named) or "a condition without a name",
        reference_of(resource),
        active=certainty != "Z" and (clinical in _ACTIVE if clinical else ended is None),
        confirmed=certainty != "V"
        and _status(resource, "verificationStatus") in {None, "confirmed"},
        onset=_time(resource, "onset", context) or moment(resource, "recordedDate", context.zone),
        ended=ended,
        in_remission=clinical == "remission",
    )


def read_procedure(resource: Element, context: ReadContext) -> Condition | None:
    """A Procedure as the condition it leaves behind (no stomach, no thyroid); None if not done."""
    if text(resource, "status") not in _DONE:
        return None
    named = element(resource, "code")
    keys = context.terminology.conditions_of(concept(named))
    if not keys:
        return None
    return Condition(
        keys,
        display(named) or "a procedure without a name",
        reference_of(resource),
        active=True,
        onset=_time(resource, "performed", context),
    )


def read_adverse_event(resource: Element, context: ReadContext) -> Condition:
    """An AdverseEvent; a potential one is not confirmed."""
    named = element(resource, "event")
    resolved = _status(resource, "outcome") in {"resolved", "recovered", "recoveredWithSequelae"}
    return Condition(
        context.terminology.conditions_of(concept(named)),
        display(named) or "an adverse event without a name",
        reference_of(resource),
        active=not resolved,
        confirmed=text(resource, "actuality") == "actual",
        onset=moment(resource, "date", context.zone) or moment(resource, "detected", context.zone),
    )


def read_allergy(resource: Element, context: ReadContext) -> tuple[list[Allergy], list[Problem]]:
    """One Allergy per ingredient; none if refuted or if the rulebook has no key for it."""
    if _status(resource, "verificationStatus") in _REFUTED:
        return [], []
    reference = reference_of(resource)
    named = element(resource, "code")
    substances = [element(r, "substance") for r in elements(resource, "reaction")]
    concepts = [concept(found) for found in (named, *substances) if found is not None]
    if not concepts:
        message = "An allergy entry does not say to what."
        return [], [problem("allergy-unreadable", message, reference, field="code")]
    drug = context.drug
    keys = [key for found in concepts for key in context.terminology.ingredients_of(found)]
    if any(is_about_drug(found, drug) for found in concepts):
        keys.append(drug.name)
    clinical = _status(resource, "clinicalStatus")
    return [
        Allergy(
            key,
            display(named) or key,
            reference,
            active=clinical in {None, "active"},
            is_allergy=text(resource, "type") != "intolerance",
        )
        for key in dict.fromkeys(keys)
    ], []


def _certainty(named: Element | None) -> str | None:
    """The mark of certainty that German records add to an ICD code: excluded, suspected, past."""
    for coding in elements(named or {}, "coding"):
        for extension in elements(coding, "extension"):
            if str(extension.get("url", "")).endswith("icd-10-gm-diagnosesicherheit"):
                return text(element(extension, "valueCoding") or {}, "code")
    return None


def _status(resource: Element, name: str) -> str | None:
    codes = concept(element(resource, name)).codes
    return codes[0].code if codes else None


def _time(resource: Element, stem: str, context: ReadContext) -> Moment | None:
    at = moment(resource, f"{stem}DateTime", context.zone)
    if at is not None:
        return at
    during = span(resource, f"{stem}Period", context.zone)
    return (during.start or during.end) if during is not None else None
