"""What keeps a database from working is named, so that somebody at night knows what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from cds.store import Database, DatabaseError
from cds.store import database as of_the_store
from cds.telemetry import error_fields


def _written(database: Database, *statements: str) -> None:
    with closing(database), database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def full(file: Path) -> None:
    fill = "CREATE TABLE filled AS SELECT zeroblob(100000) AS x"
    _written(Database(f"sqlite:///{file}"), "PRAGMA max_page_count=4", fill)


def damaged(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)
    _written(Database(f"sqlite:///{file}"), "SELECT 1")


def read_only(file: Path) -> None:
    _written(Database(f"sqlite:///{file}"), "CREATE TABLE t (x)")
    _written(Database(f"sqlite:///{file}"), "PRAGMA query_only=1", "INSERT INTO t VALUES (1)")


def a_directory(file: Path) -> None:
    file.mkdir()
    _written(Database(f"sqlite:///{file}"), "SELECT 1")


def locked(file: Path) -> None:
    _written(Database(f"sqlite:///{file}"), "CREATE TABLE t (x)")
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        _written(Database(f"sqlite:///{file}"), "INSERT INTO t VALUES (1)")


@pytest.mark.parametrize(
    ("trouble", "problem", "cure"),
    [
        (full, "disk-full", "room on the disk"),
        (damaged, "damaged", "restore a backup"),
        (read_only, "read-only", "rights"),
        (a_directory, "not-opened", "directory"),
        (locked, "locked", "another process"),
    ],
)
def test_the_trouble_has_a_word_for_the_log_and_a_sentence_for_people(
    trouble: Callable[[Path], None],
    problem: str,
    cure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_the_store, "_BUSY_TIMEOUT_MS", 0)

    with pytest.raises(DatabaseError, match=cure) as raised:
        trouble(tmp_path / "tdm.sqlite3")

    assert error_fields(raised.value)["problem"] == problem
