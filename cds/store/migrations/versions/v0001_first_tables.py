"""First tables: ledger, cards, feedback, answers, seen tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("ledger", "card", "feedback")


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("evaluation", sa.String(36), primary_key=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("hook", sa.String(40), nullable=False),
        sa.Column("hook_instance", sa.String(64), nullable=False),
        sa.Column("patient_key", sa.String(64), nullable=False),
        sa.Column("user_reference", sa.String(255)),
        sa.Column("input_digest", sa.String(64), nullable=False),
        sa.Column("rulebook_revision", sa.String(64), nullable=False),
        sa.Column("rulebook_version", sa.String(64), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("code_version", sa.String(64), nullable=False),
        sa.Column("deviations", sa.JSON(), nullable=False),
        sa.Column("cards", sa.Integer(), nullable=False),
        sa.Column("suppressed", sa.Integer(), nullable=False),
    )
    op.create_index("ledger_by_time", "ledger", ["at"])
    op.create_index("ledger_by_patient", "ledger", ["client", "patient_key", "at"])
    op.create_table(
        "ledger_body",
        sa.Column(
            "evaluation", sa.String(36), sa.ForeignKey("ledger.evaluation"), primary_key=True
        ),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ledger_body_by_time", "ledger_body", ["at"])
    op.create_table(
        "card",
        sa.Column(
            "evaluation", sa.String(36), sa.ForeignKey("ledger.evaluation"), primary_key=True
        ),
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("patient_key", sa.String(64), nullable=False),
        sa.Column("matter", sa.String(40), nullable=False),
        sa.Column("indicator", sa.String(10), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("suggestions", sa.JSON(), nullable=False),
    )
    op.create_index("card_by_uuid", "card", ["client", "uuid"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("received", sa.DateTime(), nullable=False),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("card", sa.String(36), nullable=False),
        sa.Column("evaluation", sa.String(36), sa.ForeignKey("ledger.evaluation")),
        sa.Column("outcome", sa.String(12), nullable=False),
        sa.Column("outcome_at", sa.DateTime(), nullable=False),
        sa.Column("suggestions", sa.JSON(), nullable=False),
        sa.Column("reason_system", sa.String(255)),
        sa.Column("reason_code", sa.String(255)),
        sa.Column("comment_body", sa.LargeBinary()),
    )
    op.create_index("feedback_by_card", "feedback", ["card"])
    op.create_table(
        "answer",
        sa.Column("feedback", sa.String(64), sa.ForeignKey("feedback.id"), primary_key=True),
        sa.Column("rule", sa.String(128), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("client", sa.String(63), nullable=False),
        sa.Column("patient_key", sa.String(64), nullable=False),
        sa.Column("state_digest", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("outcome", sa.String(12), nullable=False),
        sa.Column("answered_at", sa.DateTime(), nullable=False),
    )
    op.create_index("answer_by_patient", "answer", ["client", "patient_key"])
    op.create_table(
        "seen_token",
        sa.Column("client", sa.String(63), primary_key=True),
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("expires", sa.DateTime(), nullable=False),
    )
    op.create_index("seen_token_by_expiry", "seen_token", ["expires"])
    _forbid_changes()


def downgrade() -> None:
    for table in ("seen_token", "answer", "feedback", "card", "ledger_body", "ledger"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _forbid_changes() -> None:
    """Let the database itself refuse to change or remove what was recorded."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'this table is append-only'; END $$"
        )
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
