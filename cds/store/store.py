"""The one object the rest of the product keeps things with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cds.store import answers, feedback, ledger, tokens
from cds.store.answers import Answer
from cds.store.cipher import Cipher
from cds.store.database import Database
from cds.store.feedback import FeedbackEntry, Stored
from cds.store.ledger import LedgerEntry, StoredDecision


class Store:
    """Ledger, feedback, answers and seen tokens over one database and one key."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self.database = database
        self.cipher = cipher

    def record(self, entry: LedgerEntry) -> None:
        """Keep one decision; returns only when it is committed."""
        with self.database.writing() as connection:
            ledger.record(connection, self.cipher, entry)

    def decision(self, evaluation: str) -> StoredDecision | None:
        """Find one decision."""
        with self.database.reading() as connection:
            return ledger.find(connection, self.cipher, evaluation)

    def recent_decisions(self, limit: int = 20) -> list[Mapping[str, Any]]:
        """The newest decisions, without clinical content."""
        with self.database.reading() as connection:
            return ledger.recent(connection, limit)

    def evaluations(self, since: datetime | None = None) -> list[str]:
        """The ids of all decisions since a time, oldest first."""
        with self.database.reading() as connection:
            return ledger.evaluations(connection, since)

    def answers(self, client: str, patient: str) -> tuple[Answer, ...]:
        """What users answered on this patient's cards."""
        with self.database.reading() as connection:
            return answers.of_patient(connection, client, self.cipher.patient_key(client, patient))

    def add_feedback(
        self, client: str, service: str, entries: Sequence[FeedbackEntry], received: datetime
    ) -> list[Stored]:
        """Keep all entries of one call, or none."""
        with self.database.writing() as connection:
            return [
                feedback.add(connection, self.cipher, client, service, entry, received)
                for entry in entries
            ]

    def export_feedback(self) -> Iterator[Mapping[str, Any]]:
        """All feedback joined with the decisions it answers."""
        with self.database.reading() as connection:
            yield from feedback.export(connection, self.cipher)

    def acceptance(self) -> list[Mapping[str, Any]]:
        """Shown, accepted and overridden cards per rule."""
        with self.database.reading() as connection:
            return feedback.acceptance(connection)

    def use_token(self, client: str, token_id: str, expires: datetime) -> bool:
        """Whether this token is used for the first time."""
        return tokens.use_once(self.database, client, token_id, expires)

    def purge(self, now: datetime, retention: timedelta) -> Mapping[str, int]:
        """Remove what need not be kept: expired tokens, clinical content past retention."""
        with self.database.writing() as connection:
            return {
                "tokens": tokens.forget_expired(connection, now),
                "bodies": ledger.forget_bodies(connection, now - retention),
            }
