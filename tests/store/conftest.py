"""The same tests run on SQLite and on a real PostgreSQL that starts for the session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds.store import Cipher, Database, Store
from cds.store.migrate import downgrade, upgrade
from tests.postgresql import running

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


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
