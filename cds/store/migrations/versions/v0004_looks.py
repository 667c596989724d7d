"""Looks: who was shown a report, a file of it, or the worklist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "look",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("way", sa.String(12), nullable=False),
        sa.Column("client", sa.String(63)),
        sa.Column("user_reference", sa.String(255)),
        sa.Column("evaluation", sa.String(36), sa.ForeignKey("ledger.evaluation")),
    )
    op.create_index("look_by_time", "look", ["at"])
    _forbid_changes()


def downgrade() -> None:
    op.drop_table("look")


def _forbid_changes() -> None:
    """As in the first migration: what was recorded is not changed."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER look_append_only BEFORE UPDATE OR DELETE ON look "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER look_no_{change.lower()} BEFORE {change} ON look "
            "BEGIN SELECT RAISE(ABORT, 'this table is append-only'); END"
        )
