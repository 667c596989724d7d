"""One registered FHIR server: read with the product's guarded client, write idempotently.

Everything written carries an identifier of ours. Before anything is created the server is searched
for it, and the creation itself is conditional on it (`If-None-Exist`), so that doing it twice has
the effect of doing it once whether or not the server knows conditional creation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from cds.alerts.settings import FhirServer
from cds.alerts.tokens import TokenSource
from cds.fhir.client import FetchError, FetchLimits, FhirClient
from cds.fhir.parse import JsonError, Limits, load_json
from cds.store.jsontext import encode

READ_SECONDS: Final = 15.0
_WRITE_SECONDS: Final = 10.0
_LIMITS: Final = FetchLimits(pages=20, connect_s=5.0)
_LARGEST_ANSWER: Final = 1024 * 1024
_PASSING: Final = frozenset({401, 403, 408, 409, 412, 425, 429})


class Refused(Exception):  # noqa: N818 - an answer of the server
    """The server will not take this, however often it is asked; `problem` is a stable word."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass
class ReadingClient(FhirClient):
    """The guarded client, which also remembers why reads failed."""

    failures: set[str] = field(default_factory=set)

    def get(self, relative: str) -> dict[str, Any]:
        """A resource or search. Raises FetchError."""
        with self._remembered():
            return FhirClient.get(self, relative)

    def following_pages(self, bundle: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The pages after a searchset. Raises FetchError."""
        with self._remembered():
            yield from FhirClient.following_pages(self, bundle)

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except FetchError as error:
            self.failures.add(error.reason)
            raise


class SharedTransport(httpx.BaseTransport):
    """One pool of connections for many short-lived clients, whose closing leaves it open.

    A client of its own would read the certificate store and connect anew for every resource.
    """

    def __init__(self) -> None:
        self._pool = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a pooled connection."""
        return self._pool.handle_request(request)

    def close(self) -> None:
        """Leave the pool open: other clients use it."""

    def close_pool(self) -> None:
        """Close all connections."""
        self._pool.close()


@dataclass
class Remote:
    """Reads from and writes to one server."""

    server: FhirServer
    http: httpx.Client
    tokens: TokenSource | None = None
    transport: httpx.BaseTransport | None = None
    monotonic: Callable[[], float] = time.monotonic

    @contextmanager
    def reading(self, seconds: float = READ_SECONDS) -> Iterator[ReadingClient]:
        """A client for reading until the time is up. Raises FetchError if there is no token."""
        token = self._token()
        with ReadingClient(
            self.server.fhir_base,
            self.monotonic() + seconds,
            token,
            limits=_LIMITS,
            transport=self.transport,
            monotonic=self.monotonic,
        ) as client:
            try:
                yield client
            finally:
                if "not-authorised" in client.failures and token:
                    self._forget(token)

    def find(self, kind: str, identifier: Mapping[str, str]) -> dict[str, Any] | None:
        """The resource that carries an identifier of ours. Raises FetchError."""
        value = quote(f"{identifier['system']}|{identifier['value']}", safe="")
        with self.reading() as client:
            bundle = client.get(f"{kind}?identifier={value}")
        for entry in bundle.get("entry") or []:
            resource = entry.get("resource") if isinstance(entry, dict) else None
            # The server may not know the parameter and answer with everything it has.
            if isinstance(resource, dict) and _carries(resource, identifier):
                return resource
        return None

    def create(
        self, resource: Mapping[str, Any], identifier: Mapping[str, str] | None = None
    ) -> str | None:
        """Create unless it is there; the id. Raises FetchError (try again) or Refused (do not)."""
        condition: dict[str, str] = {}
        if identifier is not None:
            named = f"{identifier['system']}|{identifier['value']}"
            condition["If-None-Exist"] = f"identifier={named}"
        return self._write("POST", str(resource["resourceType"]), resource, condition)

    def update(self, resource: Mapping[str, Any]) -> None:
        """Replace a resource, if it is still the version that was read."""
        version = resource.get("meta", {}).get("versionId")
        condition = {"If-Match": f'W/"{version}"'} if isinstance(version, str) else {}
        self._write("PUT", f"{resource['resourceType']}/{resource['id']}", resource, condition)

    def _write(
        self, method: str, path: str, resource: Mapping[str, Any], condition: Mapping[str, str]
    ) -> str | None:
        token = self._token()
        headers = {
            "Content-Type": "application/fhir+json",
            "Accept": "application/fhir+json",
            "Prefer": "return=minimal",
            **condition,
        }
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.server.fhir_base}/{path}"
        try:
            answer = self.http.request(
                method, url, content=encode(dict(resource)), headers=headers, timeout=_WRITE_SECONDS
            )
        except httpx.HTTPError:
            raise FetchError("unreachable", "the server could not be reached") from None
        if answer.status_code in {401, 403} and token:
            self._forget(token)
        return _written(answer)

    def _token(self) -> str | None:
        return self.tokens.token() if self.tokens else None

    def _forget(self, token: str) -> None:
        if self.tokens:
            self.tokens.forget(token)


def _written(answer: httpx.Response) -> str | None:
    status = answer.status_code
    if 200 <= status < 300:
        location = answer.headers.get("Location", "").split("/_history/")[0].rstrip("/")
        if location:
            return str(location.rsplit("/", 1)[-1])
        try:
            found = load_json(answer.content, limits=Limits(bytes=_LARGEST_ANSWER))
        except JsonError:
            return None
        identity = found.get("id") if isinstance(found, dict) else None
        return identity if isinstance(identity, str) else None
    if 400 <= status < 500 and status not in _PASSING:
        raise Refused(f"refused-{status}")
    raise FetchError(f"status-{status}", f"the server answered with status {status}")


def _carries(resource: Mapping[str, Any], identifier: Mapping[str, str]) -> bool:
    found = resource.get("identifier")
    listed = found if isinstance(found, list) else [found]
    return any(
        isinstance(one, dict)
        and (one.get("system"), one.get("value")) == (identifier["system"], identifier["value"])
        for one in listed
    )
