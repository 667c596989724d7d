"""The figures of the safety board, by SQL over tallies and feedback.

The page, its export and `imatinib-tdm feedback figures` all ask here, so they agree. A card counts
once however often it was shown, because hooks fire again while an order is edited; of several
answers to it the last one counts, for the revision of the rule that was answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Integer, Select, and_, cast, func, select, true
from sqlalchemy.sql import ColumnElement, Subquery

from cds.store.cipher import Cipher
from cds.store.tables import feedback, panel, tally
from cds.store.tally import Kind

_DAYS = 7


@dataclass(frozen=True, slots=True)
class Window:
    """Which days are counted, both ends included, and whose."""

    first: date
    last: date
    client: str | None = None

    @classmethod
    def always(cls) -> Window:
        """Everything there is."""
        return cls(date.min, date.max)


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """What became of one revision of one rule."""

    rule: str
    revision: int
    evaluated: int = 0
    """Decisions in which it was asked."""
    fired: int = 0
    shadow: int = 0
    """Decisions in which it would have spoken, were it not only being tried out."""
    undecided: int = 0
    unread: int = 0
    """Of the undecided: decisions in which something could not be read."""
    suppressed: int = 0
    shown: int = 0
    """Different cards that carried it."""
    shown_on_orders: int = 0
    """Of these: cards shown while an order was signed or renewed."""
    accepted: int = 0
    overridden: int = 0
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(system, code) of the override reason -> cards; ("", "") where none was given."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """Fact that was wanting -> decisions left undecided."""

    @property
    def unanswered(self) -> int:
        """Cards of which nobody said what became of them: not the same as overridden."""
        return self.shown - self.accepted - self.overridden


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one window."""

    rules: tuple[RuleFigures, ...]
    decisions: int
    orders: int
    """Decisions made while an order was signed or renewed."""
    unread: Mapping[tuple[str, str], int]
    """(code, impact) of what could not be read -> decisions."""
    revisions: tuple[tuple[date, str], ...]
    """Each rulebook revision with the day it first decided."""
    clients: Mapping[str, int]
    """Who asked -> decisions."""


@dataclass(frozen=True, slots=True)
class Week:
    """One rule in one week."""

    rule: str
    begins: date
    evaluated: int
    fired: int
    """For a rule that is being tried out: would have fired."""
    undecided: int
    revisions: tuple[int, ...]
    """Revisions of the rule that were asked in that week."""


@dataclass(frozen=True, slots=True)
class Comment:
    """What a user wrote on a card."""

    at: datetime
    outcome: str
    rules: tuple[str, ...]
    reason: tuple[str, str] | None
    text: str
    evaluation: str
    client: str


ORDERING = ("order-sign", "medication-refill")
"""Hooks that come once for an order; `order-select` comes again with every change."""


def figures(connection: Connection, window: Window, rule: str | None = None) -> Figures:
    """Count everything in a window; with `rule`, of the rules only that one."""
    found: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for row in connection.execute(_evaluated(window, rule)):
        found[row.rule, row.revision]["evaluated"] = row.count
    for row in connection.execute(_by_kind(window, rule)):
        counted = found[row.item, row.revision]
        counted[row.kind] = counted.get(row.kind, 0) + row.count
        if row.kind == Kind.UNDECIDED:
            counted["unread"] = counted.get("unread", 0) + (row.unread or 0)
            counted.setdefault("missing", {})[row.detail] = row.count
    for row in connection.execute(_shown(window, rule)):
        found[row.item, row.revision].update(shown=row.count, shown_on_orders=row.orders)
    for row in connection.execute(_answered(window, rule)):
        counted = found[row.item, row.revision]
        counted[row.outcome] = counted.get(row.outcome, 0) + row.count
        if row.outcome == "overridden":
            reason = (row.reason_system or "", row.reason_code or "")
            counted.setdefault("reasons", {})[reason] = row.count
    hooks = _decisions(connection, window, tally.c.hook)
    return Figures(
        rules=tuple(RuleFigures(*key, **values) for key, values in sorted(found.items())),
        decisions=sum(hooks.values()),
        orders=sum(hooks.get(hook, 0) for hook in ORDERING),
        unread=_unread(connection, window),
        revisions=_revisions(connection, window),
        clients=_decisions(connection, window, tally.c.client),
    )


def weeks(connection: Connection, window: Window, rule: str | None = None) -> list[Week]:
    """Return rules week by week (Monday to Sunday, UTC), oldest first; weeks not asked are absent.

    Only rules that fired or could not decide in the window, or the one named.
    """
    marks: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in connection.execute(_by_week(window, rule)):
        marks[row.item, row.week][row.kind] += row.count
    moved = [rule] if rule is not None else sorted({name for name, _ in marks})
    asked: dict[tuple[str, int], int] = defaultdict(int)
    revisions: dict[tuple[str, int], set[int]] = defaultdict(set)
    weekly = _evaluated(window, weekly=True).where(panel.c.rule.in_(moved))
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
    ).where(_inside(window, Kind.SHOWN))  # fmt: skip
    rows = connection.execute(
        select(feedback)
        .where(feedback.c.comment_body.is_not(None), _answer_inside(window))
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


def _inside(
    window: Window, *kinds: Kind, rule: str | None = None, days: bool = True
) -> ColumnElement[bool]:
    first, last = window.first.toordinal(), window.last.toordinal()
    return and_(
        tally.c.kind.in_([str(kind) for kind in kinds]),
        tally.c.day.between(first, last) if days else true(),
        true() if window.client is None else tally.c.client == window.client,
        true() if rule is None else tally.c.item == rule,
    )


def _answer_inside(window: Window) -> ColumnElement[bool]:
    """Feedback on a card that was shown in the window, whenever the answer came."""
    shown = select(tally.c.evaluation).where(_inside(window, Kind.SHOWN))
    return feedback.c.evaluation.in_(shown)


def _week() -> ColumnElement[int]:
    return cast((tally.c.day - 1) // _DAYS, Integer)


@lru_cache(maxsize=1024)
def _monday(week: int) -> date:
    return date.fromordinal(week * _DAYS + 1)


def _evaluated(window: Window, rule: str | None = None, *, weekly: bool = False) -> Select[Any]:
    """Decisions by panel first, then the rules on each panel: few rows meet many."""
    by = [tally.c.item.label("panel"), *([_week().label("week")] if weekly else [])]
    decided = (
        select(*by, func.count().label("decisions"))
        .where(_inside(window, Kind.DECIDED))
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


def _by_kind(window: Window, rule: str | None) -> Select[Any]:
    by = [tally.c.item, tally.c.revision, tally.c.kind, tally.c.detail]
    unread = cast(func.sum(cast(tally.c.unread, Integer)), Integer)
    return (
        select(*by, func.count().label("count"), unread.label("unread"))
        .where(_inside(window, Kind.FIRED, Kind.SHADOW, Kind.UNDECIDED, Kind.SUPPRESSED, rule=rule))
        .group_by(*by)
    )


def _by_week(window: Window, rule: str | None) -> Select[Any]:
    by = [tally.c.item, _week().label("week"), tally.c.kind]
    return (
        select(*by, func.count().label("count"))
        .where(_inside(window, Kind.FIRED, Kind.SHADOW, Kind.UNDECIDED, rule=rule))
        .group_by(*by)
    )


def _shown(window: Window, rule: str | None) -> Select[Any]:
    on_order = cast(tally.c.hook.in_(ORDERING), Integer)
    cards = (
        select(
            tally.c.item, tally.c.revision, tally.c.client, tally.c.detail,
            func.max(on_order).label("on_order"),
        )
        .where(_inside(window, Kind.SHOWN, rule=rule))
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


def _answered(window: Window, rule: str | None) -> Select[Any]:
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
            _inside(window, Kind.SHOWN, rule=rule, days=False),
            # Arithmetic keeps databases from walking all cards by day for every single answer.
            (tally.c.day + 0).between(first, until),
            last.c.rank == 1,
        )
        .group_by(*by)
    )


def _decisions(connection: Connection, window: Window, by: Any) -> dict[str, int]:
    query = select(by.label("name"), func.count().label("count")).group_by(by)
    rows = connection.execute(query.where(_inside(window, Kind.DECIDED)))
    return {row.name: row.count for row in rows}


def _unread(connection: Connection, window: Window) -> dict[tuple[str, str], int]:
    by = [tally.c.item, tally.c.detail]
    query = select(*by, func.count().label("count")).where(_inside(window, Kind.UNREAD))
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
