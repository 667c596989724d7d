"""Work off the queue: claim, do, and record what was done in one fenced transaction.

Each row of work is isolated: whatever goes wrong with one is written on that row, which waits
longer and longer and is at last put aside for an operator, while all others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cds.alerts import effects, inbox, watching
from cds.alerts.events import POLL, follow
from cds.alerts.patients import Ward
from cds.alerts.queue import Kind, LeaseLost, Queue, Work
from cds.alerts.receiver import event_key
from cds.alerts.remote import Refused, Remote
from cds.alerts.sightings import Unusable, admit, mark_read
from cds.fhir.client import FetchError
from cds.store import CipherError, DatabaseError
from cds.telemetry import error_fields, log

_DEFECT_ATTEMPTS: Final = 5
"""How often work is tried that fails by a defect: trying does not mend one."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Does the work of one queue for the registered servers. Safe to run in several threads."""

    queue: Queue
    ward: Ward
    remotes: Mapping[str, Remote]
    now: Callable[[], datetime]
    poll_s: float = 0.2
    wake: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            try:
                worked = self.step()
            except (DatabaseError, CipherError) as error:
                # The database is down or its key is wrong; the rows are safe, so wait and see.
                log().error("queue-not-usable", **error_fields(error))
                stop.wait(1.0)
                continue
            if not worked:
                self.wake.wait(self.poll_s)
                self.wake.clear()

    def drain(self, most: int = 100_000) -> int:
        """Do everything that is due now; the number of rows done or failed."""
        for count in range(most):
            if not self.step():
                return count
        return most

    def step(self) -> bool:
        """Do one row of work; whether there was one."""
        claimed = self.queue.claim(self.now())
        if claimed is None:
            return False
        problem, permanent = self._attempt(claimed)
        if problem is not None:
            given_up = self.queue.fail(claimed, problem, self.now(), permanent=permanent)
            log().warning(
                "work-given-up" if given_up else "work-failed",
                client=claimed.server,
                service=claimed.kind.value,
                problem=problem,
                attempt=claimed.attempts + 1,
            )
        return True

    def _attempt(self, claimed: Work) -> tuple[str | None, bool]:
        """Try; what went wrong, and whether trying again is useless."""
        remote = self.remotes.get(claimed.server)
        if remote is None:
            return "server-not-registered", False
        try:
            self._do(claimed, remote)
        except LeaseLost:
            return None, False  # another worker has it, and reports
        except (Refused, Unusable) as refusal:
            return refusal.problem, True
        except FetchError as error:
            return error.reason, False
        except DatabaseError as error:
            # Nothing was recorded, so the row is put back; if that fails too, its lease will end.
            log().error("work-not-recorded", client=claimed.server, **error_fields(error))
            return "database", False
        except Exception as error:  # noqa: BLE001 - isolated, logged and kept on the row
            # A defect of ours, brought out by this row's data: it must not stop the others.
            log().error("work-crashed", client=claimed.server, **error_fields(error))
            fields = error_fields(error)
            problem = f"defect {fields['error_type']} at {fields['error_at']}"
            return problem, claimed.attempts + 1 >= _DEFECT_ATTEMPTS
        return None, False

    def _do(self, claimed: Work, remote: Remote) -> None:
        if claimed.kind is Kind.EVENT:
            self._follow(claimed, remote)
        elif claimed.kind is Kind.PATIENT:
            self._assess(claimed, remote)
        else:
            effects.apply(claimed, remote)
            with self.queue.database.writing() as connection:
                self.queue.finish(connection, claimed, self.now())

    def _follow(self, claimed: Work, remote: Remote) -> None:
        now = self.now()
        drug = self.ward.knowledge.rulebook.drug
        found = follow(claimed, remote, self.queue, drug, now)
        with self.queue.database.writing() as connection:
            self.queue.finish(connection, claimed, now)
            for sighting in found.sightings:
                admit(connection, self.queue, claimed.server, sighting, now)
            for reference, version in found.apart:
                key, body = event_key("apart", reference, version), {"focus": [reference]}
                self.queue.add_once(connection, Kind.EVENT, claimed.server, key, body, now)
            if found.cursor is not None:
                watching.note(connection, claimed.server, POLL, found.cursor)

    def _assess(self, claimed: Work, remote: Remote) -> None:
        found = self.ward.assess(claimed, remote, self.now())
        now = self.now()
        with self.queue.database.writing() as connection:
            self.queue.finish(connection, claimed, now)
            mark_read(connection, claimed.server, claimed.key, claimed.generation)
            inbox.write(
                connection,
                self.queue.cipher,
                claimed.server,
                claimed.key,
                found.changes,
                found.evaluation,
                now,
            )
            effects.put(
                connection,
                self.queue,
                remote.server,
                claimed.key,
                found.changes,
                found.messages,
                now,
            )
        log().info(
            "level-assessed",
            client=claimed.server,
            evaluation=found.evaluation,
            count=len(found.changes),
        )
