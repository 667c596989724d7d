"""A connection does not outlive an answer given before the whole request was read."""

from __future__ import annotations

from tests.web.requests import ORDERS
from tests.web.wire import LIMIT


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
