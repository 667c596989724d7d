"""What people did with alerts: acknowledged, snoozed, commented; never changed afterwards.

An act concerns one episode of an alert. When the clinical state changes, the inbox opens another
episode, to which no earlier act applies.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Connection, insert, select

from cds.store.cipher import Cipher
from cds.store.tables import worklist_act

ActKind = Literal["acknowledge", "snooze", "comment", "reopen"]


class Episode(Struct, frozen=True):
    """One episode of an alert: the same clinical state from first being said until it changes."""

    client: str
    patient_key: str
    matter: str
    subject: str
    number: int
    card: str


class Act(Struct, frozen=True):
    """Who did what with an episode, and when."""

    episode: Episode
    kind: ActKind
    at: datetime
    user: str
    until: datetime | None = None
    comment: str | None = None


def record(connection: Connection, cipher: Cipher, act: Act) -> None:
    """Keep one act."""
    episode = act.episode
    body = None
    if act.comment:
        plain = act.comment.encode("utf-8", errors="surrogatepass")
        body = cipher.seal(plain, _row_name(episode))
    connection.execute(
        insert(worklist_act).values(
            at=act.at,
            client=episode.client,
            patient_key=episode.patient_key,
            matter=episode.matter,
            subject=episode.subject,
            episode=episode.number,
            card=episode.card,
            act=act.kind,
            until=act.until,
            user_reference=act.user[:255],
            body=body,
        )
    )


def of_client(
    connection: Connection, cipher: Cipher, client: str, patient_key: str | None = None
) -> list[Act]:
    """The acts on a client's alerts (of one patient), oldest first."""
    query = select(worklist_act).where(worklist_act.c.client == client)
    if patient_key is not None:
        query = query.where(worklist_act.c.patient_key == patient_key)
    return [_act(row, cipher) for row in connection.execute(query.order_by(worklist_act.c.id))]


def _act(row: Any, cipher: Cipher) -> Act:
    episode = Episode(
        row.client, row.patient_key, row.matter, row.subject, row.episode, row.card
    )  # fmt: skip
    comment = None
    if row.body is not None:
        comment = cipher.open(row.body, _row_name(episode)).decode("utf-8", errors="replace")
    return Act(episode, row.act, row.at, row.user_reference, row.until, comment)


def _row_name(episode: Episode) -> str:
    return f"act/{episode.client}/{episode.patient_key}/{episode.card}"
