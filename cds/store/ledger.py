"""The ledger: each decision once, with all that is needed to make it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, delete, select

from cds.store import tally
from cds.store.cipher import Cipher
from cds.store.jsontext import decode, encode_object
from cds.store.prepared import write_rows
from cds.store.tables import card, ledger, ledger_body
from cds.store.tally import Count, Counted, Kind


class CardRow(Struct, frozen=True):
    """A card that was shown; each finding has rule, revision, subject, severity and state."""

    uuid: str
    matter: str
    indicator: str
    findings: tuple[Mapping[str, Any], ...]
    suggestions: tuple[str, ...] = ()


class LedgerEntry(Struct, frozen=True):
    """One decision; `body` is JSON: request as evaluated, trace, cards, what was suppressed.

    A decision without a body is recorded but cannot be made again, as one past its retention.
    """

    evaluation: str
    at: datetime
    client: str
    hook: str
    hook_instance: str
    patient: str
    user: str | None
    input_digest: str
    rulebook_revision: str
    rulebook_version: str
    models: Mapping[str, str]
    code_version: str
    body: Mapping[str, Any] | None
    cards: tuple[CardRow, ...] = ()
    suppressed: int = 0
    deviations: tuple[str, ...] = ()
    counted: Counted = field(default_factory=Counted)


class StoredDecision(Struct, frozen=True):
    """A ledger row as found; `body` is None when its retention time is over."""

    evaluation: str
    at: datetime
    client: str
    hook: str
    hook_instance: str
    user: str | None
    input_digest: str
    rulebook_revision: str
    rulebook_version: str
    code_version: str
    models: Mapping[str, str] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None
    patient_key: str = ""


def seal(cipher: Cipher, entry: LedgerEntry) -> bytes | None:
    """The body of a decision as it is kept: JSON, compressed, encrypted for this decision."""
    if entry.body is None:
        return None
    return cipher.seal(encode_object(entry.body), entry.evaluation)


def record(
    connection: Connection, cipher: Cipher, entry: LedgerEntry, sealed: bytes | None
) -> None:
    """Write one decision, its body as `seal` made it, its cards and what is counted of it."""
    patient_key = cipher.patient_key(entry.client, entry.patient)
    write_rows(
        connection,
        ledger,
        [
            {
                "evaluation": entry.evaluation,
                "at": entry.at,
                "client": entry.client,
                "hook": entry.hook,
                "hook_instance": entry.hook_instance[:64],
                "patient_key": patient_key,
                "user_reference": entry.user[:255] if entry.user else None,
                "input_digest": entry.input_digest,
                "rulebook_revision": entry.rulebook_revision,
                "rulebook_version": entry.rulebook_version,
                "models": dict(entry.models),
                "code_version": entry.code_version,
                "deviations": list(entry.deviations),
                "cards": len(entry.cards),
                "suppressed": entry.suppressed,
            }
        ],
    )
    if sealed is not None:
        body = {"evaluation": entry.evaluation, "at": entry.at, "body": sealed}
        write_rows(connection, ledger_body, [body])
    write_rows(
        connection,
        card,
        [
            {
                "uuid": row.uuid,
                "evaluation": entry.evaluation,
                "client": entry.client,
                "patient_key": patient_key,
                "matter": row.matter,
                "indicator": row.indicator,
                "findings": [dict(finding) for finding in row.findings],
                "suggestions": list(row.suggestions),
            }
            for row in entry.cards
        ],
    )
    tally.record(
        connection,
        (*entry.counted.every(), *_shown(entry.cards)),
        evaluation=entry.evaluation,
        at=entry.at,
        client=entry.client,
        hook=entry.hook,
        rulebook_revision=entry.rulebook_revision,
    )


def find(connection: Connection, cipher: Cipher, evaluation: str) -> StoredDecision | None:
    """Return one decision by its evaluation id."""
    row = connection.execute(
        select(ledger, ledger_body.c.body)
        .outerjoin(ledger_body, ledger.c.evaluation == ledger_body.c.evaluation)
        .where(ledger.c.evaluation == evaluation)
    ).first()
    if row is None:
        return None
    body = decode(cipher.open(row.body, evaluation)) if row.body is not None else None
    return StoredDecision(
        evaluation=row.evaluation,
        at=row.at,
        client=row.client,
        hook=row.hook,
        hook_instance=row.hook_instance,
        user=row.user_reference,
        input_digest=row.input_digest,
        rulebook_revision=row.rulebook_revision,
        rulebook_version=row.rulebook_version,
        code_version=row.code_version,
        models=row.models,
        deviations=tuple(row.deviations),
        body=body,
        patient_key=row.patient_key,
    )


def latest_of_patient(connection: Connection, client: str, patient_key: str) -> str | None:
    """The id of the newest decision about a patient of a client."""
    query = (
        select(ledger.c.evaluation)
        .where(ledger.c.client == client, ledger.c.patient_key == patient_key)
        .order_by(ledger.c.at.desc(), ledger.c.evaluation)
        .limit(1)
    )
    return connection.execute(query).scalar()


def recent(connection: Connection, limit: int) -> list[Mapping[str, Any]]:
    """The newest decisions without their bodies, newest first."""
    rows = connection.execute(
        select(ledger.c.evaluation, ledger.c.at, ledger.c.client, ledger.c.hook, ledger.c.cards)
        .order_by(ledger.c.at.desc())
        .limit(limit)
    )
    return [dict(row._mapping) for row in rows]


def bare(connection: Connection) -> list[LedgerEntry]:
    """All decisions as entries without body, patient and user: what happened, not to whom."""
    shown: dict[str, list[CardRow]] = {}
    for row in connection.execute(select(card)):
        shown.setdefault(row.evaluation, []).append(
            CardRow(row.uuid, row.matter, row.indicator, row.findings, tuple(row.suggestions))
        )
    counted = tally.all_counted(connection)
    return [
        LedgerEntry(
            evaluation=row.evaluation,
            at=row.at,
            client=row.client,
            hook=row.hook,
            hook_instance=row.hook_instance,
            patient="",
            user=None,
            input_digest=row.input_digest,
            rulebook_revision=row.rulebook_revision,
            rulebook_version=row.rulebook_version,
            models=row.models,
            code_version=row.code_version,
            body=None,
            cards=tuple(shown.get(row.evaluation, ())),
            suppressed=row.suppressed,
            deviations=tuple(row.deviations),
            counted=counted.get(row.evaluation, Counted()),
        )
        for row in connection.execute(select(ledger).order_by(ledger.c.at, ledger.c.evaluation))
    ]


def evaluations(connection: Connection, since: datetime | None) -> list[str]:
    """The ids of all decisions since a time, oldest first."""
    query = select(ledger.c.evaluation).order_by(ledger.c.at, ledger.c.evaluation)
    if since is not None:
        query = query.where(ledger.c.at >= since)
    return list(connection.execute(query).scalars())


def forget_bodies(connection: Connection, before: datetime) -> int:
    """Remove the clinical content of decisions older than `before`; the decisions stay recorded."""
    return connection.execute(delete(ledger_body).where(ledger_body.c.at < before)).rowcount


def _shown(cards: Iterable[CardRow]) -> Iterator[Count]:
    for row in cards:
        for finding in row.findings:
            yield Count(Kind.SHOWN, finding["rule"], finding["revision"], row.uuid)
