"""Observations that belong together: components, members of a panel, answers on one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cds.fhir.context import ReadContext
from cds.fhir.elements import (
    Element,
    codes_of,
    element,
    elements,
    local_reference,
    reference_of,
    referred,
)
from cds.fhir.problems import ReadError

_OF_THE_WHOLE = ("code", "component", "hasMember", "dataAbsentReason", "referenceRange")


def with_level_components(observation: Element, context: ReadContext) -> Iterator[Element]:
    """The Observation, and each component that is a level as an Observation of its own."""
    yield observation
    try:
        parts = elements(observation, "component")
        coded = [p for p in parts if _is_level(p, context)]
    except ReadError:
        return  # said when the Observation itself is read
    if not coded:
        return
    shared = {
        name: value
        for name, value in observation.items()
        if name not in _OF_THE_WHOLE and not name.startswith("value")
    }
    for part in coded:
        others = [other for other in parts if other is not part]
        yield {**shared, "component": others, **part}


class Panels:
    """Which Observations bear on which: by membership, derivation or a common request."""

    def __init__(self, observations: Sequence[Element]) -> None:
        self._links: dict[str, set[str]] = {}
        self._all = list(observations)
        for observation in observations:
            try:
                self._links[reference_of(observation)] = _links(observation)
            except ReadError:
                continue  # said when the Observation itself is read

    def related(self, observation: Element) -> list[Element]:
        """The other Observations that share a link with this one."""
        reference = reference_of(observation)
        ours = {reference, *self._links.get(reference, ())}
        panels = {name for name, links in self._links.items() if reference in links}
        near = ours | panels | {link for name in panels for link in self._links[name]}
        requests = {link for link in ours if link.startswith("ServiceRequest/")}
        return [
            other
            for other in self._all
            if (name := reference_of(other)) != reference
            and (name in near or requests & self._links.get(name, set()))
        ]


def _links(observation: Element) -> set[str]:
    listed = [
        *elements(observation, "hasMember"),
        *elements(observation, "derivedFrom"),
        *elements(observation, "basedOn"),
    ]
    return {local_reference(target) for found in listed if (target := referred(found))}


def _is_level(part: Element, context: ReadContext) -> bool:
    return any(code in context.drug.level_codes for code in codes_of(element(part, "code")))
