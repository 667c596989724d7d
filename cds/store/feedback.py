"""Feedback from users: idempotent, append-only, joined with the decision it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Executable, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from cds.store.cipher import Cipher
from cds.store.jsontext import canonical
from cds.store.tables import answer, card, feedback, ledger


class FeedbackEntry(Struct, frozen=True):
    """One entry of a feedback call, checked."""

    card: str
    outcome: str
    outcome_at: datetime
    suggestions: tuple[str, ...] = ()
    reason_system: str | None = None
    reason_code: str | None = None
    comment: str | None = None

    def identity(self, client: str) -> str:
        """Equal entries of a client have equal identities, however often they are sent."""
        parts = [
            client,
            self.card,
            self.outcome,
            self.outcome_at.isoformat(),
            sorted(self.suggestions),
            self.reason_system,
            self.reason_code,
            self.comment,
        ]
        return hashlib.sha256(canonical(parts)).hexdigest()


class Stored(Struct, frozen=True):
    """What became of a feedback entry."""

    new: bool
    known: bool


def add(
    connection: Connection,
    cipher: Cipher,
    client: str,
    service: str,
    entry: FeedbackEntry,
    received: datetime,
) -> Stored:
    """Store one entry and, when the card is this client's, the answers it gives."""
    identity = entry.identity(client)
    shown = _last_shown(connection, client, entry.card)
    inserted = connection.execute(
        _insert_once(
            connection,
            {
                "id": identity,
                "received": received,
                "client": client,
                "service": service,
                "card": entry.card,
                "evaluation": shown.evaluation if shown else None,
                "outcome": entry.outcome,
                "outcome_at": entry.outcome_at,
                "suggestions": list(entry.suggestions),
                "reason_system": entry.reason_system,
                "reason_code": entry.reason_code,
                "comment_body": _sealed(cipher, entry.comment, identity),
            },
        )
    )
    if inserted.first() is None:
        return Stored(new=False, known=shown is not None)
    if shown is not None and shown.findings:
        # A client's clock may run ahead; an answer cannot lie in the future.
        answered_at = min(entry.outcome_at, received)
        connection.execute(
            insert(answer),
            [
                {
                    "feedback": identity,
                    "rule": finding["rule"],
                    "subject": finding.get("subject") or "",
                    "client": client,
                    "patient_key": shown.patient_key,
                    "state_digest": finding["state"],
                    "severity": finding["severity"],
                    "outcome": entry.outcome,
                    "answered_at": answered_at,
                }
                for finding in shown.findings
            ],
        )
    return Stored(new=True, known=shown is not None)


def export(connection: Connection, cipher: Cipher) -> Iterator[Mapping[str, Any]]:
    """Each entry with its intervention, user and versions, oldest first (for NDJSON)."""
    rows = connection.execute(
        select(
            feedback,
            card.c.findings,
            card.c.matter,
            card.c.indicator,
            ledger.c.hook,
            ledger.c.user_reference,
            ledger.c.rulebook_revision,
            ledger.c.rulebook_version,
            ledger.c.at.label("shown_at"),
        )
        .outerjoin(ledger, ledger.c.evaluation == feedback.c.evaluation)
        .outerjoin(
            card,
            (card.c.evaluation == feedback.c.evaluation) & (card.c.uuid == feedback.c.card),
        )
        .order_by(feedback.c.received, feedback.c.id)
    )
    for row in rows:
        exported = {
            "feedback": row.id,
            "received": row.received.isoformat(),
            "client": row.client,
            "service": row.service,
            "card": row.card,
            "outcome": row.outcome,
            "outcomeTimestamp": row.outcome_at.isoformat(),
            "acceptedSuggestions": row.suggestions or None,
            "overrideReason": _reason(row),
            "userComment": _opened(cipher, row.comment_body, row.id),
            "evaluation": row.evaluation,
            "hook": row.hook,
            "user": row.user_reference,
            "shownAt": row.shown_at.isoformat() if row.shown_at else None,
            "matter": row.matter,
            "indicator": row.indicator,
            "rules": [
                {"id": finding["rule"], "revision": finding["revision"]}
                for finding in row.findings or ()
            ]
            or None,
            "rulebook": row.rulebook_version,
            "rulebookRevision": row.rulebook_revision,
        }
        yield {key: value for key, value in exported.items() if value is not None}


def _last_shown(connection: Connection, client: str, uuid: str) -> Any:
    """The card as this client was last shown it, or None when it never was."""
    return connection.execute(
        select(card)
        .join(ledger, ledger.c.evaluation == card.c.evaluation)
        .where(card.c.client == client, card.c.uuid == uuid)
        .order_by(ledger.c.at.desc())
        .limit(1)
    ).first()


def _insert_once(connection: Connection, values: Mapping[str, Any]) -> Executable:
    postgres = connection.dialect.name == "postgresql"
    statement = (postgresql.insert if postgres else sqlite.insert)(feedback)
    return statement.values(**values).on_conflict_do_nothing().returning(feedback.c.id)


def _sealed(cipher: Cipher, comment: str | None, identity: str) -> bytes | None:
    if not comment:
        return None
    return cipher.seal(comment.encode("utf-8", errors="surrogatepass"), identity)


def _opened(cipher: Cipher, body: bytes | None, identity: str) -> str | None:
    return None if body is None else cipher.open(body, identity).decode("utf-8", errors="replace")


def _reason(row: Any) -> Mapping[str, str] | None:
    if not row.reason_code:
        return None
    return {"system": row.reason_system or "", "code": row.reason_code}
