"""What users answered: the memory behind snoozing."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, select

from cds.store.prepared import read_rows
from cds.store.tables import answer


class Answer(Struct, frozen=True):
    """A user answered a card that carried this rule's finding in this clinical state."""

    rule: str
    subject: str | None
    state: str
    severity: str
    outcome: str
    at: datetime


_OF_PATIENT = (
    select(
        answer.c.rule,
        answer.c.subject,
        answer.c.state_digest,
        answer.c.severity,
        answer.c.outcome,
        func.max(answer.c.answered_at).label("at"),
    )
    .where(
        answer.c.client == bindparam("client"),
        answer.c.patient_key == bindparam("patient_key"),
    )
    .group_by(
        answer.c.rule,
        answer.c.subject,
        answer.c.state_digest,
        answer.c.severity,
        answer.c.outcome,
    )
    .order_by("at")
)


def of_patient(connection: Connection, client: str, patient_key: str) -> tuple[Answer, ...]:
    """The latest answer per rule, subject and state, oldest first."""
    rows = read_rows(connection, _OF_PATIENT, {"client": client, "patient_key": patient_key})
    return tuple(
        Answer(rule, subject or None, state, severity, outcome, at)
        for rule, subject, state, severity, outcome, at in rows
    )
