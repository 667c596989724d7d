"""Answers of other servers are read within bounds of time and size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from cds.fhir.bounded import BodyError, bounded_body


def _body(*chunks: bytes, ends: float = 10.0, **headers: str) -> bytes:
    """The body of an answer of which a piece comes each second."""
    seconds = count(1)

    def pieces() -> Iterator[bytes]:
        yield from chunks

    answer = httpx.Response(200, headers=headers, content=pieces())
    return bounded_body(answer, most_bytes=10, ends=ends, monotonic=lambda: float(next(seconds)))


def test_a_body_within_bounds_is_read_whole() -> None:
    assert _body(b"12345", b"67890") == b"1234567890"


@pytest.mark.parametrize(
    ("chunks", "ends", "headers", "why"),
    [
        ((b"123456", b"78901"), 10.0, {}, "too long"),
        ((b"1", b"2", b"3"), 2.5, {}, "in time"),
        ((b"1",), 10.0, {"Content-Encoding": "gzip"}, "compressed"),
    ],
)
def test_anything_else_is_refused(
    chunks: tuple[bytes, ...], ends: float, headers: dict[str, str], why: str
) -> None:
    with pytest.raises(BodyError, match=why):
        _body(*chunks, ends=ends, **headers)
