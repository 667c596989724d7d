"""An application over a temporary database, a stopped clock, and a desk that can be replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient

from cds.services import Services, build_services, open_store
from cds.services.knowledge import Knowledge, load_knowledge
from cds.settings import ClientSettings, Limits, Settings
from cds.store import Store
from cds.store.migrate import upgrade
from cds.web import create_app
from tests.web.fakes import FakeClock, FakeDesk
from tests.web.smart import ELSEWHERE, Hospital, NaughtyServer, registered, running_ehr
from tests.web.tokens import BASE, registration
from tests.web.wire import LIMIT, Ask, answering


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Tests that look at the log configure it themselves; the others need none."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


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


@pytest.fixture
def data_dir(tmp_path: Path, prepared_database: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    for file in prepared_database.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    return directory


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make_services(
    data_dir: Path, clock: FakeClock, knowledge: Knowledge
) -> Iterator[Callable[..., Services]]:
    stores: list[Store] = []

    def make(*, desk: Any = None, obtainer: Any = None, **settings: Any) -> Services:
        chosen = Settings(data_dir=data_dir, **settings)
        store = open_store(chosen)
        stores.append(store)
        services = build_services(
            chosen, clock=clock.clock, knowledge=knowledge, store=store, obtainer=obtainer
        )
        if desk is not None:
            services.desk = desk
        return services

    yield make
    for store in stores:
        store.database.close()


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(make_services: Callable[..., Services], desk: FakeDesk) -> FlaskClient:
    """The open loopback service with a desk that records calls and answers no cards."""
    return create_app(make_services(desk=desk)).test_client()


@pytest.fixture
def ask(make_services: Callable[..., Services], desk: FakeDesk) -> Iterator[Ask]:
    """Send bytes over TCP; the answer, and whether the connection would be used again."""
    app = create_app(make_services(desk=desk, loopback_limits=Limits(body_bytes=LIMIT)))
    with answering(app) as send:
        yield send


@pytest.fixture
def ehr(clock: FakeClock) -> Iterator[NaughtyServer]:
    with running_ehr(clock) as running:
        yield running


@pytest.fixture
def hospital(
    make_services: Callable[..., Services], ehr: NaughtyServer, clock: FakeClock
) -> Callable[..., Hospital]:
    def make(**smart: Any) -> Hospital:
        south = registration(id="south", issuer=ELSEWHERE, fhir_base=ELSEWHERE)
        clients = tuple(
            ClientSettings.model_validate(one) for one in (registered(ehr, **smart), south)
        )
        services = make_services(clients=clients, public_base_url=BASE, deadline_s=10)
        return Hospital(services, ehr, clock)

    return make
