"""Observations that belong together: members of a panel, answers on one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cds.fhir.elements import Element, elements, local_reference, reference_of, referred
from cds.fhir.problems import ReadError

_LINKS: Final = ("hasMember", "derivedFrom", "basedOn")


class Panels:
    """Which Observations bear on which: by membership, derivation or a common request."""

    def __init__(self, observations: Sequence[Element]) -> None:
        self._all = observations
        self._links: dict[str, set[str]] = {}
        for observation in observations:
            if not any(name in observation for name in _LINKS):
                continue  # as most
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
        near |= {name for name, links in self._links.items() if requests & links}
        near.discard(reference)
        if not near:
            return []
        return [other for other in self._all if reference_of(other) in near]


def _links(observation: Element) -> set[str]:
    listed = [found for name in _LINKS for found in elements(observation, name)]
    return {local_reference(target) for found in listed if (target := referred(found))}
