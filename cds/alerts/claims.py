"""The statements by which work gets into hands and out of them, each one statement and made once.

Building a statement anew costs more than running it. Looking and claiming take the values of `at`;
what takes rows takes the values `hands` and `until` too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Integer, String, and_, bindparam, case, select, update

from cds.alerts.tables import work
from cds.store.tables import UtcTime

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When the lease of a row ended that is in nobody's hands."""

_NOW: Final = bindparam("now", type_=UtcTime)
_OVER: Final = bindparam("over", type_=UtcTime)
_MOST_TOGETHER: Final = 8
_MARKS: Final = (work.c.kind, work.c.server, work.c.attempts, work.c.claims)


def at(now: datetime, *, take_over: bool) -> dict[str, datetime]:
    """The values of a moment; `take_over` is whether leases are believed to have ended by then."""
    return {"now": now, "over": now if take_over else NEVER}


def look() -> Any:
    """The kind and server of the row that has been due longest, and whether it is `untried`."""
    return _due(work.c.kind, work.c.server, _untried(work).label("untried")).limit(1)


@cache
def claim(dialect: str) -> Any:
    """Take that row."""
    return _lease(work.c.id == _first(1, dialect, work.c.id).scalar_subquery())


@cache
def claim_together(dialect: str) -> Any:
    """Take the untried rows of `kind_` and `server_` among the first that are due."""
    first = _first(_MOST_TOGETHER, dialect, work.c.id, *_MARKS).subquery()
    like = (
        first.c.kind == bindparam("kind_", type_=String),
        first.c.server == bindparam("server_", type_=String),
    )
    return _lease(work.c.id.in_(select(first.c.id).where(*like, _untried(first))))


def take() -> Any:
    """Take rows by `kind_`, `server_` and `keys` that nobody has and that never failed."""
    return _lease(
        work.c.kind == bindparam("kind_", type_=String),
        work.c.server == bindparam("server_", type_=String),
        work.c.key.in_(bindparam("keys", expanding=True, type_=String)),
        work.c.state == "open",
        work.c.lease.is_(None),
        _untried(work),
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


def _due(*columns: Any) -> Any:
    # A range of the index, so that what waits for later is not even looked at.
    rows = select(*columns).where(
        work.c.state == "open", work.c.due <= _NOW, work.c.lease_until <= _OVER
    )
    return rows.order_by(work.c.due, work.c.id)


def _first(most: int, dialect: str, *columns: Any) -> Any:
    """Without those that others are taking, where others can take at the same time."""
    rows = _due(*columns).limit(most)
    return rows.with_for_update(skip_locked=True) if dialect == "postgresql" else rows


def _untried(rows: Any) -> Any:
    """Whether no run of it ever failed, or ended with its worker."""
    return and_(rows.c.attempts == 0, rows.c.claims == 0)


def _lease(*which: Any) -> Any:
    values = {
        "lease": bindparam("hands", type_=String),
        "lease_until": bindparam("until", type_=UtcTime),
        "claims": work.c.claims + 1,
    }
    return update(work).where(*which).values(values).returning(work)
