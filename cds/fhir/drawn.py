"""When the sample of a level was drawn, and what it is."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, concept, element, referred, text
from cds.fhir.problems import problem
from cds.fhir.times import Span, moment, span

_SPECIMENS: Final = MappingProxyType(
    {
        "119361006": "plasma",  # SNOMED CT
        "119364003": "serum",
        "119297000": "blood",
        "258580003": "whole-blood",
        "440500007": "dried-blood",
        "122575003": "other",  # urine
        "258450006": "other",  # cerebrospinal fluid
        "119342007": "other",  # saliva
        "119359002": "other",  # bone marrow
        "PLAS": "plasma",  # HL7 v2 table 0487
        "SER": "serum",
        "BLD": "blood",
        "CSF": "other",
        "SAL": "other",
    }
)
_WORDS: Final = (
    (
        "dried-blood",
        r"dried (?:whole |capillary )?blood|blood spots?|dbs|vams|microsampling|trockenblut\w*"
        r"|filterkarte|sang séché|buvard|sangre seca|bloedspot",
    ),
    ("whole-blood", r"whole[- ]blood|vollblut|sang total|sangre (?:total|entera)|volbloed"),
    (
        "other",
        r"urine?|urinary|\w*harn|orina|urina|saliva|speichel|salive|speeksel|sputum|cerebro-?spinal|csf|liquor"
        r"|lcr|ascites|dialysate|tissue|gewebe|bone marrow|knochenmark|beenmerg|moelle osseuse"
        r"|médula ósea|midollo osseo",
    ),
    ("plasma", r"plasma"),
    ("serum", r"serum"),
    ("blood", r"blood"),
)
_SPOKEN: Final = tuple((name, re.compile(rf"\b(?:{words})\b")) for name, words in _WORDS)
_NOT_PLASMA: Final = frozenset({"dried-blood", "whole-blood", "other"})
_SAME_TIME_H: Final = 1 / 60
_DRAW_H: Final = 15 / 60
"""Systems write a draw as a period of minutes; a longer one is an interval of sampling."""


def sampled_when(
    observation: Element, context: ReadContext, reference: str
) -> tuple[Moment | None, list[Problem]]:
    """When the sample was drawn: the Observation's time, else the specimen's; never `issued`."""
    zone = context.zone
    at = moment(observation, "effectiveDateTime", zone)
    at = at or moment(observation, "effectiveInstant", zone)
    if at is None:
        during = span(observation, "effectivePeriod", zone)
        if during is not None and _is_one_draw(during):
            at = during.start
        elif during is not None:
            message = "The level was sampled over a period, not at one time; when was it drawn?"
            return None, [problem("level-sampling-interval", message, reference)]
    collected = _collected(observation, context)
    if at is None:
        at = collected
    elif collected is not None and collected.has_clock_time:
        if not at.has_clock_time:
            at = collected
        elif abs(at.hours_until(collected)) > _SAME_TIME_H:
            message = (
                f"The sample was drawn {_shown(collected, context)} by the specimen and "
                f"{_shown(at, context)} by the result; the result's time was used."
            )
            return at, [problem("sampling-times-disagree", message, reference)]
    if at is None:
        message = "The record does not say when the sample was drawn."
        return None, [problem("level-time-unknown", message, reference)]
    if at.has_clock_time and at.zone_assumed:
        message = "The sampling time has no time zone; it was read as local time of this site."
        return at, [problem("level-zone-assumed", message, reference, field="effective")]
    if not at.has_clock_time:
        message = "The level has a date but no clock time, so its time after the dose is unknown."
        return at, [problem("level-clock-time-unknown", message, reference, field="effective")]
    return at, []


def _is_one_draw(during: Span) -> bool:
    """Whether a period is no longer than drawing a sample takes."""
    if during.start is None or during.end is None or not during.start.has_clock_time:
        return False
    return during.start.hours_until(during.end) <= _DRAW_H


def _collected(observation: Element, context: ReadContext) -> Moment | None:
    found = _resolved_specimen(observation, context)
    collection = element(found, "collection") if found is not None else None
    if collection is None:
        return None
    at = moment(collection, "collectedDateTime", context.zone)
    if at is not None:
        return at
    during = span(collection, "collectedPeriod", context.zone)
    return during.start if during is not None else None


def specimen(observation: Element, context: ReadContext) -> str | None:
    """What was measured: `plasma`, `serum`, `blood`, `whole-blood`, `dried-blood` or `other`.

    By the code or the words of the specimen, and by those of test, method and body site where they
    name something else than plasma. None if not stated.
    """
    found = _resolved_specimen(observation, context)
    kind = concept(element(found, "type")) if found is not None else concept(None)
    shown = text(element(observation, "specimen") or {}, "display") or ""
    coded = next((_SPECIMENS[c.code] for c in kind.codes if c.code in _SPECIMENS), None)
    stated = _spoken(f"{kind.text or ''} {shown}")
    site = element(element(found or {}, "collection") or {}, "bodySite")
    named = [element(observation, name) for name in ("code", "method", "bodySite")]
    tested = [concept(one).text or "" for one in (*named, site)]
    by_test = _spoken(" ".join(tested))
    return next((what for what in (stated, by_test) if what in _NOT_PLASMA), coded or stated)


def _spoken(words: str) -> str | None:
    lowered = words.strip().lower()
    if not lowered:
        return None
    return next((name for name, said in _SPOKEN if said.search(lowered)), None)


def _resolved_specimen(observation: Element, context: ReadContext) -> Element | None:
    target = referred(element(observation, "specimen"))
    found = context.resolve(target, observation) if target else None
    return found if found is not None and found.get("resourceType") == "Specimen" else None


def _shown(at: Moment, context: ReadContext) -> str:
    return at.at.astimezone(context.zone).strftime("%Y-%m-%d %H:%M")
