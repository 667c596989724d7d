"""The statements by which work gets reasons to be done, made once for each kind of database.

Building a statement anew costs several times what running it does. Both take the values of a new
row of work and give back what is said of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import and_, bindparam, case, or_

from cds.alerts.tables import insert_into, work
from cds.store.tables import UtcTime


@cache
def add_once(dialect: str) -> Any:
    """A new row unless there ever was one; its id, or nothing."""
    statement = insert_into(dialect, work)
    statement = statement.on_conflict_do_nothing(index_elements=["kind", "server", "key"])
    return statement.returning(work.c.id)


@cache
def bump(dialect: str) -> Any:
    """A new row, or one more reason for the row that is there; the number of reasons.

    It settles until the new `due`, unless it waits since before `settled`, or since a time later
    than `ahead`, which shows a clock that was set back.
    """
    statement = insert_into(dialect, work)
    new = statement.excluded
    waiting = and_(work.c.state == "open", work.c.wanted > work.c.done)
    long = or_(
        work.c.opened <= bindparam("settled", type_=UtcTime),
        work.c.opened > bindparam("ahead", type_=UtcTime),
    )
    statement = statement.on_conflict_do_update(
        index_elements=["kind", "server", "key"],
        set_={
            "wanted": work.c.wanted + 1,
            "state": "open",
            "body": new.body,
            "updated": new.updated,
            "due": case((and_(waiting, long), new.updated), else_=new.due),
            "opened": case((waiting, work.c.opened), else_=new.opened),
            # Work that was given up gets its full patience again for a new reason.
            "attempts": case((work.c.state == "open", work.c.attempts), else_=0),
            "failing_since": case((work.c.state == "open", work.c.failing_since), else_=None),
            "claims": case((work.c.state == "open", work.c.claims), else_=0),
        },
    )
    return statement.returning(work.c.wanted)
