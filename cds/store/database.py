"""One engine per process, and the schema it must find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from cds.store.jsontext import encode
from cds.store.trouble import trouble_of

SCHEMA_HEAD = "0005"
"""The newest migration; the service refuses to run on another schema."""

_BUSY_TIMEOUT_MS = 1000


class DatabaseError(Exception):
    """The database cannot be used; the message says what to do, without the URL's password.

    `problem` is a stable word for the log.
    """

    def __init__(self, message: str, problem: str = "database") -> None:
        super().__init__(message)
        self.problem = problem


class ConstraintError(DatabaseError):
    """A row is there already, or the table is append-only."""


class Database:
    """A lazily connected engine with the pragmas that SQLite needs."""

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
            if self.url.get_backend_name() == "postgresql" and "+" not in self.url.drivername:
                self.url = self.url.set(drivername="postgresql+psycopg")
            self.engine = self._engine()
        except (ArgumentError, NoSuchModuleError) as error:
            raise DatabaseError(f"the database URL cannot be used: {error}") from None
        except ModuleNotFoundError as error:
            raise DatabaseError(
                f"the driver {error.name} is not installed; "
                "for PostgreSQL: pip install 'psycopg[binary]'"
            ) from None

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end; DatabaseError when the database fails."""
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading; DatabaseError when the database fails."""
        with self._translated(), self.engine.connect() as connection:
            yield connection

    def revision(self) -> str | None:
        """The migration the database stands at; None when it was never prepared."""
        with self.reading() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def check(self) -> str | None:
        """Say why the database cannot be used now, or None."""
        try:
            found = self.revision()
        except DatabaseError as error:
            return f"{self.shown} cannot be used: {error}"
        if found == SCHEMA_HEAD:
            return None
        stands = "is empty" if found is None else f"stands at schema {found}"
        cure = "run `imatinib-tdm db upgrade`"
        return f"{self.shown} {stands}, this version needs {SCHEMA_HEAD}: {cure}"

    def unwritable(self) -> str | None:
        """Say why nothing can be recorded now, or None; found by writing what is there already.

        A file can be read on a full disk or without the right to write. A server of which that is
        true is down, and its own monitoring says so.
        """
        if self.url.get_backend_name() != "sqlite":
            return None
        try:
            with self.writing() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        except DatabaseError as error:
            return f"{self.shown} cannot be written: {error}"
        return None

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn failures into DatabaseError: the original's message holds statement and values."""
        driver: Any = self.engine.dialect.dbapi  # executes the statements of `cds.store.prepared`
        try:
            yield
        except (IntegrityError, driver.IntegrityError):
            raise ConstraintError("the database refused a row that breaks a constraint") from None
        except (SQLAlchemyError, driver.Error) as error:
            problem, words = trouble_of(error)
            raise DatabaseError(f"the database failed: {words}", problem) from None

    def _engine(self) -> Engine:
        if self.url.get_backend_name() != "sqlite":
            return create_engine(
                self.url,
                pool_pre_ping=True,
                pool_size=8,
                pool_timeout=1.0,
                json_serializer=_as_json,
            )
        if self.url.database and self.url.database != ":memory:":
            _make_directory(Path(self.url.database).parent)
        engine = create_engine(self.url, json_serializer=_as_json)
        event.listen(engine, "connect", _sqlite_pragmas)
        return engine


def _as_json(value: Any) -> str:
    return encode(value).decode()


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"{directory} cannot be made: {error.strerror}; name another as data_dir"
        ) from None


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL lets readers and one writer work together; with it, NORMAL survives a killed process.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
