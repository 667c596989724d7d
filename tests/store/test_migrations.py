"""The schema: what the migrations make is what the code expects."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cds.store import Database, DatabaseError
from cds.store.database import SCHEMA_HEAD
from cds.store.migrate import downgrade, head, upgrade
from cds.store.tables import metadata


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database):
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert differences == []


def test_the_version_the_code_asks_for_is_the_newest_migration():
    assert head() == SCHEMA_HEAD


def test_upgrading_twice_changes_nothing_and_downgrading_removes_all(database: Database):
    upgrade(database)
    assert database.check() is None

    downgrade(database, "base")

    assert "db upgrade" in database.check()
    upgrade(database)
    assert database.check() is None


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path):
    database = Database("postgresql://me:s3cret@127.0.0.1:1/none?connect_timeout=1")

    problem = database.check()

    assert problem is not None
    assert "127.0.0.1:1" in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("url", ["nonsense", "mystery://host/db"])
def test_a_url_that_is_none_is_refused(url: str):
    with pytest.raises(DatabaseError):
        Database(url)
