"""The one object the rest of the product keeps things with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cds.store import acts, answers, board, feedback, ledger, looks, sessions, tally, tokens
from cds.store.acts import Act
from cds.store.answers import Answer
from cds.store.cipher import Cipher
from cds.store.database import Database
from cds.store.feedback import FeedbackEntry, Stored
from cds.store.figures import Window
from cds.store.ledger import LedgerEntry, StoredDecision
from cds.store.looks import Look
from cds.store.sessions import Launch, Session


class Store:
    """Ledger, feedback, answers, tokens, sessions and acts over one database and one key."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self.database = database
        self.cipher = cipher
        self._panels: set[str] = set()

    def record(self, entry: LedgerEntry) -> None:
        """Keep one decision; returns only when it is committed."""
        self.record_all([entry])

    def record_all(self, entries: Iterable[LedgerEntry]) -> None:
        """Keep decisions, all of them or none."""
        new: set[str] = set()
        # Sealed before the transaction: SQLite has one writer, and others wait for it.
        prepared = [(entry, ledger.seal(self.cipher, entry)) for entry in entries]
        with self.database.writing() as connection:
            for entry, sealed in prepared:
                panel = entry.counted.panel
                if panel and panel.name not in self._panels and panel.name not in new:
                    tally.keep_panel(connection, panel)
                    new.add(panel.name)
                ledger.record(connection, self.cipher, entry, sealed)
        self._panels |= new  # only what is committed is known to be there

    def decision(self, evaluation: str) -> StoredDecision | None:
        """Find one decision."""
        with self.database.reading() as connection:
            return ledger.find(connection, self.cipher, evaluation)

    def latest_evaluation(self, client: str, patient: str) -> str | None:
        """The id of the newest decision about a patient, named as the client names him."""
        with self.database.reading() as connection:
            key = self.cipher.patient_key(client, patient)
            return ledger.latest_of_patient(connection, client, key)

    def recent_decisions(self, limit: int = 20) -> list[Mapping[str, Any]]:
        """The newest decisions, without clinical content."""
        with self.database.reading() as connection:
            return ledger.recent(connection, limit)

    def bare_decisions(self) -> list[LedgerEntry]:
        """All decisions without clinical content, oldest first, with what was counted of them."""
        with self.database.reading() as connection:
            return ledger.bare(connection)

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

    def figures(self, window: Window, rule: str | None = None) -> board.Figures:
        """What became of each rule (or of one), for the safety board and the command line."""
        with self.database.reading() as connection:
            return board.figures(connection, window, rule)

    def weeks(self, window: Window, rule: str | None = None) -> list[board.Week]:
        """What became of rules week by week."""
        with self.database.reading() as connection:
            return board.weeks(connection, window, rule)

    def comments(self, window: Window, most: int) -> list[board.Comment]:
        """The newest comments of users on cards; free text, to be treated as patient data."""
        with self.database.reading() as connection:
            return board.comments(connection, self.cipher, window, most)

    def use_token(self, client: str, token_id: str, expires: datetime) -> bool:
        """Whether this token is used for the first time."""
        return tokens.use_once(self.database, client, token_id, expires)

    def begin_launch(self, state: str, launch: Launch, now: datetime) -> None:
        """Remember a sign-in that goes by way of an EHR."""
        with self.database.writing() as connection:
            sessions.begin(connection, self.cipher, state, launch, now)

    def take_launch(self, state: str) -> Launch | None:
        """Find a sign-in once; the second time it is gone."""
        with self.database.writing() as connection:
            return sessions.take(connection, self.cipher, state)

    def open_session(self, secret: str, session: Session) -> None:
        """Keep who is signed in, under a secret that only the browser holds."""
        with self.database.writing() as connection:
            sessions.open_session(connection, secret, session)

    def session(self, secret: str, now: datetime) -> Session | None:
        """Who is signed in with this secret now."""
        with self.database.reading() as connection:
            return sessions.find(connection, secret, now)

    def close_session(self, secret: str) -> None:
        """End a session, if there is one."""
        with self.database.writing() as connection:
            sessions.close(connection, secret)

    def record_act(self, act: Act) -> None:
        """Keep what somebody did with an alert."""
        with self.database.writing() as connection:
            acts.record(connection, self.cipher, act)

    def acts(self, client: str, patient_key: str | None = None) -> list[Act]:
        """What was done with the alerts of a client, oldest first."""
        with self.database.reading() as connection:
            return acts.of_client(connection, self.cipher, client, patient_key)

    def record_look(self, look: Look) -> None:
        """Keep that somebody was shown something."""
        with self.database.writing() as connection:
            looks.record(connection, look)

    def looks(self, since: datetime | None = None) -> list[tuple[int, Look]]:
        """Who was shown what since a time, numbered, oldest first."""
        with self.database.reading() as connection:
            return list(looks.since(connection, since))

    def purge(self, now: datetime, retention: timedelta) -> Mapping[str, int]:
        """Remove what need not be kept: expired tokens, sessions, content past retention."""
        with self.database.writing() as connection:
            return {
                "tokens": tokens.forget_expired(connection, now),
                "sessions": sessions.forget_expired(connection, now),
                "bodies": ledger.forget_bodies(connection, now - retention),
            }
