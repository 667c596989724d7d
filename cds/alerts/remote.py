"""One registered FHIR server: read with the product's guarded client, write idempotently.

Everything written carries an identifier of ours, and creation is conditional on it
(`If-None-Exist`). A server that does not declare that it honours this is searched for the
identifier first. Either way doing it twice has the effect of doing it once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from cds.alerts.capabilities import STATEMENT_LIMITS, Capabilities, read_capabilities
from cds.alerts.settings import FhirServer
from cds.alerts.tokens import TokenSource
from cds.fhir.batch import read_together
from cds.fhir.client import FetchError, FetchLimits, FhirClient
from cds.fhir.parse import JsonError, Limits, load_json
from cds.store.jsontext import encode

READ_SECONDS: Final = 15.0
_WRITE_SECONDS: Final = 10.0
_LIMITS: Final = FetchLimits(pages=20, connect_s=5.0)
_LARGEST_ANSWER: Final = 1024 * 1024
_KNOWN_FOR_S: Final = 3600.0
_UNKNOWN_FOR_S: Final = 60.0
_NO_BATCH_FOR_S: Final = 600.0
_NO_USE_NOW: Final = frozenset({"deadline", "timeout", "unreachable", "busy"})
"""Failures after which asking for one thing at a time is for the next attempt."""
_PASSING: Final = frozenset({401, 403, 408, 409, 412, 425, 429})


class Refused(Exception):  # noqa: N818 - an answer of the server
    """The server will not take this, however often it is asked; `problem` is a stable word."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass
class ReadingClient(FhirClient):
    """The guarded client, which also remembers why reads failed.

    `ahead` are answers that a batch gave a moment ago: they are not asked for again.
    """

    failures: set[str] = field(default_factory=set)
    ahead: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def get(self, relative: str) -> dict[str, Any]:
        """A resource or search. Raises FetchError."""
        if relative in self.ahead:
            return self.ahead[relative]
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
    _capabilities: Capabilities = field(default=Capabilities(), init=False)
    _known_until: float = field(default=float("-inf"), init=False)
    _batch_again: float = field(default=float("-inf"), init=False)
    _asking: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def capabilities(self) -> Capabilities:
        """What the server says it can do, asked now and then; nothing while it does not say."""
        if self.monotonic() < self._known_until or not self._asking.acquire(blocking=False):
            return self._capabilities  # another thread is asking: go on with what is known
        try:
            found = self.read_capabilities()
        except FetchError:
            self._known_until = self.monotonic() + _UNKNOWN_FOR_S
        else:
            self._capabilities = found
            self._known_until = self.monotonic() + _KNOWN_FOR_S
        finally:
            self._asking.release()
        return self._capabilities

    def read_capabilities(self) -> Capabilities:
        """Ask the server what it can do. Raises FetchError."""
        with self.reading(limits=STATEMENT_LIMITS) as client:
            return read_capabilities(client.get("metadata"))

    def takes_batches(self) -> bool:
        """Whether it is known to take several reads in one request."""
        return self._capabilities.batch and self.monotonic() >= self._batch_again

    def read_ahead(
        self, client: ReadingClient, addresses: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """What a batch gives of these reads, in one request; empty where that cannot be had.

        Whatever is not in it must be asked for by itself. Raises FetchError if the server cannot be
        asked anything now.
        """
        if self.monotonic() < self._batch_again or not self.capabilities().batch:
            return {}
        try:
            return read_together(client, addresses)
        except FetchError as error:
            # It declares batches and does not answer them, or not in time, or not to us.
            self._batch_again = self.monotonic() + _NO_BATCH_FOR_S
            if error.reason in _NO_USE_NOW:
                raise
            return {}

    @contextmanager
    def reading(
        self,
        seconds: float = READ_SECONDS,
        limits: FetchLimits = _LIMITS,
        ahead: Mapping[str, dict[str, Any]] | None = None,
    ) -> Iterator[ReadingClient]:
        """A client for reading until the time is up. Raises FetchError if there is no token."""
        token = self._token()
        with ReadingClient(
            self.server.fhir_base,
            self.monotonic() + seconds,
            token,
            limits=limits,
            transport=self.transport,
            monotonic=self.monotonic,
            ahead=ahead or {},
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
