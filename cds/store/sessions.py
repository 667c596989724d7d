"""Sign-ins that were begun, and sessions of people who are signed in.

What a browser holds is a random secret; here stands only its digest, so that whoever reads the
tables cannot act as anyone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select

from cds.store.cipher import Cipher, CipherError
from cds.store.jsontext import decode, encode
from cds.store.tables import launch, web_session


class Launch(Struct, frozen=True):
    """A sign-in that was begun in one browser at one client's EHR."""

    client: str
    browser: str
    """Digest of the secret that this browser alone holds."""
    expires: datetime
    secrets: Mapping[str, str]


class Session(Struct, frozen=True):
    """What a browser may see: of one client, and there one patient, or one evaluation, or all."""

    client: str
    user: str | None
    patient_key: str | None
    evaluation: str | None
    created: datetime
    expires: datetime


def digest(secret: str) -> str:
    """What stands for a secret in the tables."""
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()


def begin(connection: Connection, cipher: Cipher, state: str, begun: Launch, now: datetime) -> None:
    """Remember a sign-in until the EHR sends the browser back with `state`.

    Anyone can begin one, so those that are over are removed at once and not at the next start.
    """
    connection.execute(delete(launch).where(launch.c.expires < now))
    row = digest(state)
    connection.execute(
        insert(launch).values(
            state=row,
            client=begun.client,
            browser=begun.browser,
            expires=begun.expires,
            body=cipher.seal(encode(dict(begun.secrets)), f"launch/{row}"),
        )
    )


def take(connection: Connection, cipher: Cipher, state: str) -> Launch | None:
    """Return a sign-in and forget it, so that no state is used twice."""
    row_id = digest(state)
    row = connection.execute(
        delete(launch)
        .where(launch.c.state == row_id)
        .returning(launch.c.client, launch.c.browser, launch.c.expires, launch.c.body)
    ).first()
    if row is None:
        return None
    try:
        secrets = decode(cipher.open(row.body, f"launch/{row_id}"))
    except CipherError:
        return None  # begun under another key: the user begins again
    return Launch(row.client, row.browser, row.expires, secrets)


def open_session(connection: Connection, secret: str, session: Session) -> None:
    """Keep a session under the digest of its secret, in the place of those that are over."""
    connection.execute(delete(web_session).where(web_session.c.expires < session.created))
    connection.execute(
        insert(web_session).values(
            session=digest(secret),
            client=session.client,
            user_reference=session.user[:255] if session.user else None,
            patient_key=session.patient_key,
            evaluation=session.evaluation,
            created=session.created,
            expires=session.expires,
        )
    )


def find(connection: Connection, secret: str, now: datetime) -> Session | None:
    """Return the session of a secret while it lasts."""
    row = connection.execute(
        select(web_session).where(web_session.c.session == digest(secret))
    ).first()
    if row is None or row.expires <= now:
        return None
    return Session(
        row.client, row.user_reference, row.patient_key, row.evaluation, row.created, row.expires
    )


def close(connection: Connection, secret: str) -> None:
    """End a session."""
    connection.execute(delete(web_session).where(web_session.c.session == digest(secret)))


def forget_expired(connection: Connection, now: datetime) -> int:
    """Remove sign-ins and sessions that are over."""
    gone = connection.execute(delete(launch).where(launch.c.expires < now)).rowcount
    return (
        gone + connection.execute(delete(web_session).where(web_session.c.expires < now)).rowcount
    )
