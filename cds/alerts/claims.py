"""The statements by which work gets into hands and out of them, each one statement and made once.

Building a statement anew costs more than running it. Looking and claiming take the values of `at`;
what takes rows takes the values `hands` and `until` too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Integer, String, bindparam, case, select, update

from cds.alerts.tables import work
from cds.store.tables import UtcTime

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When the lease of a row ended that is in nobody's hands."""

_NOW: Final = bindparam("now", type_=UtcTime)
_OVER: Final = bindparam("over", type_=UtcTime)


def at(now: datetime, *, take_over: bool) -> dict[str, datetime]:
    """The values of a moment; `take_over` is whether leases are believed to have ended by then."""
    return {"now": now, "over": now if take_over else NEVER}


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
        work.c.lease.is_(None),
    )


def finish() -> Any:
    """Put down the row `row` that is in `hands` as done up to `generation`; its id."""
    covered = bindparam("generation", type_=Integer)
    values = {
        "done": covered,
        "state": case((work.c.wanted > covered, "open"), else_="done"),
        "lease": None,
        "lease_until": NEVER,
        "claims": 0,
        "attempts": 0,
        "failing_since": None,
        "problem": None,
        "updated": _NOW,
    }
    row = work.c.id == bindparam("row", type_=Integer)
    held = work.c.lease == bindparam("hands", type_=String)
    return update(work).where(row, held).values(values).returning(work.c.id)


def _next(*, locking: bool) -> Any:
    # A range of the index, so that what waits for later is not even looked at.
    row = select(work.c.id).where(
        work.c.state == "open", work.c.due <= _NOW, work.c.lease_until <= _OVER
    )
    row = row.order_by(work.c.due, work.c.id).limit(1)
    return (row.with_for_update(skip_locked=True) if locking else row).scalar_subquery()


def _lease(*which: Any) -> Any:
    values = {
        "lease": bindparam("hands", type_=String),
        "lease_until": bindparam("until", type_=UtcTime),
        "claims": work.c.claims + 1,
    }
    return update(work).where(*which).values(values).returning(work)
