"""The statements by which work gets into somebody's hands, each one statement and made once.

Building a statement anew costs more than running it. All take the values of `at`; those that take
rows also the values `hands` and `until`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import String, bindparam, func, or_, select, update

from cds.alerts.tables import work
from cds.store.tables import UtcTime

LONGEST_WAIT: Final = timedelta(hours=1)

_NOW: Final = bindparam("now", type_=UtcTime)
_HORIZON: Final = bindparam("horizon", type_=UtcTime)
_FREE: Final = or_(work.c.lease_until <= _NOW, work.c.lease_until > _HORIZON)
"""In nobody's hands, or in those of a worker that took too long."""


def at(now: datetime) -> dict[str, datetime]:
    """The values of a moment.

    A time that lies further ahead than any we write shows that the clock was set back; it counts as
    past, or work would wait for the day the clock was set to.
    """
    return {"now": now, "horizon": now + 2 * LONGEST_WAIT}


def look() -> Any:
    """The id of the row that has been due longest, or null."""
    return select(_next(locking=False))


def claim(*, locking: bool) -> Any:
    """Take that row; `locking` passes over rows that others look at."""
    return _lease(work.c.id == _next(locking=locking))


def take() -> Any:
    """Take rows by `kind_`, `server_` and `keys` that nobody has and that never failed."""
    return _lease(
        work.c.kind == bindparam("kind_", type_=String),
        work.c.server == bindparam("server_", type_=String),
        work.c.key.in_(bindparam("keys", expanding=True, type_=String)),
        work.c.state == "open",
        work.c.attempts == 0,
        work.c.claims == 0,
        _FREE,
    )


def _next(*, locking: bool) -> Any:
    # Each part is a range of the index, so that what waits for later is not even looked at.
    rows = []
    for due in (work.c.due <= _NOW, work.c.due > _HORIZON):
        row = select(work.c.id).where(work.c.state == "open", due, _FREE)
        row = row.order_by(work.c.due, work.c.id).limit(1)
        if locking:
            row = row.with_for_update(skip_locked=True)
        rows.append(row.scalar_subquery())
    return func.coalesce(*rows)


def _lease(*which: Any) -> Any:
    values = {
        "lease": bindparam("hands", type_=String),
        "lease_until": bindparam("until", type_=UtcTime),
        "claims": work.c.claims + 1,
    }
    return update(work).where(*which).values(values).returning(work)
