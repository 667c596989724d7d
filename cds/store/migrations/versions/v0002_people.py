"""People at the pages: sign-ins that were begun, sessions, and acts on the worklist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "launch",
        sa.Column("state", sa.String(64), primary_key=True),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("browser", sa.String(64), nullable=False),
        sa.Column("expires", sa.DateTime(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("launch_by_expiry", "launch", ["expires"])
    op.create_table(
        "web_session",
        sa.Column("session", sa.String(64), primary_key=True),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("user_reference", sa.String(255)),
        sa.Column("patient_key", sa.String(64)),
        sa.Column("evaluation", sa.String(36)),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("expires", sa.DateTime(), nullable=False),
    )
    op.create_index("web_session_by_expiry", "web_session", ["expires"])
    op.create_table(
        "worklist_act",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("patient_key", sa.String(64), nullable=False),
        sa.Column("matter", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("card", sa.String(36), nullable=False),
        sa.Column("act", sa.String(12), nullable=False),
        sa.Column("until", sa.DateTime()),
        sa.Column("user_reference", sa.String(255), nullable=False),
        sa.Column("body", sa.LargeBinary()),
    )
    op.create_index("worklist_act_by_patient", "worklist_act", ["client", "patient_key"])
    _forbid_changes()


def downgrade() -> None:
    for table in ("worklist_act", "web_session", "launch"):
        op.drop_table(table)


def _forbid_changes() -> None:
    """What people did stays as it was recorded."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER worklist_act_append_only BEFORE UPDATE OR DELETE ON worklist_act "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER worklist_act_no_{change.lower()} BEFORE {change} ON worklist_act "
            "BEGIN SELECT RAISE(ABORT, 'this table is append-only'); END"
        )
