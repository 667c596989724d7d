"""What an operator sees and does: work that waits, fails or was given up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from cds.alerts.queue import Queue
from cds.alerts.tables import work


class WorkLine(Struct, frozen=True):
    """One row of work without clinical content."""

    id: int
    kind: str
    server: str
    state: str
    problem: str | None
    attempts: int
    failing_since: datetime | None
    due: datetime
    created: datetime


def find_work(
    queue: Queue, *, state: str | None = None, kind: str | None = None, limit: int = 100
) -> list[WorkLine]:
    """Rows of work, those that need an operator first."""
    statement = select(work)
    if state is not None:
        statement = statement.where(work.c.state == state)
    if kind is not None:
        statement = statement.where(work.c.kind == kind)
    # 'dead' sorts before 'done' and 'open'.
    statement = statement.order_by(work.c.state, work.c.failing_since, work.c.id).limit(limit)
    with queue.database.reading() as connection:
        rows = connection.execute(statement).all()
    return [_line(row) for row in rows]


def show_work(queue: Queue, row_id: int) -> tuple[WorkLine, Mapping[str, Any]] | None:
    """One row and its body, which holds clinical content."""
    with queue.database.reading() as connection:
        row = connection.execute(select(work).where(work.c.id == row_id)).first()
    return None if row is None else (_line(row), queue.opened_body(row))


def _line(row: Any) -> WorkLine:
    return WorkLine(
        row.id,
        row.kind,
        row.server,
        row.state,
        row.problem,
        row.attempts,
        row.failing_since,
        row.due,
        row.created,
    )
