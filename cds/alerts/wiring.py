"""Put receiver, queue and worker together from the settings, for the server and the commands."""

from __future__ import annotations

import atexit
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import httpx
from msgspec.structs import replace

from cds.alerts.inbox import StoredInbox
from cds.alerts.patience import Patience
from cds.alerts.patients import Ward
from cds.alerts.queue import Queue
from cds.alerts.receiver import Receiver
from cds.alerts.remote import Remote, SharedTransport
from cds.alerts.settings import AlertSettings, FhirServer, load_alert_settings
from cds.alerts.tables import create_tables, open_database
from cds.alerts.tokens import TokenSource
from cds.alerts.watch import Watchman
from cds.alerts.worker import Worker
from cds.services import Services
from cds.store import Cipher, Database
from cds.telemetry import log

if TYPE_CHECKING:
    from flask import Flask


@dataclass
class AlertServices:
    """Everything that receives, works and tells, for one process. Build it after a fork."""

    settings: AlertSettings
    queue: Queue
    receiver: Receiver
    worker: Worker
    watchman: Watchman
    http: httpx.Client
    pool: SharedTransport | None = None
    listener: socketserver.ThreadingTCPServer | None = None
    _threads: list[threading.Thread] = field(default_factory=list, repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def start(self) -> None:
        """Start the threads that work off the queue and watch the servers."""
        for number in range(self.settings.threads):
            self._start(f"alerts-{number}", lambda: self.worker.run(self._stop))
        self._start("alerts-watch", lambda: self.watchman.run(self._stop))
        if self.listener is not None:
            self._start("alerts-mllp", self.listener.serve_forever)
        log().info("alerts-working", threads=self.settings.threads)

    def wait(self) -> None:
        """Wait until stopped."""
        self._stop.wait()

    def leave(self) -> None:
        """Let `wait` return; safe in a signal handler."""
        self._stop.set()

    def stop(self, within_s: float = 30.0) -> None:
        """Finish the work in hand and end the threads."""
        self._stop.set()
        self.worker.wake.set()
        if self.listener is not None and self._threads:
            self.listener.shutdown()
        for thread in self._threads:
            thread.join(within_s)
        self._threads.clear()

    def close(self) -> None:
        """Stop, and give back connections."""
        self.stop()
        if self.listener is not None:
            self.listener.server_close()
        self.http.close()
        if self.pool is not None:
            self.pool.close_pool()
        self.queue.database.close()
        self.worker.queue.database.close()

    def _start(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


def build_alerts(
    services: Services,
    settings: AlertSettings,
    *,
    transport: httpx.BaseTransport | None = None,
    now: Callable[[], datetime] | None = None,
) -> AlertServices:
    """Build the alert services beside the services of this process.

    `transport` replaces the network in tests, `now` the clock.
    """
    database = open_database(services.settings.database)
    create_tables(database)
    now = now or services.clock.now
    queue = open_queue(database, services.store.cipher, settings)
    # What a run recorded and a power cut lost is done again, with the same result.
    repeatable = open_database(services.settings.database, power_cut_safe=False)
    working = replace(queue, database=repeatable)
    pool = SharedTransport() if transport is None else None
    transport = transport or pool
    http = httpx.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=10.0)
    remotes = {
        server.id: _remote(server, http, transport, now, services.clock.monotonic)
        for server in settings.servers
    }
    ward = Ward(services, working)
    worker = Worker(
        working, ward, remotes, now, settings.poll_s, monotonic=services.clock.monotonic
    )
    return AlertServices(
        settings=settings,
        queue=queue,
        receiver=Receiver(settings, queue, worker.wake.set),
        worker=worker,
        watchman=Watchman(settings, queue, remotes, worker.wake.set, now),
        http=http,
        pool=pool,
    )


def listen_for_messages(alerts: AlertServices, services: Services) -> None:
    """Accept HL7 v2 messages too, if the settings say so; one process of a machine does it."""
    chosen = alerts.settings.mllp
    server = alerts.settings.server(chosen.server) if chosen else None
    if chosen is None or server is None:
        return
    from cds.alerts.mllp import MessageDesk, listen

    desk = MessageDesk(
        server,
        alerts.queue,
        lambda: services.knowledge.rulebook.drug,
        services.clock.now,
        alerts.worker.wake.set,
    )
    alerts.listener = listen(desk, chosen.host, chosen.port)


def open_queue(database: Database, cipher: Cipher, settings: AlertSettings) -> Queue:
    """The queue with the patience of the settings."""
    patience = Patience(
        lease=timedelta(seconds=settings.lease_s),
        settle=timedelta(seconds=settings.settle_s),
        give_up=timedelta(hours=settings.give_up_hours),
    )
    return Queue(database, cipher, patience)


def attach(app: Flask, services: Services) -> AlertServices | None:
    """Let an application receive notifications, and work them off in this process if configured.

    Does nothing without an alerts file.
    """
    from cds.alerts.blueprint import blueprint

    settings = load_alert_settings(services.settings)
    if not settings.servers:
        return None
    alerts = build_alerts(services, settings)
    services.inbox = StoredInbox(alerts.queue.database, services.store.cipher)
    app.register_blueprint(blueprint(alerts.receiver, services.clock.now))
    if settings.embedded_worker:
        alerts.start()
        # A worker process that is told to end finishes what it has in hand, so that nobody has to
        # wait for its leases.
        atexit.register(alerts.stop, 10.0)
    return alerts


def _remote(
    server: FhirServer,
    http: httpx.Client,
    transport: httpx.BaseTransport | None,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
) -> Remote:
    tokens = TokenSource(server.backend, http, now) if server.backend else None
    return Remote(server, http, tokens, transport, monotonic)
