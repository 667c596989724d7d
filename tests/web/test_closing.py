"""A connection does not outlive an answer given before the whole request was read."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn

from cds.services import Services
from cds.settings import Limits, Settings
from cds.web import create_app
from cds.web.server import _server
from cds.web.worker import Worker
from tests.web.fakes import FakeDesk
from tests.web.requests import ORDERS

LIMIT = 4096

Ask = Callable[[bytes], tuple[bytes, bool]]


class _Loaded:
    """What gunicorn asks for the application."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def wsgi(self) -> Flask:
        return self._app


@pytest.fixture
def ask(
    make_services: Callable[..., Services], desk: FakeDesk
) -> Iterator[Callable[[bytes], tuple[bytes, bool]]]:
    """Send bytes over TCP; the answer, and whether the connection would be used again."""
    app = create_app(make_services(desk=desk, loopback_limits=Limits(body_bytes=LIMIT)))
    config = _server(Settings(), None, "127.0.0.1", 0, None).cfg
    worker = Worker(0, 0, [], _Loaded(app), 30, config, Logger(config))
    worker.load_wsgi()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send(request: bytes) -> tuple[bytes, bool]:
            with socket.create_connection(listener.getsockname(), timeout=5) as client:
                ours, theirs = listener.accept()
                with ours:
                    client.sendall(request)
                    connection = TConn(config, ours, theirs, listener.getsockname())
                    goes_on = worker.handle(connection)
                    return client.recv(65536).lower(), goes_on

        yield send
    worker.tmp.close()


def _post(length: int, body: bytes, *more: bytes, to: str = ORDERS) -> bytes:
    head = [
        f"POST {to} HTTP/1.1".encode(),
        b"Host: 127.0.0.1",
        b"Content-Type: application/json",
        f"Content-Length: {length}".encode(),
        *more,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def test_a_body_that_is_too_long_is_refused_and_the_connection_closed(ask):
    answer, goes_on = ask(_post(LIMIT + 1, b"{"))

    assert answer.startswith(b"http/1.1 413")
    assert b"\r\nconnection: close\r\n" in answer
    assert not goes_on


def test_a_long_body_that_is_refused_for_another_reason_is_not_waited_for(ask):
    answer, goes_on = ask(_post(10_000_000, b"{", b"Content-Encoding: gzip"))

    assert answer.startswith(b"http/1.1 415")
    assert b"\r\nconnection: close\r\n" in answer
    assert not goes_on


def test_a_short_request_that_is_refused_leaves_the_connection_open(ask):
    answer, goes_on = ask(_post(2, b"[]"))

    assert answer.startswith(b"http/1.1 400")
    assert b"\r\nconnection: keep-alive\r\n" in answer
    assert goes_on
