"""Alert services over a temporary database, a FHIR server in memory, and a clock that stands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds.alerts import AlertServices, AlertSettings, build_alerts
from cds.alerts.blueprint import blueprint
from cds.alerts.inbox import listed
from cds.services import Services, build_services, open_store
from cds.services.clock import Clock
from cds.services.knowledge import Knowledge, load_knowledge
from cds.settings import Settings
from cds.store.migrate import upgrade
from tests.alerts.build import BEARER, ENDPOINT, FakeClock, alert_settings, patient_on_imatinib
from tests.alerts.fake_fhir import FakeFhir
from tests.postgresql import running


@pytest.fixture(scope="session")
def knowledge() -> Iterator[Knowledge]:
    loaded = load_knowledge(Settings())
    yield loaded
    loaded.rulebook.close()


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, copied for each test: migrating takes longer than most tests."""
    directory = tmp_path_factory.mktemp("prepared")
    store = open_store(Settings(data_dir=directory))
    upgrade(store.database)
    store.database.close()
    return directory


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


@pytest.fixture
def data_dir(tmp_path: Path, prepared_database: Path) -> Path:
    return Path(shutil.copytree(prepared_database, tmp_path / "data"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fhir(clock: FakeClock) -> FakeFhir:
    """A server that knows one patient on imatinib and no level yet."""
    server = FakeFhir(now=clock.now)
    patient_on_imatinib(server)
    return server


@dataclass
class Site:
    """One installation: send it a notification, let it work, see what is there."""

    fhir: FakeFhir
    clock: FakeClock
    services: Services
    alerts: AlertServices
    http: FlaskClient

    def notify(
        self, body: Any = None, *, path: str = "", method: str = "POST", bearer: str = BEARER
    ) -> int:
        """Send a notification; the status it was answered with."""
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body)
        answer = self.http.open(
            f"/subscriptions/{ENDPOINT}{path}",
            method=method,
            data=sent,
            content_type="application/fhir+json",
            headers={"Authorization": bearer} if bearer else {},
        )
        return answer.status_code

    def work(self) -> int:
        """Do everything that is due now."""
        return self.alerts.worker.drain(500)

    def inbox(self) -> list[dict[str, Any]]:
        """The cards of the alerts that stand."""
        database, cipher = self.alerts.queue.database, self.alerts.queue.cipher
        return [dict(row["card"]) for row in listed(database, cipher)]

    def tasks(self, status: str = "requested") -> list[dict[str, Any]]:
        return [task for task in self.fhir.of("Task") if task["status"] == status]

    def rows(self, **where: str) -> list[Any]:
        """Rows of work, as an operator sees them."""
        from cds.alerts.operator import find_work

        return find_work(self.alerts.queue, **where)


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(
    data_dir: Path, knowledge: Knowledge, fhir: FakeFhir, clock: FakeClock
) -> Iterator[MakeSite]:
    made: list[Site] = []

    def make(settings: AlertSettings | None = None, **more: Any) -> Site:
        chosen = Settings(data_dir=data_dir, **more)
        services = build_services(
            chosen,
            clock=Clock(clock.now, clock.monotonic),
            knowledge=knowledge,
            store=open_store(chosen),
        )
        alerts = build_alerts(services, settings or alert_settings(), transport=fhir.transport)
        app = Flask("test")
        app.register_blueprint(blueprint(alerts.receiver, clock.now))
        site = Site(fhir, clock, services, alerts, app.test_client())
        made.append(site)
        return site

    yield make
    for site in made:
        site.alerts.close()
        site.services.store.database.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
