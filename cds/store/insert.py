"""Rows into a table by a statement that is compiled once.

SQLAlchemy prepares every execution of a statement anew, which takes longer than SQLite takes for
the row. A decision is several statements while a clinician waits, so what SQLAlchemy knows of
the table is asked once for each kind of database: the text, and how values are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert

_Row = Mapping[str, Any]


class Insert:
    """Writes rows that have a value for every column of the table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._made: dict[tuple[str, str], tuple[str, Callable[[_Row], Any]]] = {}

    def __call__(self, connection: Connection, rows: Sequence[_Row]) -> None:
        """Write rows, if there are any. Raises what SQLAlchemy raises."""
        if not rows:
            return
        dialect = connection.dialect
        kind = (dialect.name, dialect.driver)
        if kind not in self._made:
            self._made[kind] = self._make(dialect)
        statement, written = self._made[kind]
        values = [written(row) for row in rows]
        connection.exec_driver_sql(statement, values if len(values) > 1 else values[0])

    def _make(self, dialect: Dialect) -> tuple[str, Callable[[_Row], Any]]:
        columns = list(self._table.columns)
        names = [column.name for column in columns]
        compiled = insert(self._table).compile(dialect=dialect, column_keys=names)
        writers = [(c.name, c.type.dialect_impl(dialect).bind_processor(dialect)) for c in columns]
        if not compiled.positional:
            return str(compiled), lambda row: {
                name: write(row[name]) if write else row[name] for name, write in writers
            }
        return str(compiled), lambda row: tuple(
            [write(row[name]) if write else row[name] for name, write in writers]
        )
