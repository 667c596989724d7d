"""Read-only access to the one FHIR server a client is registered with, within a deadline.

The address comes from a request, so nothing is taken on trust: only the registered base, no
redirects, paging on the same origin, no compressed bodies (a kilobyte could unpack to gigabytes),
a limit on size and on time. The bearer token goes to the base and nowhere else, and neither it nor
an address with a patient's id ever stands in an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx
from msgspec import Struct

from cds.fhir.parse import JsonError, Limits, load_json

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ACCEPT: Final = "application/fhir+json, application/json;q=0.9"
_LEAST_S: Final = 0.01


class ForbiddenBaseError(ValueError):
    """The FHIR base of a request is not one this service may call; no connection was made."""


class FetchError(Exception):
    """Data could not be fetched. `reason` is a stable word, `message` a sentence without data."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class FetchLimits(Struct, frozen=True):
    """How much one hook call may fetch."""

    bytes_per_response: int = 2 * 1024 * 1024
    pages: int = 5
    connect_s: float = 0.5
    depth: int = 32
    nodes: int = 60_000


def allowed_base(base: str, registered: Collection[str], *, loopback: bool = False) -> str:
    """The base without trailing slash, if it is exactly a registered one.

    With `loopback` (a service that itself listens only there, without registered clients) any http
    base on a loopback address is allowed too. Raises ForbiddenBaseError otherwise.
    """
    found = _plain_url(base)
    plain = base.removesuffix("/")
    if found is None:
        raise ForbiddenBaseError("the FHIR base is not a plain http(s) address")
    if found.scheme == "https" and plain in {known.removesuffix("/") for known in registered}:
        return plain
    if loopback and found.scheme in {"http", "https"} and found.hostname in _LOOPBACK:
        return plain
    raise ForbiddenBaseError("the FHIR base is not the registered one")


def _plain_url(url: str) -> SplitResult | None:
    """The parts of an address without user, query, fragment, escapes or control characters."""
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{}|%@?#' for c in url):
        return None
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        return None
    if not found.hostname or port == 0 or ".." in found.path.split("/") or "//" in found.path:
        return None
    return found


@dataclass(slots=True)
class FhirClient:
    """Reads from one FHIR base, until `deadline` on the monotonic clock.

    `base` must come from `allowed_base`. `transport` replaces the network in tests. Safe to use
    from several threads; close it (or use it as a context manager) when the hook call ends.
    """

    base: str
    deadline: float
    token: str | None = field(default=None, repr=False)
    limits: FetchLimits = field(default_factory=FetchLimits)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    monotonic: Callable[[], float] = time.monotonic
    _http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # trust_env off: neither a proxy nor a .netrc of the machine may see or add credentials.
        self._http = httpx.Client(
            transport=self.transport,
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": _ACCEPT, "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def remaining(self) -> float:
        """Seconds until the deadline; not above zero when it has passed."""
        return self.deadline - self.monotonic()

    def get(self, relative: str) -> dict[str, Any]:
        """A resource or search by its address relative to the base. Raises FetchError."""
        return self._get(f"{self.base}/{relative}")

    def get_batch(self, bundle: bytes) -> dict[str, Any]:
        """The answer to a batch Bundle of reads (see `batch`). Raises FetchError."""
        return self._get(self.base, bundle)

    def get_json(self, relative: str) -> dict[str, Any]:
        """An object that need not be a resource, such as a configuration. Raises FetchError."""
        return self._object(f"{self.base}/{relative}")

    def following_pages(self, bundle: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The pages after a searchset Bundle, on the same origin only. Raises FetchError."""
        url = next_link(bundle)
        seen: set[str] = set()
        for _ in range(self.limits.pages):
            if url is None:
                return
            target = urljoin(f"{self.base}/", url)
            if not same_origin(target, self.base):
                raise FetchError("foreign-page", "the next page is on another server")
            if target in seen:
                raise FetchError("page-loop", "the pages refer to each other")
            seen.add(target)
            page = self._get(target)
            yield page
            url = next_link(page)
        if url is not None:
            raise FetchError("too-many-pages", f"there are more than {self.limits.pages} pages")

    def _get(self, url: str, batch: bytes | None = None) -> dict[str, Any]:
        found = self._object(url, batch)
        if not isinstance(found.get("resourceType"), str):
            raise FetchError("not-fhir", "the server's answer is not a FHIR resource")
        if found["resourceType"] == "OperationOutcome":
            raise FetchError("operation-outcome", "the server answered with an error")
        return found

    def _object(self, url: str, batch: bytes | None = None) -> dict[str, Any]:
        with _as_fetch_errors():
            raw = self._body(url, batch)
        try:
            limits = Limits(self.limits.bytes_per_response, self.limits.depth, self.limits.nodes)
            found = load_json(raw, limits=limits)
        except JsonError as error:
            raise FetchError("not-json", "the server's answer is not FHIR JSON") from error
        if not isinstance(found, dict):
            raise FetchError("not-fhir", "the server's answer is not a FHIR resource")
        return found

    def _body(self, url: str, batch: bytes | None) -> bytes:
        remaining = self.remaining()
        if remaining < _LEAST_S:
            raise FetchError("deadline", "there was no time left to ask the server")
        timeout = httpx.Timeout(remaining, connect=min(remaining, self.limits.connect_s))
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        method = "GET" if batch is None else "POST"
        if batch is not None:
            headers["Content-Type"] = "application/fhir+json"
        with self._http.stream(
            method, url, content=batch, headers=headers, timeout=timeout
        ) as response:
            _check_status(response)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchError("compressed", "the server compressed its answer unasked")
            received = bytearray()
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > self.limits.bytes_per_response:
                    raise FetchError("too-large", "the server's answer is too large")
                if self.remaining() < 0:
                    raise FetchError("deadline", "the server did not answer in time")
            return bytes(received)


def next_link(bundle: dict[str, Any]) -> str | None:
    """The address of the next page of a searchset, if there is one."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else None
    return None


def same_origin(url: str, base: str) -> bool:
    """Whether two addresses share scheme, host and port."""
    try:
        one, two = urlsplit(url), urlsplit(base)
        ports = (one.port, two.port)
    except ValueError:
        return False
    if one.username is not None or one.password is not None:
        return False
    default = {"https": 443, "http": 80}.get(two.scheme)
    return (
        one.scheme == two.scheme
        and one.hostname == two.hostname
        and (ports[0] or default) == (ports[1] or default)
    )


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == httpx.codes.OK:
        return
    if response.is_redirect or 300 <= status < 400:
        raise FetchError("redirect", "the server redirected the request")
    if status in {401, 403}:
        raise FetchError("not-authorised", "the server did not authorise the request")
    if status in {404, 410}:
        raise FetchError("not-found", "the server has no such data")
    if status == 429:
        raise FetchError("busy", "the server asked to be left alone")
    raise FetchError("server-error", f"the server answered with status {status}")


@contextmanager
def _as_fetch_errors() -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException:
        raise FetchError("timeout", "the server did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError):
        # RuntimeError: the client was closed under a request that outlived the deadline. Details
        # are dropped on purpose: they may hold the address and with it the patient's id.
        raise FetchError("unreachable", "the server could not be reached") from None
