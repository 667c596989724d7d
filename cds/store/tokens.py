"""Tokens that were used once, shared by all workers so that none can be used again."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection, delete, insert

from cds.store.database import ConstraintError, Database
from cds.store.tables import seen_token


def use_once(database: Database, client: str, token_id: str, expires: datetime) -> bool:
    """Record a token's `jti`; False when this client used it before.

    The primary key decides, so two workers that see the same token at once cannot both accept it.
    """
    digest = hashlib.sha256(token_id.encode("utf-8", errors="surrogatepass")).hexdigest()
    try:
        with database.writing() as connection:
            connection.execute(
                insert(seen_token).values(client=client, token=digest, expires=expires)
            )
    except ConstraintError:
        return False
    return True


def forget_expired(connection: Connection, now: datetime) -> int:
    """Remove tokens that their own expiry time refuses by now."""
    return connection.execute(delete(seen_token).where(seen_token.c.expires < now)).rowcount
