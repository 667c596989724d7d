"""Who looked at the data of which decision; never changed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection, insert, select

from cds.store.tables import look


class Way(StrEnum):
    """How somebody came to the page."""

    SIGNED_IN = "signed-in"
    LINK = "link"
    MACHINE = "machine"
    """At the machine itself, where no client is registered."""


class Look(Struct, frozen=True):
    """Somebody was shown something; `evaluation` is None for a list of several patients."""

    at: datetime
    what: str
    way: Way
    client: str | None
    user: str | None
    evaluation: str | None


def record(connection: Connection, one: Look) -> None:
    """Keep one look."""
    connection.execute(
        insert(look).values(
            at=one.at,
            what=one.what,
            way=one.way.value,
            client=one.client,
            user_reference=one.user[:255] if one.user else None,
            evaluation=one.evaluation,
        )
    )


def since(connection: Connection, first: datetime | None) -> Iterator[tuple[int, Look]]:
    """Yield number and look, oldest first, from a time on."""
    query = select(look).order_by(look.c.id)
    if first is not None:
        query = query.where(look.c.at >= first)
    for row in connection.execute(query):
        yield (
            row.id,
            Look(row.at, row.what, Way(row.way), row.client, row.user_reference, row.evaluation),
        )
