"""Tallies: what became of each rule in each decision, for the figures of the safety board.

What the cards of earlier decisions say is carried over; what else those decisions held is sealed.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("panel", "tally")


def upgrade() -> None:
    op.create_table(
        "panel",
        sa.Column("panel", sa.String(64), primary_key=True),
        sa.Column("rule", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
    )
    tally = op.create_table(
        "tally",
        sa.Column(
            "evaluation", sa.String(36), sa.ForeignKey("ledger.evaluation"), primary_key=True
        ),
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("item", sa.String(128), primary_key=True),
        sa.Column("detail", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("unread", sa.Boolean(), nullable=False),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("hook", sa.String(40), nullable=False),
        sa.Column("rulebook_revision", sa.String(64), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
    )
    op.create_index("tally_by_day", "tally", ["kind", "day"])
    op.create_index("tally_by_item", "tally", ["item", "kind", "day"])
    _carry_over(tally)
    _forbid_changes()


def downgrade() -> None:
    for table in ("tally", "panel"):
        op.drop_table(table)


def _carry_over(tally: Any) -> None:
    """The cards that were shown, and the rules behind them."""
    shown = op.get_bind().execute(
        sa.text(
            "SELECT card.evaluation, card.uuid, card.client, card.findings, ledger.hook, "
            "ledger.rulebook_revision, ledger.at "
            "FROM card JOIN ledger ON ledger.evaluation = card.evaluation"
        )
    )
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for evaluation, uuid, client, findings, hook, rulebook, at in shown:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        found = json.loads(findings) if isinstance(findings, str) else findings
        for finding in found:
            rows[evaluation, finding["rule"], uuid] = {
                "evaluation": evaluation,
                "kind": "shown",
                "item": finding["rule"],
                "detail": uuid,
                "revision": finding["revision"],
                "unread": False,
                "client": client,
                "hook": hook,
                "rulebook_revision": rulebook,
                "day": moment.toordinal(),
            }
    if rows:
        op.bulk_insert(tally, list(rows.values()))


def _forbid_changes() -> None:
    """As in the first migration: what was recorded is not changed."""
    if op.get_bind().dialect.name == "postgresql":
        for table in _APPEND_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        return
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'this table is append-only'); END"
            )
