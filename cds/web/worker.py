"""The process that answers: threads, none of which a slow or vanished client can keep for long.

The server itself waits without end for the rest of a request. A client that sends half of it, or is
cut off from the network, would keep its thread for ever, and a few of them the whole service.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from cds.store.jsontext import encode
from cds.telemetry import error_fields, log
from cds.web.errors import outcome, refuse
from cds.web.headers import HEADERS

RECEIVE_WITHIN_S = 10.0
"""A request that is not complete by then is answered as one that ended early."""
SEND_WITHIN_S = 60.0
"""A client that has not taken its answer by then is left."""


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn carries no types
    """Ends what a client drags out; work of our own is never interrupted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begun: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """Handle one request in a thread, as its parent does."""
        self._begun[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            del self._begun[conn]

    def handle_error(self, _req: Any, client: Any, _addr: Any, exc: BaseException) -> None:
        """Answer what never became a request; the parent would quote it, to both sides."""
        status = _status_of(exc)
        said = log().error if status is HTTPStatus.INTERNAL_SERVER_ERROR else log().warning
        said("no-request", status=status.value, **error_fields(exc))
        with suppress(OSError):  # the client is gone
            write_nonblock(client, _refusal(status))

    def load_wsgi(self) -> None:
        """Load the application; the server leaves out what it says of the connection."""
        super().load_wsgi()
        self.wsgi = closing(self.wsgi)

    def murder_pending(self) -> None:
        """Called about once a second by the loop of the worker, also while it stops."""
        super().murder_pending()
        now = time.monotonic()
        for conn, begun in list(self._begun.items()):
            direction = overdue(now - begun)
            if direction is not None:
                # Not the method of a TLS socket, which would forget its keys under the thread.
                with suppress(OSError):  # the connection has ended meanwhile
                    socket.socket.shutdown(conn.sock, direction)


def _status_of(error: BaseException) -> HTTPStatus:
    """What is answered to what the server could not take for a request."""
    if isinstance(error, LimitRequestLine):
        return HTTPStatus.REQUEST_URI_TOO_LONG
    if isinstance(error, LimitRequestHeaders):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    ours = isinstance(error, InvalidResponseHeader | InvalidResponseHeaderName)
    if isinstance(error, ParseException | ssl.SSLError) and not ours:
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _refusal(status: HTTPStatus) -> bytes:
    """A whole answer, as the application would give it."""
    body = encode(outcome(refuse(status, "http", _WORDS.get(status, "This is not HTTP."))))
    headers = {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **HEADERS,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


_WORDS = {
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address is too long.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are too many or too long.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service failed; no advice was given.",
}


def closing(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application, whose `Connection: close` ends the connection after the answer."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if ("Connection", "close") in headers:
                start_response.__self__.force_close()
            return start_response(status, headers, exc_info)

        return application(environ, start)

    return answer


def overdue(seconds: float) -> int | None:
    """Which way a connection is closed when its request was begun so many seconds ago.

    Closing it for reading ends the wait for the rest of a request, and leaves an answer that takes
    us long untouched.
    """
    if seconds > SEND_WITHIN_S:
        return socket.SHUT_RDWR
    return socket.SHUT_RD if seconds > RECEIVE_WITHIN_S else None
