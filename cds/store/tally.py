"""What became of each rule in one decision, as rows that SQL can count.

A decision meets about two hundred rules, and of most there is nothing to say. So the rules that
were asked are kept once, as a panel named by its digest, and a decision names its panel; only what
a rule did besides staying silent is a row of its own. Nothing here says who the patient is or what
was found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from cds.store.jsontext import canonical
from cds.store.prepared import write_rows
from cds.store.tables import panel, tally

_LONGEST = 128


class Kind(StrEnum):
    """What a row counts."""

    DECIDED = "decided"
    """A decision was made; the item is the panel of rules that were asked."""
    FIRED = "fired"
    UNDECIDED = "undecided"
    """The detail is the fact that was wanting."""
    SHADOW = "shadow"
    """A rule that is being tried out would have spoken."""
    SUPPRESSED = "suppressed"
    """The detail says why the finding was not shown."""
    SHOWN = "shown"
    """A card carried the rule's finding; the detail is the card's UUID."""
    UNREAD = "unread"
    """Something could not be read; the item is the problem's code, the detail its impact."""


class PanelRule(Struct, frozen=True):
    """A rule that was asked."""

    rule: str
    revision: int
    status: str


class Panel(Struct, frozen=True):
    """The rules that were asked in a decision, named by their digest."""

    name: str
    rules: tuple[PanelRule, ...]

    @classmethod
    def of(cls, rules: Iterable[PanelRule]) -> Panel:
        """Equal rules give the same panel."""
        asked = tuple(rules)
        written = canonical([[one.rule, one.revision, one.status] for one in asked])
        return cls(hashlib.sha256(written).hexdigest(), asked)


class Count(Struct, frozen=True):
    """One thing to count in a decision."""

    kind: Kind
    item: str
    revision: int = 0
    detail: str = ""
    unread: bool = False
    """Whether something in the decision could not be read."""


class Counted(Struct, frozen=True):
    """All that is counted of one decision, beside its cards."""

    panel: Panel | None = None
    counts: tuple[Count, ...] = ()

    def every(self) -> tuple[Count, ...]:
        """What is counted, with the decision itself."""
        decided = (Count(Kind.DECIDED, self.panel.name),) if self.panel else ()
        return (*decided, *self.counts)


def record(
    connection: Connection,
    counts: Iterable[Count],
    *,
    evaluation: str,
    at: datetime,
    client: str,
    hook: str,
    rulebook_revision: str,
) -> None:
    """Write the counts of one decision: one statement."""
    common = {
        "evaluation": evaluation,
        "client": client,
        "hook": hook,
        "rulebook_revision": rulebook_revision,
        "day": day_of(at),
    }
    rows = [_row(count, common) for count in counts]
    # A rule may speak of several subjects; per decision each thing counts once.
    once = {(row["kind"], row["item"], row["detail"]): row for row in rows}
    write_rows(connection, tally, list(once.values()))


def keep_panel(connection: Connection, asked: Panel) -> None:
    """Write a panel unless it is there; needed once per rulebook revision and occasion."""
    if not asked.rules:
        return
    postgres = connection.dialect.name == "postgresql"
    statement = (postgresql.insert if postgres else sqlite.insert)(panel).on_conflict_do_nothing()
    connection.execute(
        statement,
        [
            {"panel": asked.name, "rule": one.rule, "revision": one.revision, "status": one.status}
            for one in asked.rules
        ],
    )


def all_counted(connection: Connection) -> dict[str, Counted]:
    """What was counted of every decision beside its cards, by evaluation."""
    counts: dict[str, list[Count]] = {}
    panels: dict[str, Panel] = {}
    asked: dict[str, list[PanelRule]] = {}
    for row in connection.execute(select(panel).order_by(panel.c.rule)):
        asked.setdefault(row.panel, []).append(PanelRule(row.rule, row.revision, row.status))
    for row in connection.execute(select(tally).where(tally.c.kind != str(Kind.SHOWN))):
        if row.kind == Kind.DECIDED:
            panels[row.evaluation] = Panel(row.item, tuple(asked.get(row.item, ())))
            continue
        count = Count(Kind(row.kind), row.item, row.revision, row.detail, row.unread)
        counts.setdefault(row.evaluation, []).append(count)
    return {
        evaluation: Counted(panels.get(evaluation), tuple(counts.get(evaluation, ())))
        for evaluation in panels.keys() | counts.keys()
    }


def day_of(at: datetime) -> int:
    """The day in UTC as a number; day 1 was a Monday, so (day - 1) // 7 counts weeks."""
    return at.astimezone(UTC).toordinal()


def _row(count: Count, common: dict[str, Any]) -> dict[str, Any]:
    return {
        **common,
        "kind": str(count.kind),
        "item": count.item[:_LONGEST],
        "detail": count.detail[:_LONGEST],
        "revision": count.revision,
        "unread": count.unread,
    }
