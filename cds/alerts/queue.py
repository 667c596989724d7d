"""Durable work: one row per thing to do, done at least once, by whoever is alive.

A row counts the reasons to work (`wanted`) and how many of them the last finished run covered
(`done`). Further reasons that arrive while a run is under way keep the row open; reasons that
arrive before it starts cost nothing. So several levels of one patient end in one run for the state
they end in, and nothing is lost between two runs.

A worker claims a row for a limited time under a random lease. Finishing is fenced by that lease, in
the same transaction as everything the run decided: a worker that was taken for dead changes
nothing. A row is claimed in one statement, so that two workers never hold the same one.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field
from sqlalchemy import Connection, update

from cds.alerts import claims, reasons
from cds.alerts.patience import LONGEST_SETTLE, Patience
from cds.alerts.tables import work
from cds.store import Cipher, CipherError, Database
from cds.store.jsontext import decode, encode

_CLOCKS_DIFFER: Final = timedelta(seconds=5)
"""By how much the clocks of two machines may, without one having been set."""
_MOST_CLAIMS: Final = 12
"""A row whose workers died this often in a row is what kills them."""


class Kind(StrEnum):
    """The three stages of an alert, each durable by itself."""

    EVENT = "event"
    """A notification to be read."""
    PATIENT = "patient"
    """A patient to be assessed again."""
    EFFECT = "effect"
    """A resource at the FHIR server, or a webhook, to be brought to the wanted state."""


_LOOK: Final = claims.look()
_TAKE: Final = claims.take()
_FINISH: Final = claims.finish()


class LeaseLost(Exception):  # noqa: N818 - the run was overtaken; its transaction must not commit
    """Another worker has taken over, because this one took too long."""


class Work(Struct, frozen=True):
    """A claimed row; `generation` is the number of reasons this run covers."""

    id: int
    kind: Kind
    server: str
    key: str
    generation: int
    attempts: int
    failing_since: datetime | None
    lease: str
    body: Mapping[str, Any]
    opened: bool = True
    """False where the body is damaged or sealed with another key, and says nothing."""


class Queue(Struct, frozen=True):
    """Rows of work over one database. Every method that takes a connection writes as its first
    statement, because SQLite refuses to turn a reading transaction into a writing one."""

    database: Database
    cipher: Cipher
    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=random.SystemRandom)

    def add_once(
        self,
        connection: Connection,
        kind: Kind,
        server: str,
        key: str,
        body: Mapping[str, Any],
        now: datetime,
    ) -> bool:
        """Add work unless it was ever added before; whether it is new."""
        row = self._row(kind, server, key, body, now, due=now)
        statement = reasons.add_once(connection.dialect.name)
        return connection.execute(statement, row).first() is not None

    def bump(
        self,
        connection: Connection,
        kind: Kind,
        server: str,
        key: str,
        body: Mapping[str, Any],
        now: datetime,
    ) -> int:
        """Give one more reason to do this work, with a new body; the number of reasons."""
        settle = self.patience.settle if kind is Kind.PATIENT else timedelta()
        row = self._row(kind, server, key, body, now, due=now + settle)
        bounds = {"settled": now + settle - LONGEST_SETTLE, "ahead": now + _CLOCKS_DIFFER}
        statement = reasons.bump(connection.dialect.name)
        return int(connection.execute(statement, row | bounds).scalar_one())

    def claim(
        self, now: datetime, *, take_over: bool = True, together: Collection[str] = ()
    ) -> list[Work]:
        """Take the work that has been due longest; nothing when nothing is due.

        Without `take_over` what is in somebody's hands stays there, though its lease has ended.
        Events of a server in `together` are taken with those that are due right after them. One
        that was tried before is taken alone: it may be what kills workers, and the others are not.
        """
        moment = claims.at(now, take_over=take_over)
        with self.database.reading() as connection:
            first = connection.execute(_LOOK, moment).first()
        if first is None:
            return []
        given = moment | self._hands(now)
        if first.kind == Kind.EVENT.value and first.untried and first.server in together:
            return self._claim_together(given | {"kind_": first.kind, "server_": first.server})
        claimed = self._claim_alone(given, now)
        return [] if claimed is None else [claimed]

    def _claim_together(self, given: Mapping[str, Any]) -> list[Work]:
        with self.database.writing() as connection:
            rows = connection.execute(claims.claim_together(connection.dialect.name), given).all()
        return [self._work(row) for row in sorted(rows, key=lambda row: (row.due, row.id))]

    def _claim_alone(self, given: Mapping[str, Any], now: datetime) -> Work | None:
        with self.database.writing() as connection:
            row = connection.execute(claims.claim(connection.dialect.name), given).first()
            if row is None:
                return None
            if row.claims > _MOST_CLAIMS:
                connection.execute(
                    update(work)
                    .where(work.c.id == row.id)
                    .values(state="dead", problem="worker-died", lease=None, updated=now)
                )
                return None
        return self._work(row)

    def take(
        self, connection: Connection, kind: Kind, server: str, keys: Sequence[str], now: datetime
    ) -> list[Work]:
        """Take certain work in the transaction that added it, if it is in nobody's hands.

        In the order of the keys. What has failed before is left to wait its turn.
        """
        if not keys:
            return []
        wanted = {"kind_": kind.value, "server_": server, "keys": list(keys)}
        rows = connection.execute(_TAKE, self._hands(now) | wanted).all()
        place = {key: number for number, key in enumerate(keys)}
        return sorted(map(self._work, rows), key=lambda taken: place[taken.key])

    def put_back(self, taken: Sequence[Work]) -> None:
        """Leave to others what was taken and not begun."""
        with self.database.writing() as connection:
            for one in taken:
                connection.execute(
                    update(work)
                    .where(work.c.id == one.id, work.c.lease == one.lease)
                    .values(lease=None, lease_until=claims.NEVER, claims=work.c.claims - 1)
                )

    def _hands(self, now: datetime) -> dict[str, Any]:
        """Whose hands a row gets into, and until when."""
        lease = f"{self.rng.getrandbits(128):032x}"
        return {"hands": lease, "until": now + self.patience.lease}

    def mend(self, now: datetime) -> None:
        """Put right what was written by a clock that has been set back since.

        What waits for a time reckoned from one that is still to come is due now; a lease that ends
        later than any given now holds as long as one given now.
        """
        with self.database.writing() as connection:
            connection.execute(
                update(work)
                .where(work.c.state == "open", work.c.due > now)
                .where(work.c.updated > now + _CLOCKS_DIFFER)
                .values(due=now, updated=now)
            )
            until = now + self.patience.lease
            connection.execute(
                update(work)
                .where(work.c.state == "open", work.c.lease_until > until + _CLOCKS_DIFFER)
                .values(lease_until=until)
            )

    def finish(self, connection: Connection, done: Work, now: datetime) -> None:
        """Record that this run is done; LeaseLost if another worker has taken over."""
        row = {"row": done.id, "hands": done.lease, "generation": done.generation, "now": now}
        if connection.execute(_FINISH, row).first() is None:
            raise LeaseLost

    def fail(self, failed: Work, problem: str, now: datetime, *, permanent: bool = False) -> bool:
        """Record that this run failed and when to try again; whether the work was given up."""
        attempts = failed.attempts + 1
        since = failed.failing_since or now
        with self.database.writing() as connection:
            row = connection.execute(
                update(work)
                .where(work.c.id == failed.id, work.c.lease == failed.lease)
                .values(
                    lease=None,
                    lease_until=claims.NEVER,
                    claims=0,
                    attempts=attempts,
                    failing_since=since,
                    problem=problem[:120],
                    due=now + self.patience.wait_after(attempts, now - since, self.rng),
                    updated=now,
                )
                .returning(work.c.id)
            ).first()
            if row is None:
                return False  # overtaken: the other worker reports for itself
            if permanent or self.patience.is_over(attempts, now - since):
                connection.execute(
                    update(work).where(work.c.id == failed.id).values(state="dead", updated=now)
                )
                return True
        return False

    def retry(self, row_id: int, now: datetime) -> bool:
        """Open work again that was given up or is waiting; whether there is such work."""
        with self.database.writing() as connection:
            found = connection.execute(
                update(work)
                .where(work.c.id == row_id, work.c.state != "done")
                .values(
                    state="open",
                    due=now,
                    attempts=0,
                    claims=0,
                    failing_since=None,
                    lease=None,
                    lease_until=claims.NEVER,
                    updated=now,
                )
            )
            return found.rowcount > 0

    def opened_body(self, row: Any) -> Mapping[str, Any]:
        """The decrypted body of a row."""
        body = decode(self.cipher.open(row.body, f"{row.kind}/{row.server}/{row.key}"))
        return body if isinstance(body, dict) else {}

    def _work(self, row: Any) -> Work:
        body: Mapping[str, Any] = {}
        opened = True
        try:
            body = self.opened_body(row)
        except CipherError:
            opened = False
        return Work(
            id=row.id,
            kind=Kind(row.kind),
            server=row.server,
            key=row.key,
            generation=row.wanted,
            attempts=row.attempts,
            failing_since=row.failing_since,
            lease=row.lease,
            body=body,
            opened=opened,
        )

    def _row(
        self,
        kind: Kind,
        server: str,
        key: str,
        body: Mapping[str, Any],
        now: datetime,
        *,
        due: datetime,
    ) -> dict[str, Any]:
        return {
            "kind": kind.value,
            "server": server,
            "key": key,
            "wanted": 1,
            "done": 0,
            "state": "open",
            "due": due,
            "opened": now,
            "lease_until": claims.NEVER,
            "claims": 0,
            "attempts": 0,
            "body": self.cipher.seal(encode(dict(body)), f"{kind.value}/{server}/{key}"),
            "created": now,
            "updated": now,
        }
