"""Observations that belong together: members of a panel, answers on one request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from typing import Final

from cds.fhir.elements import Element, elements, local_reference, reference_of, referred
from cds.fhir.problems import ReadError
from cds.fhir.sampling import MOST_ANSWERS, may_answer

_LINKS: Final = ("hasMember", "derivedFrom", "basedOn")


class Panels:
    """Which Observations bear on which: by membership, derivation or a common request."""

    def __init__(self, observations: Sequence[Element]) -> None:
        self._observations = observations
        self._links: dict[str, set[str]] = {}
        self._linked_by: dict[str, set[str]] = defaultdict(set)
        for observation in observations:
            if not any(name in observation for name in _LINKS):
                continue  # as most
            try:
                self._links[reference_of(observation)] = _links(observation)
            except ReadError:
                continue  # said when the Observation itself is read
        for name, links in self._links.items():
            for link in links:
                self._linked_by[link].add(name)

    def answers_to(self, observation: Element) -> list[Element]:
        """The other Observations that share a link with this one and say when the last dose was,
        as far as anybody would read them."""
        if not self._links:
            return []
        reference = reference_of(observation)
        panels = self._linked_by.get(reference, set())
        near = {reference, *self._links.get(reference, ())}
        requests = {link for link in near if link.startswith("ServiceRequest/")}
        near |= panels
        found = (
            other
            for name, other in self._answers
            if name != reference
            and (
                name in near
                or not panels.isdisjoint(self._linked_by.get(name, ()))
                or not requests.isdisjoint(self._links.get(name, ()))
            )
        )
        return list(islice(found, MOST_ANSWERS + 1))

    @cached_property
    def _answers(self) -> list[tuple[str, Element]]:
        """Those that may tell when the last dose was, of all that link or are linked."""
        linked = self._links.keys() | self._linked_by.keys()
        return [
            (name, observation)
            for observation in self._observations
            if (name := reference_of(observation)) in linked and may_answer(observation)
        ]


def _links(observation: Element) -> set[str]:
    listed = [found for name in _LINKS for found in elements(observation, name)]
    return {local_reference(target) for found in listed if (target := referred(found))}
