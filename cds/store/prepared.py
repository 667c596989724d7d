"""The statements of a decision, past SQLAlchemy.

SQLAlchemy prepares every execution of a statement anew, which takes longer than SQLite takes for
it, and a clinician waits. So what it knows of a statement is asked once: the text, and how values
are written and read. The driver executes it on SQLAlchemy's connection, in its transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table, insert

_Row = Mapping[str, Any]
_Reader = Callable[[Any], Any] | None
_MOST = 64
"""Statements kept; a dialect belongs to one database, of which a process has one."""


def write_rows(connection: Connection, table: Table, rows: Sequence[_Row]) -> None:
    """Write rows that have a value for every column, if there are any.

    Raises what the driver raises; `Database` makes a DatabaseError of it.
    """
    if not rows:
        return
    statement, written = _insert(table, connection.dialect)
    values = [written(row) for row in rows]
    with closing(connection.connection.cursor()) as cursor:
        if len(values) > 1:
            cursor.executemany(statement, values)
        else:
            cursor.execute(statement, values[0])


def read_rows(
    connection: Connection, query: Select[Any], given: Mapping[str, str]
) -> list[list[Any]]:
    """Return the rows of a query whose parameters are texts, values in its order.

    Raises what the driver raises; `Database` makes a DatabaseError of it.
    """
    statement, order, readers = _select(query, connection.dialect)
    values: Any = given if order is None else [given[name] for name in order]
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(statement, values)
        return [
            [read(value) if read else value for read, value in zip(readers, row, strict=True)]
            for row in cursor.fetchall()
        ]


@lru_cache(maxsize=_MOST)
def _insert(table: Table, dialect: Dialect) -> tuple[str, Callable[[_Row], Any]]:
    columns = list(table.columns)
    names = [column.name for column in columns]
    compiled = insert(table).compile(dialect=dialect, column_keys=names)
    writers = [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in columns]
    if not compiled.positional:
        return str(compiled), lambda row: {
            name: write(row[name]) if write else row[name] for name, write in writers
        }
    return str(compiled), lambda row: tuple(
        [write(row[name]) if write else row[name] for name, write in writers]
    )


@lru_cache(maxsize=_MOST)
def _select(
    query: Select[Any], dialect: Dialect
) -> tuple[str, Sequence[str] | None, list[_Reader]]:
    compiled = query.compile(dialect=dialect)
    readers: list[_Reader] = [
        column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in query.selected_columns
    ]
    return str(compiled), compiled.positiontup, readers
