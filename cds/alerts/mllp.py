"""Accept HL7 v2 messages over MLLP, and acknowledge them once they are durable.

AA: kept, or not about the monitored drug. AE: could not be kept now; send it again. AR: will never
be accepted. MLLP has no authentication of its own, so the listener belongs on loopback behind the
integration engine or a TLS tunnel; the settings allow nothing else.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from cds.alerts.hl7v2 import MessageError, acknowledgement, read_message
from cds.alerts.queue import Kind, Queue
from cds.alerts.receiver import event_key
from cds.alerts.settings import FhirServer
from cds.clinical.terminology import Drug
from cds.store import DatabaseError
from cds.store.jsontext import canonical
from cds.telemetry import error_fields, log

START: Final = b"\x0b"
END: Final = b"\x1c\r"
_LARGEST: Final = 1024 * 1024
_IDLE_S: Final = 600.0
_MOST_CONNECTIONS: Final = 64
"""Connections at once; a laboratory keeps one or two, and each has a thread."""


class MessageDesk(Struct, frozen=True):
    """Takes messages about the patients of one server."""

    server: FhirServer
    queue: Queue
    drug: Callable[[], Drug]
    now: Callable[[], datetime]
    wake: Callable[[], None]

    def take(self, raw: bytes) -> bytes:
        """Keep what a message says, and acknowledge it."""
        text = _decoded(raw)
        code, why = self._keep(text)
        log().info("message-acknowledged", client=self.server.id, status=code, problem=why or None)
        at = self.now().strftime("%Y%m%d%H%M%S+0000")
        return START + acknowledgement(text, code, at, why).encode("ascii", "replace") + END

    def _keep(self, text: str) -> tuple[str, str]:
        try:
            message = read_message(text, self.drug())
        except MessageError as error:
            return error.ack, error.why
        wait = self.server.preliminary == "wait"
        results = [
            {"resource": result.resource, "version": result.version}
            for result in message.results
            if result.resource["status"] != "registered"
            and not (wait and result.resource["status"] == "preliminary")
        ]
        if not results:
            return "AA", ""
        body: dict[str, Any] = {
            "hl7": results,
            "patient_number": message.patient_number,
            "birth_date": message.birth_date,
        }
        # The content decides: a control id may be used again after a restart of the sender.
        key = event_key("hl7", message.sender, message.control_id, canonical(body).decode())
        now = self.now()
        try:
            with self.queue.database.writing() as connection:
                self.queue.add_once(connection, Kind.EVENT, self.server.id, key, body, now)
        except DatabaseError as error:
            log().error("message-not-kept", client=self.server.id, **error_fields(error))
            return "AE", "the message could not be kept; please send it again"
        self.wake()
        return "AA", ""


def listen(desk: MessageDesk, host: str, port: int) -> socketserver.ThreadingTCPServer:
    """A server that takes messages; `serve_forever` runs it."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(_IDLE_S)
            for raw in _frames(self.request):
                self.request.sendall(desk.take(raw))

    class Listener(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        free = threading.Semaphore(_MOST_CONNECTIONS)  # a class for each listener

        def verify_request(self, request: Any, client_address: Any) -> bool:
            if self.free.acquire(blocking=False):
                return True
            log().warning("message-connection-refused", client=desk.server.id)
            return False

        def process_request(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no thread is to be had, so that none will give the place back
                self.free.release()
                raise

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                self.free.release()

        def handle_error(self, request: Any, client_address: Any) -> None:
            # The traceback of the default would go to standard error with whatever it quotes.
            log().warning("message-connection-ended", client=desk.server.id)

    return Listener((host, port), Connection)


def _frames(connection: socket.socket) -> Iterator[bytes]:
    """The messages on a connection; it ends when the peer leaves or sends no MLLP.

    What a second start stands in was never ended: the sender gave it up and sends it again.
    """
    held = bytearray()
    while True:
        try:
            received = connection.recv(65536)
        except (TimeoutError, ConnectionError):
            return
        if not received:
            return
        seen = max(0, len(held) - 1)  # the first byte of an end may be there already
        held += received
        while (end := held.find(END, seen)) >= 0:
            begin = held.rfind(START, 0, end)
            if begin >= 0:
                yield bytes(held[begin + 1 : end])
            del held[: end + len(END)]
            seen = 0
        if len(held) > _LARGEST or (held and START not in held):
            return


def _decoded(raw: bytes) -> str:
    """UTF-8, or the Latin-1 that older systems send without saying so."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\r").replace("\n", "\r").strip("\r")
