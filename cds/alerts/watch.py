"""Watch over what should reach us: heartbeats, ended subscriptions, servers that must be asked.

Everything done here is safe to do in several processes at once: it adds reasons to look, or asks a
server for what it already does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import delete

from cds.alerts import watching
from cds.alerts.notification import local
from cds.alerts.queue import Kind, Queue
from cds.alerts.remote import Refused, Remote
from cds.alerts.settings import AlertSettings, FhirServer
from cds.alerts.subscription import RENEW_BEFORE, Subscribed, request_again
from cds.alerts.tables import work
from cds.fhir.client import FetchError
from cds.store import DatabaseError
from cds.telemetry import error_fields, log

_EVERY_S: Final = 15.0
_POLLED: Final = "polled"
_SILENT_PERIODS: Final = 3
_KEPT: Final = timedelta(days=30)
"""How long finished events are remembered; a server does not repeat one after that."""


class Watchman(Struct, frozen=True):
    """Looks after the servers of the settings."""

    settings: AlertSettings
    queue: Queue
    remotes: Mapping[str, Remote]
    wake: Callable[[], None]
    now: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds until told to stop."""
        while not stop.is_set():
            try:
                self.look()
            except DatabaseError as error:
                log().error("watch-failed", **error_fields(error))
            stop.wait(_EVERY_S)

    def look(self) -> None:
        """Look once."""
        now = self.now()
        self.queue.mend(now)
        for server in self.settings.servers:
            self._poll(server, now)
            self._listen(server, now)
        self._forget(now)

    def remember(self, server: FhirServer, done: Subscribed) -> None:
        """Watch over a Subscription from now on, also over one that never names itself.

        Plain criteria Subscriptions send no heartbeats, and what they send does not say whose it
        is: they are asked after in the same intervals.
        """
        if done.id is None:
            return
        with self.queue.database.writing() as connection:
            name = f"Subscription/{done.id}"
            watching.note(connection, server.id, name, self.now(), status="requested")

    def _poll(self, server: FhirServer, now: datetime) -> None:
        if server.poll_minutes is None:
            return
        with self.queue.database.reading() as connection:
            before = watching.last(connection, server.id, _POLLED)
        every = timedelta(minutes=server.poll_minutes)
        # A time ahead of us shows a clock that was set back; waiting for it could take days.
        if before is not None and now - every < before.at <= now:
            return
        self._ask(server, now)

    def _listen(self, server: FhirServer, now: datetime) -> None:
        """Ask after every subscription from which we have heard nothing for too long."""
        patience = timedelta(seconds=_SILENT_PERIODS * self.settings.heartbeat_s)
        if not patience:
            return
        for heard in watching.all_heard(self.queue.database, server.id):
            if not local(heard.name, server.fhir_base):
                continue
            if now - patience < heard.at <= now:
                continue
            status = self._ask_after(server, heard.name, now)
            with self.queue.database.writing() as connection:
                watching.note(connection, server.id, heard.name, now, status=status)
            say = log().info if status == "active" else log().warning
            say("subscription-silent", client=server.id, problem=status, count=heard.number or 0)
            # Whatever the server says: something may have been filed meanwhile.
            self._ask(server, now)

    def _ask_after(self, server: FhirServer, name: str, now: datetime) -> str:
        """The status of a Subscription; one that has stopped or soon ends is requested again."""
        remote = self.remotes[server.id]
        try:
            with remote.reading() as client:
                subscription = client.get(name)
            status = str(subscription.get("status", "unknown"))[:20]
            if status in {"error", "off"} or _ends_soon(subscription.get("end"), now):
                request_again(remote, subscription, now)
                return "requested"
        except FetchError as error:
            return error.reason[:20]
        except Refused as refusal:
            return refusal.problem[:20]
        return status

    def _ask(self, server: FhirServer, now: datetime) -> None:
        with self.queue.database.writing() as connection:
            self.queue.bump(connection, Kind.EVENT, server.id, "poke", {"ask": "recent"}, now)
            watching.note(connection, server.id, _POLLED, now)
        self.wake()

    def _forget(self, now: datetime) -> None:
        with self.queue.database.writing() as connection:
            connection.execute(
                delete(work).where(
                    work.c.kind == Kind.EVENT.value,
                    work.c.state == "done",
                    work.c.updated < now - _KEPT,
                )
            )


def _ends_soon(end: object, now: datetime) -> bool:
    try:
        at = datetime.fromisoformat(end) if isinstance(end, str) else None
    except ValueError:
        return False
    return at is not None and at.tzinfo is not None and at < now + RENEW_BEFORE
