"""What a FHIR server says it can do (CapabilityStatement), as far as alerts make use of it.

Nothing here is needed: a server that says nothing is asked for one thing at a time, searched before
anything is created there, and subscribed to by plain criteria.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from cds.fhir.client import FetchLimits

FEED: Final = "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed"
STATEMENT_LIMITS: Final = FetchLimits(
    bytes_per_response=16 * 1024 * 1024, nodes=1_000_000, connect_s=5.0
)
"""The statement of a general FHIR server lists every search of every type: some megabytes."""


class Capabilities(Struct, frozen=True):
    """`batch`: takes several reads in one request. `conditional_create`: types for which it honours
    `If-None-Exist`. `feed`: offers the US Core patient-data-feed topic."""

    batch: bool = False
    conditional_create: frozenset[str] = frozenset()
    feed: bool = False


def read_capabilities(statement: Mapping[str, Any]) -> Capabilities:
    """Read a CapabilityStatement; what it does not say clearly, the server cannot do."""
    rests = [rest for rest in _objects(statement.get("rest")) if rest.get("mode") == "server"]
    return Capabilities(
        batch=any(
            interaction.get("code") == "batch"
            for rest in rests
            for interaction in _objects(rest.get("interaction"))
        ),
        conditional_create=frozenset(
            str(resource.get("type"))
            for rest in rests
            for resource in _objects(rest.get("resource"))
            if resource.get("conditionalCreate") is True
        ),
        feed=_names_feed(statement.get("rest")),
    )


def _names_feed(rest: Any) -> bool:
    """Whether the topic is listed; servers put the extension in different places."""
    pending: list[Any] = [rest]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            named = value.get("valueCanonical") or value.get("valueUri")
            if isinstance(named, str) and named.split("|")[0] == FEED:
                return True
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            yield item
