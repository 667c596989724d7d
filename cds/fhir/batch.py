"""Several reads and searches in one request: a FHIR batch, for servers that offer it.

A batch can only save time. What it answers is used if it is what that one read would have given;
whatever failed, is missing or looks odd is left out, and the caller asks for it by itself. The
answer as a whole keeps the client's limits of size, time and origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import httpx

from cds.fhir.client import FetchError, FhirClient

_STANDS_AS_IT_IS: Final = re.compile(
    r"(?!.*/\.)[A-Za-z][A-Za-z0-9/._-]*(\?[A-Za-z0-9/._:,;=&@|~-]*)?"
)
"""Addresses in which nothing has to be encoded or resolved, as nearly all of ours."""


def read_together(client: FhirClient, addresses: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Address -> resource or searchset, for those that the batch answered properly.

    Addresses are relative to the base (`Patient/p1`, `Condition?patient=p1`). Raises FetchError if
    the batch as a whole was not answered.
    """
    request = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": encoded(client.base, one)}} for one in addresses
        ],
    }
    answer = client.get_batch(json.dumps(request).encode())
    entries = answer.get("entry")
    if (
        answer.get("type") != "batch-response"
        or not isinstance(entries, list)
        or len(entries) != len(addresses)
    ):
        # Answers are told apart by their order alone.
        raise FetchError("not-batch", "the server's answer is not that of a batch")
    return {
        address: found
        for address, entry in zip(addresses, entries, strict=True)
        if (found := _answer(entry)) is not None and _answers(found, address)
    }


def encoded(base: str, address: str) -> str:
    """The address as it would stand in a request line."""
    if _STANDS_AS_IT_IS.fullmatch(address):
        return address
    return str(httpx.URL(f"{base}/{address}"))[len(base) + 1 :]


def _answer(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    response, resource = entry.get("response"), entry.get("resource")
    status = response.get("status") if isinstance(response, dict) else None
    succeeded = isinstance(status, str) and status.split(" ", maxsplit=1)[0] == "200"
    return resource if succeeded and isinstance(resource, dict) else None


def _answers(found: dict[str, Any], address: str) -> bool:
    """Whether this is an answer to that question, and not to another one of the batch."""
    path, _, query = address.partition("?")
    kind, _, identity = path.partition("/")
    if not query:
        return (found.get("resourceType"), found.get("id")) == (kind, identity)
    if found.get("resourceType") != "Bundle" or found.get("type") != "searchset":
        return False
    return all(one in (kind, "OperationOutcome") for one in _kinds(found))


def _kinds(searchset: dict[str, Any]) -> Iterator[Any]:
    entries = searchset.get("entry", [])
    for entry in entries if isinstance(entries, list) else [None]:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        yield resource.get("resourceType") if isinstance(resource, dict) else None
