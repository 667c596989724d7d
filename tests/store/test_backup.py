"""A backup is a whole, checked copy, taken while others write."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cds.store import Database, DatabaseError
from cds.store.backup import back_up
from cds.store.migrate import upgrade


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'tdm.sqlite3'}")
    upgrade(database)
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE pairs (a INTEGER, b INTEGER)"))
    yield database
    database.close()


def test_a_copy_taken_while_others_write_holds_whole_transactions_only(
    database: Database, tmp_path: Path
) -> None:
    written, stop = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with database.writing() as connection:
                connection.execute(text("INSERT INTO pairs VALUES (:n, NULL)"), {"n": number})
                connection.execute(text("UPDATE pairs SET b = :n WHERE a = :n"), {"n": number})
            written.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert written.wait(10)
    try:
        size = back_up(database, tmp_path / "copy.sqlite3")
    finally:
        stop.set()
        writer.join()

    with sqlite3.connect(tmp_path / "copy.sqlite3") as copy:
        (count, halves) = copy.execute("SELECT count(*), count(*) - count(b) FROM pairs").fetchone()
    assert size == (tmp_path / "copy.sqlite3").stat().st_size
    assert count >= 1
    assert halves == 0


def test_only_its_owner_can_read_the_copy(database: Database, tmp_path: Path) -> None:
    back_up(database, tmp_path / "copy.sqlite3")

    assert stat.S_IMODE((tmp_path / "copy.sqlite3").stat().st_mode) == 0o600


def test_an_existing_file_is_not_overwritten(database: Database, tmp_path: Path) -> None:
    (tmp_path / "copy.sqlite3").write_text("precious")

    with pytest.raises(DatabaseError, match="not overwritten"):
        back_up(database, tmp_path / "copy.sqlite3")
    assert (tmp_path / "copy.sqlite3").read_text() == "precious"


def test_a_damaged_database_leaves_no_copy_behind(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"not a database at all" * 100)

    with pytest.raises(DatabaseError, match="failed"):
        back_up(Database(f"sqlite:///{damaged}"), tmp_path / "copy.sqlite3")
    assert not (tmp_path / "copy.sqlite3").exists()


def test_another_database_is_left_to_its_own_tools(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="pg_dump"):
        back_up(Database("postgresql://127.0.0.1/tdm"), tmp_path / "copy.sqlite3")


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"none\.sqlite3 does not exist"):
        back_up(Database(f"sqlite:///{tmp_path / 'none.sqlite3'}"), tmp_path / "copy.sqlite3")
