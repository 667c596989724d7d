"""The built-in inbox: what was last said about each matter of each patient, and since when.

It is the memory that makes an alert speak once per clinical state, and the delivery that always
works. One row per patient, matter and subject; the ledger keeps the history.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, bindparam, case, select

from cds.alerts.tables import insert_into, slot
from cds.cards import CardSet
from cds.clinical.finding import Severity
from cds.services.worklist import MOST_ALERTS, StandingAlert
from cds.store import Cipher, Database, Episode
from cds.store.jsontext import decode, encode

_SETTLED: Final = frozenset({"answered", "over the limit of cards at once"})
"""Why a finding that still holds is on no card."""


class Reason(StrEnum):
    """Why an alert was withdrawn."""

    SUPERSEDED = "superseded"
    NO_LONGER_HOLDS = "no-longer-holds"


class Place(Struct, frozen=True):
    """What an alert is about, within one patient."""

    matter: str
    subject: str = ""


class Said(Struct, frozen=True):
    """What was last said in a place; each time something new is said is another episode."""

    place: Place
    card: str
    episode: int
    active: bool


class Alert(Struct, frozen=True):
    """A card in its place, ready to be said."""

    place: Place
    card: Mapping[str, Any]
    """As CDS Hooks writes it."""

    @property
    def uuid(self) -> str:
        """The same card has the same uuid in a hook."""
        return str(self.card["uuid"])

    @property
    def indicator(self) -> str:
        """`info`, `warning` or `critical`."""
        return str(self.card["indicator"])


class Change(Struct, frozen=True):
    """One thing that is new: an alert to raise, or (without one) an episode to withdraw."""

    place: Place
    episode: int
    alert: Alert | None = None
    reason: Reason | None = None


def alerts_of(cards: CardSet) -> list[Alert]:
    """The cards of an evaluation with their places."""
    subjects = {state.card_uuid: state.subject for state in cards.state_digests}
    return [
        Alert(
            Place(
                card.source.topic.code if card.source.topic else "",
                (subjects.get(card.uuid) or "")[:255],
            ),
            card.to_wire(),
        )
        for card in cards.cards
    ]


def settled(cards: CardSet) -> frozenset[Place]:
    """Places whose finding still holds though no card says so now."""
    return frozenset(
        Place(item.matter.value, (item.subject or "")[:255])
        for item in cards.suppressed
        if item.reason in _SETTLED
    )


def changes(
    before: Sequence[Said], alerts: Sequence[Alert], keep: Collection[Place], *, sure: bool = True
) -> list[Change]:
    """What is new against what was last said; the same state again is no change.

    `keep` are places about which nothing is withdrawn. Unless the evaluation is `sure` of what it
    does not say, nothing is.
    """
    last = {said.place: said for said in before}
    found: list[Change] = []
    for alert in alerts:
        said = last.pop(alert.place, None)
        if said is not None and said.active and said.card == alert.uuid:
            continue
        if said is not None and said.active:
            found.append(Change(alert.place, said.episode, reason=Reason.SUPERSEDED))
        episode = said.episode + 1 if said is not None else 1
        found.append(Change(alert.place, episode, alert))
    if sure:
        found += [
            Change(said.place, said.episode, reason=Reason.NO_LONGER_HOLDS)
            for said in last.values()
            if said.active and said.place not in keep
        ]
    return found


def read(database: Database, server: str, patient_key: str) -> list[Said]:
    """What was last said about a patient."""
    with database.reading() as connection:
        which = {"server_": server, "patient_key_": patient_key}
        rows = connection.execute(_OF_PATIENT, which).all()
    return [
        Said(Place(row.matter, row.subject), row.card, row.episode, row.state == "active")
        for row in rows
    ]


def write(
    connection: Connection,
    cipher: Cipher,
    server: str,
    patient_key: str,
    found: Sequence[Change],
    evaluation: str,
    now: datetime,
) -> None:
    """Record the changes; of a superseded episode only the successor stays."""
    for change in found:
        place = change.place
        row: dict[str, Any] = {
            "server": server,
            "patient_key": patient_key,
            "matter": place.matter,
            "subject": place.subject,
            "episode": change.episode,
            "evaluation": evaluation,
            "reason": change.reason.value if change.reason else None,
            "at": now,
            "state": "active" if change.alert else "withdrawn",
        }
        if change.alert is None:
            connection.execute(
                slot.update()
                .where(
                    *(slot.c[name] == row[name] for name in ("server", "patient_key")),
                    slot.c.matter == place.matter,
                    slot.c.subject == place.subject,
                )
                .values({name: row[name] for name in ("state", "reason", "evaluation", "at")})
            )
            continue
        row |= {
            "card": change.alert.uuid,
            "severity": change.alert.indicator,
            "body": cipher.seal(encode(dict(change.alert.card)), _row_name(server, patient_key)),
        }
        connection.execute(_say(connection.dialect.name), row)


def listed(database: Database, cipher: Cipher, limit: int = 100) -> list[Mapping[str, Any]]:
    """The alerts that stand, newest first, each with its card."""
    with database.reading() as connection:
        rows = connection.execute(
            select(slot).where(slot.c.state == "active").order_by(slot.c.at.desc()).limit(limit)
        ).all()
    return [
        {
            "server": row.server,
            "patient": row.patient_key[:12],
            "severity": row.severity,
            "matter": row.matter,
            "at": row.at,
            "evaluation": row.evaluation,
            "card": decode(cipher.open(row.body, _row_name(row.server, row.patient_key))),
        }
        for row in rows
    ]


class StoredInbox(Struct, frozen=True):
    """The inbox as the worklist reads it."""

    database: Database
    cipher: Cipher

    def standing(
        self, client: str | None = None, patient_key: str | None = None
    ) -> list[StandingAlert]:
        """The alerts that stand, the most urgent and then the oldest first."""
        urgency = case({s.indicator: -int(s) for s in Severity}, value=slot.c.severity)
        query = select(slot).where(slot.c.state == "active")
        if client is not None:
            query = query.where(slot.c.server == client)
        if patient_key is not None:
            query = query.where(slot.c.patient_key == patient_key)
        with self.database.reading() as connection:
            rows = connection.execute(query.order_by(urgency, slot.c.at).limit(MOST_ALERTS)).all()
        return [self._standing(row) for row in rows]

    def _standing(self, row: Any) -> StandingAlert:
        card = decode(self.cipher.open(row.body, _row_name(row.server, row.patient_key)))
        return StandingAlert(
            Episode(row.server, row.patient_key, row.matter, row.subject, row.episode, row.card),
            Severity[row.severity.upper()],
            row.at,
            row.evaluation,
            str(card["summary"]),
        )


def _row_name(server: str, patient_key: str) -> str:
    return f"inbox/{server}/{patient_key}"


_OF_PATIENT: Final = select(slot).where(
    slot.c.server == bindparam("server_"), slot.c.patient_key == bindparam("patient_key_")
)


@cache
def _say(dialect: str) -> Any:
    statement = insert_into(dialect, slot)
    return statement.on_conflict_do_update(
        index_elements=["server", "patient_key", "matter", "subject"],
        set_={column.name: statement.excluded[column.name] for column in slot.c},
    )
