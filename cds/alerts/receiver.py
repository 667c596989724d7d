"""Receive notifications: prove the sender, make the event durable, and only then say yes.

Nothing clinical happens here. A 2xx is sent after the commit; when the database fails the answer is
503, and the FHIR server sends again. Events are known by (subscription, event number), so sending
again adds nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct, field
from sqlalchemy import Connection

from cds.alerts import watching
from cds.alerts.notification import (
    POKE,
    Event,
    Meaning,
    Notification,
    NotificationError,
    local,
    read_notification,
    read_resource_address,
)
from cds.alerts.queue import Kind, Queue
from cds.alerts.settings import AlertSettings, FhirServer
from cds.fhir.parse import JsonError, Limits, load_json
from cds.store import DatabaseError
from cds.store.jsontext import canonical
from cds.telemetry import error_fields, log

BODY_LIMIT: Final = 2 * 1024 * 1024
_JSON: Final = frozenset({"application/fhir+json", "application/json", "text/json"})


class Reply(Struct, frozen=True):
    """What is answered: a status and, for a refusal, the issue type and a sentence."""

    status: int
    code: str | None = None
    message: str | None = None


class Receiver(Struct, frozen=True):
    """Receives for all registered servers; `wake` tells a worker in this process."""

    settings: AlertSettings
    queue: Queue
    wake: Callable[[], None] = field(default=lambda: None)

    def sender(self, endpoint: str, authorization: str) -> FhirServer | None:
        """The server that may send to this endpoint with this secret, in constant time."""
        found = next((s for s in self.settings.servers if s.endpoint == endpoint), None)
        expected = found.secret.get_secret_value() if found and found.secret else ""
        scheme, _, sent = authorization.partition(" ")
        same = hmac.compare_digest(
            sent.strip().encode("utf-8", "replace"), expected.encode("utf-8")
        )
        return found if same and expected and scheme.lower() == "bearer" else None

    def receive(
        self,
        endpoint: str,
        authorization: str,
        media_type: str,
        raw: bytes,
        now: datetime,
        *,
        resource: tuple[str, str] | None = None,
    ) -> Reply:
        """Answer one request; `resource` is the (type, id) its address ended with, if any."""
        server = self.sender(endpoint, authorization)
        if server is None:
            return Reply(401, "login")
        if raw and media_type not in _JSON:
            return Reply(415, "not-supported", "The body must be application/fhir+json.")
        try:
            body = _json_object(raw)
            if resource is not None:
                notification = read_resource_address(*resource, body)
            elif body is None:
                notification = POKE
            else:
                notification = read_notification(body, server.fhir_base)
        except NotificationError as error:
            return Reply(error.status, "invalid", error.message)
        digest = hashlib.sha256(canonical(body)).hexdigest()
        try:
            self._keep(server, notification, digest, now)
        except DatabaseError as error:
            log().error("event-not-kept", client=server.id, status=503, **error_fields(error))
            return Reply(503, "transient", "The event could not be kept; please send it again.")
        log().info(
            "notified",
            client=server.id,
            status=200,
            field=notification.meaning.value,
            count=len(notification.events),
        )
        self.wake()
        return Reply(200)

    def _keep(
        self, server: FhirServer, notification: Notification, digest: str, now: datetime
    ) -> None:
        with self.queue.database.writing() as connection:
            if notification.meaning is Meaning.POKE:
                self.queue.bump(connection, Kind.EVENT, server.id, "poke", {"ask": "recent"}, now)
                return
            if notification.subscription:
                shaken = notification.meaning is Meaning.HANDSHAKE
                status = "active" if shaken else notification.status
                watching.note(connection, server.id, notification.subscription, now, status=status)
            for event in notification.events:
                self._keep_event(connection, server, notification, event, digest, now)
            if notification.subscription:
                self._count(connection, server, notification, now)

    def _keep_event(
        self,
        connection: Connection,
        server: FhirServer,
        notification: Notification,
        event: Event,
        digest: str,
        now: datetime,
    ) -> None:
        body = {"focus": list(event.focuses)} if event.focuses else {"ask": "recent"}
        if notification.subscription and event.number is not None:
            key = event_key(notification.subscription, event.number)
            self.queue.add_once(connection, Kind.EVENT, server.id, key, body, now)
            return
        # Nothing tells two of these apart, so each is one more reason to look; whether there is
        # anything new is known once the resource has been read (see `sightings`).
        reasons = _digest("resource", *event.focuses, *(() if event.focuses else (digest,)))
        self.queue.bump(connection, Kind.EVENT, server.id, reasons, body, now)

    def _count(
        self,
        connection: Connection,
        server: FhirServer,
        notification: Notification,
        now: datetime,
    ) -> None:
        """Note how far the subscription has come, and look for what we did not hear."""
        name = notification.subscription
        numbers = [event.number for event in notification.events if event.number is not None]
        before = watching.last(connection, server.id, name)
        heard = before.number if before else None
        # A heartbeat carries the total too: events up to it were sent, or lost.
        first = min(numbers, default=(notification.total or 0) + 1)
        if heard is not None and first > heard + 1:
            gap: dict[str, Any] = {"ask": "recent"}
            if local(name, server.fhir_base):  # a subscription that we can ask for its events
                gap = {"gap": [heard + 1, first - 1], "subscription": name}
            key = _digest("gap", name, heard + 1, first - 1)
            self.queue.add_once(connection, Kind.EVENT, server.id, key, gap, now)
        reached = max([*numbers, notification.total or 0])
        watching.note(connection, server.id, name, now, number=reached)


def event_key(*parts: str | int) -> str:
    """The identity of an event: equal events have equal keys, and nothing can be read from one."""
    return _digest("event", *parts)


def _digest(*parts: str | int) -> str:
    return hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()


def _json_object(raw: bytes) -> Mapping[str, Any] | None:
    if not raw.strip():
        return None
    try:
        body = load_json(raw, limits=Limits(bytes=BODY_LIMIT))
    except (JsonError, RecursionError):
        raise NotificationError(400, "The body is not acceptable JSON.") from None
    if not isinstance(body, dict):
        raise NotificationError(400, "The body must be a JSON object.")
    return body
