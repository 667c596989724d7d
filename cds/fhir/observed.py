"""Observations by their codes: results the rulebook knows, levels of the drug, the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from msgspec import Struct, field

from cds.clinical.problem import Problem
from cds.clinical.terminology import LabDefinition, LevelCode
from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, codes_of, element, elements, reference_of
from cds.fhir.problems import ReadError
from cds.fhir.sampling import MOST_ANSWERS, may_answer

Known = tuple[Element, LabDefinition]
"""An Observation or one of its components, and the result it is."""
_OF_THE_WHOLE: Final = ("code", "component", "hasMember", "dataAbsentReason", "referenceRange")


class Observed(Struct):
    """The Observations of one patient, each code looked up once. What is both stands in both."""

    results: list[tuple[Element, list[Known]]] = field(default_factory=list)
    """Observations of which the rulebook knows a part, with the known parts."""
    levels: list[tuple[Element, LevelCode]] = field(default_factory=list)
    """Levels of the drug; a component that is a level as an Observation of its own."""
    others: list[Element] = field(default_factory=list)
    """Neither by their codes; their words may still name a level or a gene."""
    sound: list[Element] = field(default_factory=list)
    """All whose codes could be read."""


def by_code(
    observations: Sequence[Element], context: ReadContext, problems: list[Problem]
) -> Observed:
    """Sort Observations by their codes; a malformed one becomes a Problem."""
    found = Observed()
    for observation in observations:
        try:
            _sort(observation, context, found)
        except ReadError as error:
            problems.append(error.as_problem(reference_of(observation)))
    return found


def _sort(observation: Element, context: ReadContext, found: Observed) -> None:
    components = elements(observation, "component")
    known: list[Known] = []
    levels: list[tuple[Element, LevelCode]] = []
    for part in (observation, *components):
        codes = codes_of(element(part, "code"))
        lab, level = context.terminology.lab_of(codes), context.drug.level_of(codes)
        if lab is not None:
            known.append((part, lab))
        if level is not None:
            levels.append((part, level))
    found.sound.append(observation)
    if known:
        found.results.append((observation, known))
    # Each level would look through all of them, and one too many is enough to be refused.
    answers = list(islice(filter(may_answer, components), MOST_ANSWERS + 1)) if levels else []
    for part, level in levels:
        whole = part is observation
        found.levels.append((part if whole else _alone(part, observation, answers), level))
    if not known and not any(part is observation for part, _ in levels):
        found.others.append(observation)


def _alone(part: Element, observation: Element, answers: Sequence[Element]) -> Element:
    """A component as an Observation of its own, beside the others that tell the last dose."""
    shared = {
        name: value
        for name, value in observation.items()
        if name not in _OF_THE_WHOLE and not name.startswith("value")
    }
    return {**shared, "component": [other for other in answers if other is not part], **part}
