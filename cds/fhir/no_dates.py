"""Dates that cannot be what they say are taken out of a resource, and said.

Systems write the first day their clock knows where nobody entered a date, and a drug was not taken
before it was first given to anyone. Without such a date the rest of the resource is as good as it
was: its reader finds no date there and says what follows from that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cds.clinical.problem import Impact, Problem
from cds.clinical.terminology import Drug
from cds.fhir.elements import Element, reference_of
from cds.fhir.mentions import mentions
from cds.fhir.problems import problem
from cds.fhir.times import LAST_YEAR_OF_PLACEHOLDERS

_EPOCH: Final = ("1970-01-01", "1969-12-31")
"""The first day of Unix time, and the same moment west of Greenwich."""

# Elements with a date, and elements in which such elements stand. A birth date may be 1970-01-01.
_DATES: Final = frozenset(
    {
        *("authoredOn", "dateAsserted", "recordedDate", "issued", "date", "detected"),
        *("effectiveDateTime", "effectiveInstant", "onsetDateTime", "abatementDateTime"),
        *("performedDateTime", "whenPrepared", "whenHandedOver", "collectedDateTime"),
        *("valueDateTime", "start", "end"),
    }
)
_HOLDERS: Final = frozenset(
    {
        *("effectivePeriod", "onsetPeriod", "abatementPeriod", "performedPeriod"),
        *("collection", "collectedPeriod", "dosageInstruction", "dosage", "timing", "repeat"),
        *("boundsPeriod", "dispenseRequest", "validityPeriod", "component", "extension"),
    }
)
_EVENTS: Final = "event"
"""The list of times of a Timing; elsewhere it is a concept."""
_LOOKED_AT: Final = _DATES | _HOLDERS | {_EVENTS}


def has_placeholder(resource: Element) -> bool:
    """Whether a date of the resource was not entered by anybody."""
    return any(map(_is_placeholder, _dates(resource, [])))


def without_placeholders(resource: Element, drug: Drug) -> tuple[Element, list[Problem]]:
    """The resource without dates that nobody entered, and what to say of each.

    It limits advice where the resource is about the drug; what another one lacks without its date
    is said by its reader.
    """
    kept, found = _without(resource, _is_placeholder)
    if not found:
        return resource, []
    impact = Impact.LIMITS if mentions([resource], drug) else Impact.NOTICE
    return kept, [
        problem(
            "date-not-entered",
            f"{written} stands for a date that was not entered; it was read as no date.",
            reference_of(resource),
            field=field,
            impact=impact,
        )
        for field, written in found
    ]


def without_dates_before_drug(resource: Element, drug: Drug) -> tuple[Element, list[Problem]]:
    """An order, intake or level of the drug without dates before anybody was given the drug."""
    if drug.first_given_year is None:
        return resource, []
    first = str(drug.first_given_year)
    kept, found = _without(resource, first.__gt__)  # as text: what begins with the year is later
    return kept, [
        problem(
            "date-before-drug",
            f"{written} cannot be true: {drug.name} was first given to people in {first}; "
            "it was read as no date.",
            reference_of(resource),
            field=field,
        )
        for field, written in found
    ]


def _is_placeholder(written: str) -> bool:
    year = written[:4]
    return (year.isdecimal() and int(year) <= LAST_YEAR_OF_PLACEHOLDERS) or written.startswith(
        _EPOCH
    )


def _without(
    resource: Element, is_none: Callable[[str], bool]
) -> tuple[Element, list[tuple[str, str]]]:
    """The resource without the dates that are none, and each of these with its path."""
    if not any(map(is_none, _dates(resource, []))):  # as nearly always: nothing to copy
        return resource, []
    found: list[tuple[str, str]] = []
    return _kept(resource, is_none, "", found), found


def _dates(parent: Element, found: list[str]) -> list[str]:
    """Every date that `_kept` looks at, added to those `found`, in no order."""
    for name in _LOOKED_AT.intersection(parent):
        item = parent[name]
        if name in _DATES:
            if isinstance(item, str):
                found.append(item)
        elif name in _HOLDERS:
            for one in item if isinstance(item, list) else (item,):
                if isinstance(one, dict):
                    _dates(one, found)
        elif isinstance(item, list):
            found += [one for one in item if isinstance(one, str)]
    return found


def _kept(
    parent: Element, is_none: Callable[[str], bool], before: str, found: list[tuple[str, str]]
) -> dict[str, Any]:
    kept = dict(parent)
    for name, item in parent.items():
        if name in _DATES:
            if isinstance(item, str) and is_none(item):
                found.append((before + name, item[:30]))
                del kept[name]
        elif name in _HOLDERS:
            inside = f"{before}{name}."
            if isinstance(item, dict):
                kept[name] = _kept(item, is_none, inside, found)
            elif isinstance(item, list):
                kept[name] = [
                    _kept(one, is_none, inside, found) if isinstance(one, dict) else one
                    for one in item
                ]
        elif name == _EVENTS and isinstance(item, list):
            none = [one for one in item if isinstance(one, str) and is_none(one)]
            found += ((before + name, one[:30]) for one in none)
            kept[name] = [one for one in item if one not in none]
    return kept
