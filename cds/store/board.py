"""The figures of the safety board, by SQL over tallies and feedback.

The page, its export and `imatinib-tdm feedback figures` all ask here, so they agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, func, select

from cds.store import board_queries as queries
from cds.store.cipher import Cipher
from cds.store.figures import Comment, Figures, RuleFigures, Week, Window
from cds.store.tables import feedback, panel, tally
from cds.store.tally import Kind


def figures(connection: Connection, window: Window, rule: str | None = None) -> Figures:
    """Count everything in a window; with `rule`, of the rules only that one."""
    found: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for row in connection.execute(queries.evaluated(window, rule)):
        found[row.rule, row.revision]["evaluated"] = row.count
    for row in connection.execute(queries.by_kind(window, rule)):
        counted = found[row.item, row.revision]
        counted[row.kind] = counted.get(row.kind, 0) + row.count
        if row.kind == Kind.UNDECIDED:
            counted["unread"] = counted.get("unread", 0) + (row.unread or 0)
            counted.setdefault("missing", {})[row.detail] = row.count
    for row in connection.execute(queries.shown(window, rule)):
        found[row.item, row.revision].update(shown=row.count, shown_on_orders=row.orders)
    for row in connection.execute(queries.answered(window, rule)):
        counted = found[row.item, row.revision]
        counted[row.outcome] = counted.get(row.outcome, 0) + row.count
        if row.outcome == "overridden":
            reason = (row.reason_system or "", row.reason_code or "")
            counted.setdefault("reasons", {})[reason] = row.count
    hooks, clients = _decisions(connection, window)
    return Figures(
        rules=tuple(RuleFigures(*key, **values) for key, values in sorted(found.items())),
        decisions=sum(hooks.values()),
        orders=sum(hooks.get(hook, 0) for hook in queries.ORDERING),
        unread=_unread(connection, window),
        revisions=_revisions(connection, window),
        clients=clients,
    )


def weeks(connection: Connection, window: Window, rule: str | None = None) -> list[Week]:
    """Return rules week by week (Monday to Sunday, UTC), oldest first; weeks not asked are absent.

    Only rules that fired or could not decide in the window, or the one named.
    """
    marks: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in connection.execute(queries.by_week(window, rule)):
        marks[row.item, row.week][row.kind] += row.count
    moved = [rule] if rule is not None else sorted({name for name, _ in marks})
    asked: dict[tuple[str, int], int] = defaultdict(int)
    revisions: dict[tuple[str, int], set[int]] = defaultdict(set)
    weekly = queries.evaluated(window, weekly=True).where(panel.c.rule.in_(moved))
    for row in connection.execute(weekly):
        asked[row.rule, row.week] += row.count
        revisions[row.rule, row.week].add(row.revision)
    return [
        Week(
            rule=name,
            begins=_monday(week),
            evaluated=count,
            fired=marks[name, week][Kind.FIRED] + marks[name, week][Kind.SHADOW],
            undecided=marks[name, week][Kind.UNDECIDED],
            revisions=tuple(sorted(revisions[name, week])),
        )
        for (name, week), count in sorted(asked.items())
    ]


def comments(connection: Connection, cipher: Cipher, window: Window, most: int) -> list[Comment]:
    """Return the newest comments on cards that are known, newest first."""
    carried = select(
        tally.c.evaluation, tally.c.detail, tally.c.item
    ).where(queries.inside(window, Kind.SHOWN))  # fmt: skip
    rows = connection.execute(
        select(feedback)
        .where(feedback.c.comment_body.is_not(None), queries.answer_inside(window))
        .order_by(feedback.c.received.desc(), feedback.c.id)
        .limit(most)
    ).all()
    rules: dict[tuple[str, str], list[str]] = defaultdict(list)
    if rows:
        wanted = [row.evaluation for row in rows]
        for shown in connection.execute(carried.where(tally.c.evaluation.in_(wanted))):
            rules[shown.evaluation, shown.detail].append(shown.item)
    return [
        Comment(
            at=row.received,
            outcome=row.outcome,
            rules=tuple(sorted(rules[row.evaluation, row.card])),
            reason=(row.reason_system or "", row.reason_code) if row.reason_code else None,
            text=cipher.open(row.comment_body, row.id).decode("utf-8", errors="replace"),
            evaluation=row.evaluation,
            client=row.client,
        )
        for row in rows
    ]


@lru_cache(maxsize=1024)
def _monday(week: int) -> date:
    return date.fromordinal(week * queries.DAYS + 1)


def _decisions(connection: Connection, window: Window) -> tuple[Counter[str], Counter[str]]:
    """Decisions by hook and by client, counted together: they are many and the groups few."""
    by = [tally.c.hook, tally.c.client]
    query = select(*by, func.count().label("count")).where(queries.inside(window, Kind.DECIDED))
    hooks: Counter[str] = Counter()
    clients: Counter[str] = Counter()
    for row in connection.execute(query.group_by(*by)):
        hooks[row.hook] += row.count
        clients[row.client] += row.count
    return hooks, clients


def _unread(connection: Connection, window: Window) -> dict[tuple[str, str], int]:
    by = [tally.c.item, tally.c.detail]
    query = select(*by, func.count().label("count")).where(queries.inside(window, Kind.UNREAD))
    return {
        (row.item, row.detail): row.count for row in connection.execute(query.group_by(*by))
    }  # fmt: skip


def _revisions(connection: Connection, window: Window) -> tuple[tuple[date, str], ...]:
    """When each revision first decided, as far back as is known: a window begins with none new."""
    first = func.min(tally.c.day)
    query = (
        select(tally.c.rulebook_revision, first.label("first"))
        .where(tally.c.kind == str(Kind.DECIDED))
        .group_by(tally.c.rulebook_revision)
        .order_by(first, tally.c.rulebook_revision)
    )
    return tuple(
        (date.fromordinal(row.first), row.rulebook_revision)
        for row in connection.execute(query)
        if window.first <= date.fromordinal(row.first) <= window.last
    )


def today(now: datetime) -> date:
    """The day in UTC, as tallies count it."""
    return now.astimezone(UTC).date()
