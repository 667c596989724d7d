"""The tables, in the words of the product. Times are UTC; `body` columns are encrypted.

`ledger`, `card`, `feedback`, `worklist_act`, `panel`, `tally` and `look` are append-only: the
database refuses UPDATE and DELETE on them (migrations 0001 to 0004). Clinical content stands apart
in `ledger_body`, whose rows end with the retention time while the record that a decision was made
stays.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """A time with zone; kept as naive UTC so that SQLite and PostgreSQL order it alike."""

    impl = DateTime(timezone=False)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData()

ledger = Table(
    "ledger",
    metadata,
    Column("evaluation", String(36), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("client", String(63), nullable=False),
    Column("hook", String(40), nullable=False),
    Column("hook_instance", String(64), nullable=False),
    Column("patient_key", String(64), nullable=False),
    Column("user_reference", String(255)),
    Column("input_digest", String(64), nullable=False),
    Column("rulebook_revision", String(64), nullable=False),
    Column("rulebook_version", String(64), nullable=False),
    Column("models", JSON, nullable=False),
    Column("code_version", String(64), nullable=False),
    Column("deviations", JSON, nullable=False),
    Column("cards", Integer, nullable=False),
    Column("suppressed", Integer, nullable=False),
    Index("ledger_by_time", "at"),
    Index("ledger_by_patient", "client", "patient_key", "at"),
)

ledger_body = Table(
    "ledger_body",
    metadata,
    Column("evaluation", String(36), ForeignKey("ledger.evaluation"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ledger_body_by_time", "at"),
)

card = Table(
    "card",
    metadata,
    Column("evaluation", String(36), ForeignKey("ledger.evaluation"), primary_key=True),
    Column("uuid", String(36), primary_key=True),
    Column("client", String(63), nullable=False),
    Column("patient_key", String(64), nullable=False),
    Column("matter", String(40), nullable=False),
    Column("indicator", String(10), nullable=False),
    Column("findings", JSON, nullable=False),
    Column("suggestions", JSON, nullable=False),
    Index("card_by_uuid", "client", "uuid"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("received", UtcTime, nullable=False),
    Column("client", String(63), nullable=False),
    Column("service", String(64), nullable=False),
    Column("card", String(36), nullable=False),
    Column("evaluation", String(36), ForeignKey("ledger.evaluation")),
    Column("outcome", String(12), nullable=False),
    Column("outcome_at", UtcTime, nullable=False),
    Column("suggestions", JSON, nullable=False),
    Column("reason_system", String(255)),
    Column("reason_code", String(255)),
    Column("comment_body", LargeBinary),
    Index("feedback_by_card", "card"),
)

answer = Table(
    "answer",
    metadata,
    Column("feedback", String(64), ForeignKey("feedback.id"), primary_key=True),
    Column("rule", String(128), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("client", String(63), nullable=False),
    Column("patient_key", String(64), nullable=False),
    Column("state_digest", String(64), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("answered_at", UtcTime, nullable=False),
    Index("answer_by_patient", "client", "patient_key"),
)

panel = Table(
    "panel",
    metadata,
    Column("panel", String(64), primary_key=True),
    Column("rule", String(128), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("status", String(20), nullable=False),
)

tally = Table(
    "tally",
    metadata,
    Column("evaluation", String(36), ForeignKey("ledger.evaluation"), primary_key=True),
    Column("kind", String(12), primary_key=True),
    Column("item", String(128), primary_key=True),
    Column("detail", String(128), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("unread", Boolean, nullable=False),
    Column("client", String(63), nullable=False),
    Column("hook", String(40), nullable=False),
    Column("rulebook_revision", String(64), nullable=False),
    Column("day", Integer, nullable=False),
    Index("tally_by_day", "kind", "day"),
)

seen_token = Table(
    "seen_token",
    metadata,
    Column("client", String(63), primary_key=True),
    Column("token", String(64), primary_key=True),
    Column("expires", UtcTime, nullable=False),
    Index("seen_token_by_expiry", "expires"),
)

launch = Table(
    "launch",
    metadata,
    Column("state", String(64), primary_key=True),
    Column("client", String(63), nullable=False),
    Column("browser", String(64), nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("launch_by_expiry", "expires"),
)
"""Sign-ins that were begun; `state` and `browser` are digests, the body holds the secrets."""

web_session = Table(
    "web_session",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("client", String(63), nullable=False),
    Column("user_reference", String(255)),
    Column("patient_key", String(64)),
    Column("evaluation", String(36)),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Index("web_session_by_expiry", "expires"),
)
"""Who is signed in; `session` is the digest of what the browser holds."""

worklist_act = Table(
    "worklist_act",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("client", String(63), nullable=False),
    Column("patient_key", String(64), nullable=False),
    Column("matter", String(40), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("card", String(36), nullable=False),
    Column("act", String(12), nullable=False),
    Column("until", UtcTime),
    Column("user_reference", String(255), nullable=False),
    Column("body", LargeBinary),
    Index("worklist_act_by_patient", "client", "patient_key"),
)
"""What people did with alerts: who, when, and about which episode; the body is their comment."""

look = Table(
    "look",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("what", String(40), nullable=False),
    Column("way", String(12), nullable=False),
    Column("client", String(63)),
    Column("user_reference", String(255)),
    Column("evaluation", String(36), ForeignKey("ledger.evaluation")),
    Index("look_by_time", "at"),
)
"""Who was shown what, when, and how they came to it."""
