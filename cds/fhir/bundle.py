"""Bundles, lists and single resources -> the resources of one patient, found by reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cds.clinical.problem import Problem
from cds.fhir.elements import Element, local_reference, word
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


def flatten(resources: Iterable[Any], problems: list[Problem]) -> list[Entry]:
    """Every resource of lists and (nested) Bundles; what is no resource becomes a Problem."""
    found: list[Entry] = []
    for item in resources:
        _add(Entry(item), found, problems, 0)
    return found


def _add(entry: Entry, found: list[Entry], problems: list[Problem], depth: int) -> None:
    item: Any = entry.resource
    if not isinstance(item, dict):
        message = "An entry that is not a FHIR resource was ignored."
        problems.append(problem("resource-unreadable", message))
    elif item.get("resourceType") != "Bundle":
        found.append(entry)
    elif depth >= _DEEPEST:
        message = "A Bundle is nested too deeply and was not read."
        problems.append(problem("resource-unreadable", message))
    else:
        _add_entries(entry, found, problems, depth)


def _add_entries(bundle: Entry, found: list[Entry], problems: list[Problem], depth: int) -> None:
    entries = bundle.resource.get("entry")
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
        aside = isinstance(search, dict) and word(search, "mode") in _ASIDE
        url = word(entry, "fullUrl") or bundle.url
        _add(Entry(resource, bundle.matches and not aside, url), found, problems, depth + 1)


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
