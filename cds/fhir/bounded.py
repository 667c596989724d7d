"""Read the body of an answer within bounds: other people's servers may send anything, slowly."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx


class BodyError(ValueError):
    """The body is compressed, too long or too late; the message holds nothing of it."""


def bounded_body(
    response: httpx.Response,
    *,
    most_bytes: int,
    ends: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> bytes:
    """Return the body of a streamed answer that is there by `ends` on the clock. Raises BodyError.

    The time-out of a connection is for each piece of it: an answer that comes byte by byte would
    never run into it.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise BodyError("the answer is compressed")
    received = bytearray()
    for chunk in response.iter_bytes():
        received += chunk
        if len(received) > most_bytes:
            raise BodyError("the answer is too long")
        if monotonic() > ends:
            raise BodyError("the answer did not come in time")
    return bytes(received)
