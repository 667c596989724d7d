"""How far we have heard of each subscription and asked each server, durably."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, bindparam, case, select

from cds.alerts.tables import insert_into, watch
from cds.store import Database

_LAST: Final = select(watch).where(
    watch.c.server == bindparam("server_"), watch.c.name == bindparam("name_")
)


class Heard(Struct, frozen=True):
    """The last we heard of one subscription or poll."""

    server: str
    name: str
    number: int | None
    status: str | None
    at: datetime


def note(
    connection: Connection,
    server: str,
    name: str,
    now: datetime,
    *,
    number: int | None = None,
    status: str | None = None,
) -> None:
    """Record that we heard something; the number never falls, and a status stays until changed."""
    values = {"server": server, "name": name, "number": number, "status": status, "at": now}
    connection.execute(_note(connection.dialect.name), values)


def last(connection: Connection, server: str, name: str) -> Heard | None:
    """What we last heard under a name."""
    row = connection.execute(_LAST, {"server_": server, "name_": name}).first()
    return None if row is None else Heard(row.server, row.name, row.number, row.status, row.at)


def all_heard(database: Database, server: str) -> list[Heard]:
    """Everything we listen to at one server."""
    with database.reading() as connection:
        rows = connection.execute(
            select(watch).where(watch.c.server == server).order_by(watch.c.name)
        )
        return [Heard(row.server, row.name, row.number, row.status, row.at) for row in rows]


@cache
def _note(dialect: str) -> Any:
    statement = insert_into(dialect, watch)
    given = statement.excluded
    rises = watch.c.number.is_(None) | (given.number > watch.c.number)
    return statement.on_conflict_do_update(
        index_elements=["server", "name"],
        set_={
            "number": case(
                (given.number.is_(None), watch.c.number),
                (rises, given.number),
                else_=watch.c.number,
            ),
            "status": case((given.status.is_(None), watch.c.status), else_=given.status),
            "at": given.at,
        },
    )
