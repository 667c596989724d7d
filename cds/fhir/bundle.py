"""Bundles, lists and single resources -> the resources of one patient, found by reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from cds.clinical.problem import Problem
from cds.fhir.elements import Element, local_reference, word
from cds.fhir.problems import problem

_ASIDE: Final = frozenset({"include", "outcome"})
_DEEPEST: Final = 4  # a Bundle may hold Bundles (a batch of searches), not more than that


class Entry(NamedTuple):
    """A resource as it was sent, before anything is known of it.

    A tuple, because one is made of every resource of a record.
    """

    resource: Element
    kind: str
    """Its resourceType, "" if that is no text."""
    identity: str
    """Its id, "" if it has none."""
    is_draft: bool
    """Whether it is an order being written now."""
    matches: bool
    """False for what a search included; it then serves references only."""
    url: str | None
    """What its Bundle calls it."""


def flatten(
    resources: Iterable[Any], problems: list[Problem], *, are_drafts: bool = False
) -> list[Entry]:
    """Every resource of lists and (nested) Bundles; what is no resource becomes a Problem."""
    opened = _Opened(are_drafts, problems)
    for item in resources:
        opened.add(item, matches=True, url=None, depth=0)
    return opened.entries


class _Opened:
    """The entries found while Bundles are opened."""

    def __init__(self, are_drafts: bool, problems: list[Problem]) -> None:
        self.entries: list[Entry] = []
        self._are_drafts = are_drafts
        self._problems = problems

    def add(self, item: Any, matches: bool, url: str | None, depth: int) -> None:
        if not isinstance(item, dict):
            self._ignore("An entry that is not a FHIR resource was ignored.")
            return
        kind = word(item, "resourceType")
        if kind != "Bundle":
            identity = word(item, "id")
            self.entries.append(Entry(item, kind, identity, self._are_drafts, matches, url))
        elif depth >= _DEEPEST:
            self._ignore("A Bundle is nested too deeply and was not read.")
        else:
            self._open(item, matches, url, depth)

    def _open(self, bundle: Element, matches: bool, url: str | None, depth: int) -> None:
        entries = bundle.get("entry")
        if entries is None:
            return
        if not isinstance(entries, list):
            self._ignore("The entries of a Bundle are not a list.")
            return
        for entry in entries:
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if resource is None:
                continue  # a link or a deletion: there is no resource to read
            search = entry.get("search")
            aside = isinstance(search, dict) and word(search, "mode") in _ASIDE
            called = word(entry, "fullUrl") or url
            self.add(resource, matches and not aside, called, depth + 1)

    def _ignore(self, message: str) -> None:
        self._problems.append(problem("resource-unreadable", message))


class Index:
    """Resources by literal reference: `Type/id`, absolute URL, urn:uuid or contained `#id`."""

    def __init__(self) -> None:
        self._added: list[tuple[Element, str | None]] = []
        self._by_name: dict[str, Element] | None = None

    def add(self, resource: Element, url: str | None = None) -> None:
        """Make a resource findable."""
        self._added.append((resource, url))
        self._by_name = None

    def resolve(self, target: str, container: Element) -> Element | None:
        """The resource a reference in `container` points to, or None if it was not sent."""
        if target.startswith("#"):
            contained = container.get("contained")
            listed = contained if isinstance(contained, list) else []
            return next(
                (c for c in listed if isinstance(c, dict) and c.get("id") == target[1:]), None
            )
        if self._by_name is None:  # many records hold no reference that is followed
            self._by_name = dict(self._names())
        return self._by_name.get(target) or self._by_name.get(local_reference(target))

    def _names(self) -> Iterator[tuple[str, Element]]:
        for resource, url in self._added:
            identity = resource.get("id")
            if isinstance(identity, str):
                yield f"{resource.get('resourceType')}/{identity}", resource
            if url is not None:
                yield url, resource
