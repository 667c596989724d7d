"""All levels among one patient's Observations, and those that have no result yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cds.clinical.level import Level, PendingLevel
from cds.clinical.problem import Impact, Problem
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, reference_of
from cds.fhir.findings import MedicationFindings
from cds.fhir.level_tests import looks_like_level, unknown_level
from cds.fhir.levels import read_level
from cds.fhir.observed import Observed
from cds.fhir.panels import Panels
from cds.fhir.pending import pending_level
from cds.fhir.problems import ReadError
from cds.fhir.results import latest_reports

_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)


class Levels(Struct, frozen=True):
    """Levels with a result, and samples without one yet."""

    measured: list[Level]
    pending: list[PendingLevel]


def read_levels(
    observed: Observed, context: ReadContext, found: MedicationFindings, problems: list[Problem]
) -> Levels:
    """Every level of the drug; what is named like one under another code becomes a Problem."""
    read: list[tuple[Level, list[Problem]]] = []
    pending: list[PendingLevel] = []
    panels = Panels(observed.sound)
    for observation, code, is_latest in latest_reports(observed.levels, context.zone, problems):
        try:
            level, said = read_level(
                observation,
                code,
                context,
                is_latest=is_latest,
                taken=found.taken,
                orders=found.orders,
                members=panels.answers_to,
            )
        except ReadError as error:
            problems.append(error.as_problem(reference_of(observation), Impact.PREVENTS))
            continue
        if level is not None:
            read.append((level, said))
            continue
        problems += said
        pending += _pending(observation, context, problems) if is_latest else []
    problems += _level_problems(read)
    problems += filter(None, (_unknown(other, context) for other in observed.others))
    return Levels([level for level, _ in read], pending)


def _unknown(observation: Element, context: ReadContext) -> Problem | None:
    """The problem of a result that is named like a level, or whose name cannot be read."""
    try:
        return unknown_level(observation) if looks_like_level(observation, context) else None
    except ReadError as error:
        return error.as_problem(reference_of(observation))


def _pending(
    observation: Element, context: ReadContext, problems: list[Problem]
) -> list[PendingLevel]:
    try:
        awaited = pending_level(observation, context)
    except ReadError as error:
        problems.append(error.as_problem(reference_of(observation), Impact.NOTICE))
        return []
    return [awaited] if awaited is not None else []


def _level_problems(read: Sequence[tuple[Level, list[Problem]]]) -> list[Problem]:
    """A level that cannot be used prevents advice only while no later one can be used."""
    usable = [_drawn(level) for level, _ in read if level.ng_ml is not None]
    latest = max(usable, default=_LONG_AGO)
    return [
        replace(found, impact=Impact.LIMITS)
        if found.impact is Impact.PREVENTS and level.sampled and level.sampled.at < latest
        else found
        for level, said in read
        for found in said
    ]


def _drawn(level: Level) -> datetime:
    return level.sampled.at if level.sampled is not None else _LONG_AGO
