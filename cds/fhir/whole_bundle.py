"""A Bundle from a file -> the resources of a record that name each other by `Type/id`.

Files hold Bundles of every type: an export of one search, the answers to a batch (Bundles in a
Bundle), a document, a transaction whose entries have no id yet and call each other `urn:uuid:...`
(https://hl7.org/fhir/R4/bundle.html#references). A server that stored them would give ids and write
the references anew, and so does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cds.fhir.elements import local_reference

_DEEPEST_BUNDLE: Final = 4
_DEEPEST_REFERENCE: Final = 64
"""Below the depth of anything that FHIR defines."""


def resources_in(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All resources of a Bundle and of the Bundles in it; what is no resource is left out."""
    found = [(_with_id(resource, url), url) for resource, url in _entries(bundle, 1)]
    names = {
        url: name
        for resource, url in found
        if (name := _name(resource)) and url and local_reference(url) != name
    }
    resources = [resource for resource, _ in found]
    return [_renamed(resource, names, 0) for resource in resources] if names else resources


def _entries(bundle: Mapping[str, Any], depth: int) -> Iterator[tuple[dict[str, Any], str]]:
    """Each resource with what its Bundle calls it."""
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        if resource.get("resourceType") == "Bundle" and depth < _DEEPEST_BUNDLE:
            yield from _entries(resource, depth + 1)
        else:
            url = entry.get("fullUrl")
            yield resource, url if isinstance(url, str) else ""


def _with_id(resource: dict[str, Any], url: str) -> dict[str, Any]:
    """The resource; one that has no id gets that of its address, as a server would give it one."""
    if resource.get("id") is not None:
        return resource
    if url.startswith("urn:uuid:"):
        return resource | {"id": url.removeprefix("urn:uuid:")}
    kind, _, identity = local_reference(url).partition("/")
    return resource | {"id": identity} if kind == resource.get("resourceType") else resource


def _name(resource: Mapping[str, Any]) -> str | None:
    kind, identity = resource.get("resourceType"), resource.get("id")
    known = isinstance(kind, str) and isinstance(identity, str)
    return f"{kind}/{identity}" if known else None


def _renamed(value: Any, names: Mapping[str, str], depth: int) -> Any:
    """The value with every reference to one of the `names` as what it now is."""
    if depth > _DEEPEST_REFERENCE:
        return value
    if isinstance(value, list):
        return [_renamed(item, names, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _renamed(item, names, depth + 1) for key, item in value.items()}
    target = value.get("reference")
    if isinstance(target, str) and target in names:
        renamed["reference"] = names[target]
    return renamed
