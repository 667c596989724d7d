"""The processes that chaos kills: a receiver and a worker, as in production but for the network.

They are forked from a server process that has imported the product and read the rulebook once, so
that a restart takes as long as a fork and not as long as a start of Python.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from cds.alerts import AlertServices, AlertSettings, build_alerts
from cds.services import Services, build_services, open_store
from cds.services.clock import Clock
from cds.services.knowledge import load_knowledge
from cds.settings import LedgerSettings, Settings
from tests.alerts.build import alert_settings, north
from tests.alerts.chaos_clock import ZONE, SetClock

KEY = "07" * 32
KNOWLEDGE = load_knowledge(Settings())


@dataclass(frozen=True, slots=True)
class Place:
    """Where the processes find their database and the FHIR server."""

    data_dir: Path
    database_url: str | None
    fhir_base: str
    port: int
    settle_s: float = 0.0
    lease_s: float = 2.0
    """So short that take-over is seen at once."""
    threads: int = AlertSettings().threads
    poll_s: float = 0.02
    """So short that little of a round is waiting."""
    clock: Path | None = None
    """Where the clock is that they go by, if not this machine's."""

    @property
    def settings(self) -> Settings:
        ledger = LedgerSettings.model_validate({"key": KEY})
        return Settings(
            data_dir=self.data_dir, database_url=self.database_url, ledger=ledger, time_zone=ZONE
        )


def build(place: Place) -> tuple[Services, AlertServices]:
    """The services of one process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    os.environ["TZ"] = ZONE  # summer time begins and ends there
    time.tzset()
    settings = place.settings
    clock = Clock(SetClock(place.clock).ours) if place.clock else Clock()
    services = build_services(
        settings, clock=clock, knowledge=KNOWLEDGE, store=open_store(settings)
    )
    chosen = alert_settings(
        north(fhir_base=place.fhir_base),
        lease_s=place.lease_s,
        poll_s=place.poll_s,
        settle_s=place.settle_s,
        threads=place.threads,
    )
    return services, build_alerts(services, chosen)


def receive(place: Place) -> None:
    """Receive notifications until killed."""
    _serve(place, *build(place))


def receive_and_labour(place: Place) -> None:
    """Receive notifications and work them off in the same process until killed."""
    services, alerts = build(place)
    gc.collect()
    gc.freeze()
    alerts.start()
    _serve(place, services, alerts)


def _serve(place: Place, services: Services, alerts: AlertServices) -> None:
    from flask import Flask
    from werkzeug.serving import make_server

    from cds.alerts.blueprint import blueprint

    app = Flask("chaos")
    app.register_blueprint(blueprint(alerts.receiver, services.clock.now))
    make_server("127.0.0.1", place.port, app, threaded=True).serve_forever()


def labour(place: Place) -> None:
    """Work off the queue until killed."""
    _, alerts = build(place)
    gc.collect()
    gc.freeze()
    alerts.start()
    alerts.wait()
