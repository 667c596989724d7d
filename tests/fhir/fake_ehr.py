"""A FHIR server on loopback that answers as told: well, slowly, wrongly or not at all."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Answer = Callable[["FakeRequest"], None]


class FakeRequest(BaseHTTPRequestHandler):
    """One request; the server's `answers` decide what happens."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ehr: FakeEhr = self.server.ehr  # type: ignore[attr-defined]
        path = unquote(self.path).removeprefix("/fhir").removeprefix("/")
        ehr.requests.append((path, dict(self.headers)))
        kind = path.split("?")[0].split("/")[0]
        answer = ehr.answers.get(path) or ehr.answers.get(kind) or not_found
        self.close_connection = True
        with suppress(OSError):  # the client gave up, which is what some tests want
            answer(self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@dataclass
class FakeEhr:
    """Answers by path or by resource type, and what was asked."""

    base: str
    released: threading.Event
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return sorted(path for path, _ in self.requests)


@contextmanager
def fake_ehr() -> Iterator[FakeEhr]:
    """A running server; slow answers are released when it ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeRequest)
    server.daemon_threads = True
    ehr = FakeEhr(f"http://127.0.0.1:{server.server_port}/fhir", threading.Event())
    server.ehr = ehr  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield ehr
    finally:
        ehr.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def resource(value: Any) -> Answer:
    """Answer with a resource."""
    return lambda request: request.reply(json.dumps(value).encode())


def searchset(*resources: Any, next_url: str | None = None) -> Answer:
    """Answer with a searchset."""
    return resource(bundle(*resources, next_url=next_url))


def bundle(*resources: Any, next_url: str | None = None) -> dict[str, Any]:
    """A searchset Bundle."""
    entries = [{"resource": found, "search": {"mode": "match"}} for found in resources]
    found = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    return found | ({"link": [{"relation": "next", "url": next_url}]} if next_url else {})


def raw(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Answer with bytes."""
    return lambda request: request.reply(body, status, **headers)


def not_found(request: FakeRequest) -> None:
    """404 with an OperationOutcome."""
    request.reply(b'{"resourceType": "OperationOutcome", "issue": []}', 404)


def reset(request: FakeRequest) -> None:
    """Cut the connection hard."""
    linger = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.connection.close()


def silent(request: FakeRequest) -> None:
    """Accept and never answer, until the test is over."""
    request.server.ehr.released.wait(10)  # type: ignore[attr-defined]


def drip(request: FakeRequest) -> None:
    """Send one byte at a time, for longer than anyone waits."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    while not request.server.ehr.released.wait(0.02):  # type: ignore[attr-defined]
        request.wfile.write(b" ")
        request.wfile.flush()
