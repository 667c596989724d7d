"""A small FHIR server in memory: enough to read a patient, and strict about what is written.

It is one object that answers requests; `transport` puts it behind httpx in the same process, and
`served` behind a socket for the tests that kill processes.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

BASE = "http://localhost/fhir"
Answer = tuple[int, dict[str, str], Any]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class FakeFhir:
    """Resources by `Type/id`. `conditional` says whether `If-None-Exist` is understood."""

    conditional: bool = True
    now: Callable[[], datetime] = _utc_now
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    """Statuses to answer the next requests with, instead of doing them."""
    refused: set[str] = field(default_factory=set)
    """Types that it does not accept."""
    down: bool = False
    deaf_after_writing: bool = False
    """Whether the answer to a write is lost after the write was done."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] | None = None
    """The bearer tokens that are accepted; None for an open server."""
    capabilities: dict[str, Any] = field(default_factory=dict)
    declares: bool = False
    """Whether it says that it takes batches and honours `If-None-Exist`."""
    batch: Callable[[dict[str, Any]], Answer] | None = None
    """How it answers batches, if not properly."""
    unsearchable: set[str] = field(default_factory=set)
    """Resources that a search does not find yet."""
    written: threading.Event = field(default_factory=threading.Event)
    """Set as soon as anything was written by a client."""
    delay_s: float = 0.0
    """How long each answer takes, when served."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _index: dict[tuple[str, str, str], dict[str, None]] = field(default_factory=dict)
    """(type, `patient` or `identifier`, value) -> names, so that a search does not grow with all
    there is."""
    _ids: int = 0

    def put(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Store a resource in a new version, as a laboratory system would."""
        name = f"{resource['resourceType']}/{resource['id']}"
        old = self.resources.get(name)
        version = int(old["meta"]["versionId"]) + 1 if old else 1
        meta = {"versionId": str(version), "lastUpdated": self.now().isoformat()}
        stored = {**resource, "meta": {**resource.get("meta", {}), **meta}}
        self.resources[name] = stored
        for key, value in _indexed(stored):
            self._index.setdefault((stored["resourceType"], key, value), {})[name] = None
        return stored

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All resources of a type, oldest first."""
        return [r for name, r in self.resources.items() if name.startswith(f"{kind}/")]

    def identifiers(self, kind: str) -> Counter[str]:
        """How many resources of a type carry each identifier of ours."""
        return Counter(r["identifier"][0]["value"] for r in self.of(kind))

    def handle(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request."""
        with self._lock:
            parts = urlsplit(url)
            path = parts.path.split("/fhir", 1)[-1].removeprefix("/")
            self.requests.append((method, path))
            if self.faults:
                return self.faults.pop(0), {}, _outcome()
            if self.tokens is not None:
                sent = headers.get("authorization", "").removeprefix("Bearer ")
                if sent not in self.tokens:
                    return 401, {}, _outcome()
            query = parse_qs(parts.query, keep_blank_values=True)
            if method == "GET":
                return self._get(path, query)
            if method == "POST" and not path:
                sent = json.loads(body)
                return self.batch(sent) if self.batch else (200, {}, self.batch_response(sent))
            return self._write(method, path, headers, json.loads(body, parse_float=Decimal))

    def declared(self) -> dict[str, Any]:
        """The CapabilityStatement."""
        statement: dict[str, Any] = {"resourceType": "CapabilityStatement"}
        if self.declares:
            types = [
                {"type": kind, "conditionalCreate": self.conditional}
                for kind in ("Task", "DetectedIssue", "Communication", "Flag")
            ]
            server = {"mode": "server", "interaction": [{"code": "batch"}], "resource": types}
            statement["rest"] = [server]
        return statement | self.capabilities

    def batch_response(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The proper answer to a batch of reads."""
        entries = []
        for entry in batch["entry"]:
            parts = urlsplit(entry["request"]["url"])
            status, _, found = self._get(parts.path, parse_qs(parts.query, keep_blank_values=True))
            entries.append({"response": {"status": f"{status} said"}, "resource": found})
        return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}

    def _get(self, path: str, query: dict[str, list[str]]) -> Answer:
        if path == "metadata":
            return 200, {}, self.declared()
        if "/" in path:
            found = self.resources.get(path)
            return (200, {}, found) if found else (404, {}, _outcome())
        matches = [
            r
            for name, r in self._candidates(path, query)
            if name not in self.unsearchable
            and all(_matches(r, key, value[0]) for key, value in query.items())
        ]
        entries = [{"resource": resource} for resource in matches]
        return 200, {}, {"resourceType": "Bundle", "type": "searchset", "entry": entries}

    def _candidates(
        self, kind: str, query: dict[str, list[str]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        key = next((key for key in ("patient", "identifier") if key in query), None)
        names = self._index.get((kind, key, query[key][0]), {}) if key else list(self.resources)
        for name in list(names):
            resource = self.resources.get(name)
            if resource is not None and resource["resourceType"] == kind:
                yield name, resource

    def _write(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if path.split("/", maxsplit=1)[0] in self.refused:
            return 422, {}, _outcome()
        if method == "PUT":
            old = self.resources.get(path)
            expected = headers.get("if-match")
            if old and expected and expected != f'W/"{old["meta"]["versionId"]}"':
                return 412, {}, _outcome()
            return 200, {}, self.put(body)
        condition = headers.get("if-none-exist", "")
        if self.conditional and condition.startswith("identifier="):
            wanted = condition.removeprefix("identifier=")
            there = self._candidates(path, {"identifier": [wanted]})
            if any(_matches(r, "identifier", wanted) for _, r in there):
                return 200, {}, None
        self._ids += 1
        stored = self.put({**body, "id": f"made-{self._ids}"})
        self.written.set()
        return 201, {"Location": f"{BASE}/{path}/{stored['id']}/_history/1"}, None

    @property
    def transport(self) -> httpx.MockTransport:
        """This server as the network of an httpx client."""

        def answer(request: httpx.Request) -> httpx.Response:
            if self.down:
                raise httpx.ConnectError("down", request=request)
            headers = {name.lower(): value for name, value in request.headers.items()}
            status, sent, body = self.handle(
                request.method, str(request.url), headers, request.content
            )
            reads = request.method == "GET" or request.url.path.endswith("/fhir")
            if self.deaf_after_writing and not reads:
                raise httpx.ReadTimeout("lost", request=request)
            content = b"" if body is None else json.dumps(body, default=_number).encode()
            return httpx.Response(status, headers=sent, content=content)

        return httpx.MockTransport(answer)


@contextmanager
def served(fake: FakeFhir) -> Iterator[str]:
    """The server behind a socket on this machine; yields its base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer leaves in one piece: in two, the second would wait 40 ms for the client's system
        # to acknowledge the first.
        wbufsize = -1

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            if fake.delay_s:
                time.sleep(fake.delay_s)
            if fake.down:
                status, sent, found = 503, {}, _outcome()
            else:
                status, sent, found = fake.handle(self.command, self.path, headers, body)
            content = b"" if found is None else json.dumps(found, default=_number).encode()
            self.send_response(status)
            for name, value in sent.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names the base class calls

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):  # the client was killed: that is the test
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_args: object) -> None:
            """A client that was killed is not an error here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/fhir"
        server.shutdown()
        thread.join()


def _indexed(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    subject = resource.get("subject") or resource.get("patient") or {}
    if subject:
        yield "patient", str(subject.get("reference", "")).removeprefix("Patient/")
    for one in resource.get("identifier", []):
        yield "identifier", f"{one.get('system')}|{one.get('value')}"


def _matches(resource: dict[str, Any], key: str, value: str) -> bool:
    if key == "patient":
        subject = resource.get("subject") or resource.get("patient") or {}
        return str(subject.get("reference", "")).endswith(f"Patient/{value}")
    if key == "identifier":
        found = {f"{i.get('system')}|{i.get('value')}" for i in resource.get("identifier", [])}
        return value in found
    if key == "code":
        codings = resource.get("code", {}).get("coding", [])
        found = {f"{c.get('system')}|{c.get('code')}" for c in codings}
        return bool(found & set(value.split(",")))
    if key == "_lastUpdated":
        since = datetime.fromisoformat(value.removeprefix("ge"))
        return datetime.fromisoformat(resource["meta"]["lastUpdated"]) >= since
    if key == "url":
        return bool(resource.get("channel", {}).get("endpoint") == value)
    return True


def _number(value: Any) -> float:
    return float(value)


def _outcome() -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}
