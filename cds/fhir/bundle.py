"""Bundles, lists and single resources -> the resources of one patient, found by reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cds.clinical.problem import Problem
from cds.fhir.elements import Element, local_reference
from cds.fhir.problems import problem

_ASIDE: Final = frozenset({"include", "outcome"})
_DEEPEST: Final = 4  # a Bundle may hold Bundles (a batch of searches), not more than that


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource, whether the search was for it, and the URL its Bundle gives it."""

    resource: Mapping[str, Any]
    matches: bool = True
    """False for what a search included; it then serves references only."""
    url: str | None = None


def flatten(
    resources: Iterable[Any], problems: list[Problem], *, depth: int = 0
) -> Iterator[Entry]:
    """Every resource of lists and (nested) Bundles; what is no resource becomes a Problem."""
    for item in resources:
        if not isinstance(item, dict):
            message = "An entry that is not a FHIR resource was ignored."
            problems.append(problem("resource-unreadable", message))
        elif item.get("resourceType") != "Bundle":
            yield Entry(item)
        elif depth >= _DEEPEST:
            message = "A Bundle is nested too deeply and was not read."
            problems.append(problem("resource-unreadable", message))
        else:
            yield from _entries(item, problems, depth)


def _entries(bundle: Mapping[str, Any], problems: list[Problem], depth: int) -> Iterator[Entry]:
    entries = bundle.get("entry")
    if entries is None:
        return
    if not isinstance(entries, list):
        problems.append(problem("resource-unreadable", "The entries of a Bundle are not a list."))
        return
    for entry in entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if resource is None:
            continue  # a link or a deletion: there is no resource to read
        search = entry.get("search")
        mode = search.get("mode") if isinstance(search, dict) else None
        url = entry.get("fullUrl")
        for found in flatten([resource], problems, depth=depth + 1):
            matches = found.matches and mode not in _ASIDE
            yield Entry(
                found.resource, matches, found.url or (url if isinstance(url, str) else None)
            )


class Index:
    """Resources by literal reference: `Type/id`, absolute URL, urn:uuid or contained `#id`."""

    def __init__(self) -> None:
        self._found: dict[str, Element] = {}

    def add(self, resource: Element, url: str | None = None) -> None:
        """Make a resource findable."""
        identity = resource.get("id")
        if isinstance(identity, str):
            self._found[f"{resource.get('resourceType')}/{identity}"] = resource
        if url is not None:
            self._found[url] = resource

    def resolve(self, target: str, container: Element) -> Element | None:
        """The resource a reference in `container` points to, or None if it was not sent."""
        if target.startswith("#"):
            contained = container.get("contained")
            listed = contained if isinstance(contained, list) else []
            return next(
                (c for c in listed if isinstance(c, dict) and c.get("id") == target[1:]), None
            )
        return self._found.get(target) or self._found.get(local_reference(target))
