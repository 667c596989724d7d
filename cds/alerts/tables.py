"""What alerts keep, in tables of their own beside the store's; `body` columns are encrypted.

They stand apart from the ledger's tables because they are worked with, not kept: rows change state,
and may be removed when their work is done. Creation is additive and safe to repeat.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    event,
    inspect,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from cds.store import Database
from cds.store.tables import UtcTime

metadata = MetaData()

work = Table(
    "alert_work",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("server", String(63), nullable=False),
    Column("key", String(64), nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("opened", UtcTime, nullable=False),
    Column("lease", String(32)),
    Column("lease_until", UtcTime, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failing_since", UtcTime),
    Column("problem", String(120)),
    Column("body", LargeBinary, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    UniqueConstraint("kind", "server", "key", name="alert_work_once"),
    Index("alert_work_due", "state", "due"),
)
"""Work to do: `wanted` counts the reasons to do it, `done` those the last run covered."""

seen = Table(
    "alert_seen",
    metadata,
    Column("server", String(63), primary_key=True),
    Column("observation", String(64), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("patient_key", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("fresh", Boolean, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("alert_seen_patient", "server", "patient_key"),
)
"""Observations that gave cause for work. `held`: the body carries the resource itself (HL7 v2)."""

slot = Table(
    "alert_inbox",
    metadata,
    Column("server", String(63), primary_key=True),
    Column("patient_key", String(64), primary_key=True),
    Column("matter", String(40), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("card", String(36), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("reason", String(40)),
    Column("evaluation", String(36), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""The built-in inbox: what was last said about each matter of each patient."""

watch = Table(
    "alert_watch",
    metadata,
    Column("server", String(63), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("number", Integer),
    Column("status", String(20)),
    Column("at", UtcTime, nullable=False),
)
"""How far we have heard of each subscription, and how far we have asked each server."""

_LOCK = 6_011_2027  # PostgreSQL: an arbitrary number that all our processes share


def create_tables(database: Database) -> None:
    """Create what is missing; several processes may do so at once."""
    with database.reading() as connection:
        there = set(inspect(connection).get_table_names())
    if there.issuperset(metadata.tables):
        return
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda i: str(i.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))


def drop_tables(database: Database) -> None:
    """Remove the tables and everything in them."""
    with database.writing() as connection:
        metadata.drop_all(connection)


def open_database(url: str, *, power_cut_safe: bool = True) -> Database:
    """A database whose commits survive a power cut, not only a killed process.

    The store's SQLite engine writes with synchronous=NORMAL, which may lose the last commits when
    the machine dies; a notification that was answered with 2xx must not be among them. Work that is
    merely done again may be (`power_cut_safe` False): that saves waiting for the disk.
    """
    database = Database(url)
    if database.url.get_backend_name() == "sqlite":
        event.listen(database.engine, "connect", _wait_for_others)
        if power_cut_safe:
            event.listen(database.engine, "connect", _sync_fully)
    return database


def insert_into(dialect: str, table: Table) -> Any:
    """An INSERT that can say what to do on conflict, in the dialect of a database."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _wait_for_others(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


def _sync_fully(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
