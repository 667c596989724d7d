"""What an EHR sends along: a service's prefetch templates answered from one patient's record.

Templates are read as far as CDS Hooks allows them: one instance, or a type with `code`; the patient
is the only one in the Bundle, and order and count do not matter for so little data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit


def prefetch_for(bundle: Mapping[str, Any], templates: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each prefetch key; None where the record has nothing under it."""
    return {key: _answer(template, bundle) for key, template in templates.items()}


def resources_of(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the resources of a Bundle."""
    for entry in bundle.get("entry", ()):
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _answer(template: str, bundle: Mapping[str, Any]) -> dict[str, Any] | None:
    parts = urlsplit(template)
    kind, _, instance = parts.path.partition("/")
    codes = parse_qs(parts.query).get("code")
    wanted = {tuple(code.split("|")) for code in codes[0].split(",")} if codes else None
    found = [
        resource
        for resource in resources_of(bundle)
        if resource.get("resourceType") == kind and (wanted is None or wanted & codes_of(resource))
    ]
    if instance:
        return found[0] if found else None
    if not found:
        return None
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in found]
    return {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}


def codes_of(resource: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """Return the (system, code) pairs of a resource's code."""
    coding = resource.get("code", {}).get("coding", ())
    return {(str(c.get("system")), str(c.get("code"))) for c in coding}
