"""Copy a SQLite database while others use it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from cds.store.database import Database, DatabaseError

_PAGES_AT_ONCE = 256


def back_up(database: Database, target: Path) -> int:
    """Write a consistent copy to `target` and check it; returns its size in bytes.

    Raises DatabaseError if the database is not a SQLite file, if `target` exists, or if the copy
    is not sound; what was written of it is then removed. The copy is readable by its owner only.
    """
    source = database.url.database
    if database.url.get_backend_name() != "sqlite" or not source or source == ":memory:":
        raise DatabaseError("only a SQLite file is copied here; for PostgreSQL use pg_dump")
    if not Path(source).is_file():
        raise DatabaseError(f"{source} does not exist")
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise DatabaseError(f"{target} exists and is not overwritten") from None
    except OSError as error:
        raise DatabaseError(f"{target} cannot be written: {error.strerror}") from None
    try:
        _copy(Path(source), target)
    except sqlite3.Error as error:
        target.unlink()
        raise DatabaseError(f"the copy failed: {error}") from None
    return target.stat().st_size


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as origin,
        closing(sqlite3.connect(target)) as copy,
    ):
        origin.backup(copy, pages=_PAGES_AT_ONCE)
        # A copy that stands alone needs no log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")
