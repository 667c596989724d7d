"""The questions of the safety board in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, Select, and_, cast, func, select, true
from sqlalchemy.sql import ColumnElement, Subquery

from cds.store.figures import Window
from cds.store.tables import feedback, panel, tally
from cds.store.tally import Kind

DAYS = 7
ORDERING = ("order-sign", "medication-refill")
"""Hooks that come once for an order; `order-select` comes again with every change."""


def inside(
    window: Window, *kinds: Kind, rule: str | None = None, days: bool = True
) -> ColumnElement[bool]:
    first, last = window.first.toordinal(), window.last.toordinal()
    return and_(
        tally.c.kind.in_([str(kind) for kind in kinds]),
        tally.c.day.between(first, last) if days else true(),
        true() if window.client is None else tally.c.client == window.client,
        true() if rule is None else tally.c.item == rule,
    )


def answer_inside(window: Window) -> ColumnElement[bool]:
    """Feedback on a card that was shown in the window, whenever the answer came."""
    shown = select(tally.c.evaluation).where(inside(window, Kind.SHOWN))
    return feedback.c.evaluation.in_(shown)


def _week() -> ColumnElement[int]:
    return cast((tally.c.day - 1) // DAYS, Integer)


def evaluated(window: Window, rule: str | None = None, *, weekly: bool = False) -> Select[Any]:
    """Decisions by panel first, then the rules on each panel: few rows meet many."""
    by = [tally.c.item.label("panel"), *([_week().label("week")] if weekly else [])]
    decided = (
        select(*by, func.count().label("decisions"))
        .where(inside(window, Kind.DECIDED))
        .group_by(*by)
        .subquery()
    )
    columns = [panel.c.rule, panel.c.revision, *([decided.c.week] if weekly else [])]
    query = (
        select(*columns, cast(func.sum(decided.c.decisions), Integer).label("count"))
        .join(decided, decided.c.panel == panel.c.panel)
        .group_by(*columns)
    )
    return query if rule is None else query.where(panel.c.rule == rule)


def by_kind(window: Window, rule: str | None) -> Select[Any]:
    by = [tally.c.item, tally.c.revision, tally.c.kind, tally.c.detail]
    unread = cast(func.sum(cast(tally.c.unread, Integer)), Integer)
    return (
        select(*by, func.count().label("count"), unread.label("unread"))
        .where(inside(window, Kind.FIRED, Kind.SHADOW, Kind.UNDECIDED, Kind.SUPPRESSED, rule=rule))
        .group_by(*by)
    )


def by_week(window: Window, rule: str | None) -> Select[Any]:
    by = [tally.c.item, _week().label("week"), tally.c.kind]
    return (
        select(*by, func.count().label("count"))
        .where(inside(window, Kind.FIRED, Kind.SHADOW, Kind.UNDECIDED, rule=rule))
        .group_by(*by)
    )


def shown(window: Window, rule: str | None) -> Select[Any]:
    on_order = cast(tally.c.hook.in_(ORDERING), Integer)
    cards = (
        select(
            tally.c.item, tally.c.revision, tally.c.client, tally.c.detail,
            func.max(on_order).label("on_order"),
        )
        .where(inside(window, Kind.SHOWN, rule=rule))
        .group_by(tally.c.item, tally.c.revision, tally.c.client, tally.c.detail)
        .subquery()
    )  # fmt: skip
    return select(
        cards.c.item,
        cards.c.revision,
        func.count().label("count"),
        cast(func.sum(cards.c.on_order), Integer).label("orders"),
    ).group_by(cards.c.item, cards.c.revision)


def _last_answers() -> Subquery:
    """Of each card the last answer."""
    rank = func.row_number().over(
        partition_by=(feedback.c.client, feedback.c.card),
        order_by=(feedback.c.outcome_at.desc(), feedback.c.received.desc(), feedback.c.id),
    )
    return (
        select(
            feedback.c.evaluation,
            feedback.c.card,
            feedback.c.outcome,
            feedback.c.reason_system,
            feedback.c.reason_code,
            rank.label("rank"),
        )
        .where(feedback.c.evaluation.is_not(None))
        .subquery()
    )


def answered(window: Window, rule: str | None) -> Select[Any]:
    last = _last_answers()
    first, until = window.first.toordinal(), window.last.toordinal()
    by = [
        tally.c.item,
        tally.c.revision,
        last.c.outcome,
        last.c.reason_system,
        last.c.reason_code,
    ]
    return (
        select(*by, func.count().label("count"))
        .join(last, (last.c.evaluation == tally.c.evaluation) & (last.c.card == tally.c.detail))
        .where(
            inside(window, Kind.SHOWN, rule=rule, days=False),
            # Arithmetic keeps databases from walking all cards by day for every single answer.
            (tally.c.day + 0).between(first, until),
            last.c.rank == 1,
        )
        .group_by(*by)
    )
