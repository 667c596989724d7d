"""Work off the queue: claim, do, and record what was done in one fenced transaction.

Each row of work is isolated: whatever goes wrong with one is written on that row, which waits
longer and longer and is at last put aside for an operator, while all others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
from cds.alerts.steady import WatchedClock
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
    turn: threading.Lock = field(default_factory=threading.Lock)
    monotonic: Callable[[], float] = time.monotonic
    clock: WatchedClock = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clock", WatchedClock(self.now, self.monotonic))

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop.

        One thread at a time looks for work while the others work or await their turn to look, so
        that any number of threads asks the database no more often than one.
        """
        while not stop.is_set():
            with self.turn:
                claimed = self._await_work(stop)
            if claimed is None:
                continue
            try:
                self._work_off(claimed)
            except (DatabaseError, CipherError) as error:
                _not_usable(error, stop)

    def drain(self, most: int = 100_000) -> int:
        """Do everything that is due now; the number of claims it took."""
        for count in range(most):
            if not self.step():
                return count
        return most

    def step(self) -> bool:
        """Do the work that has been due longest, and what follows from it at once; whether any."""
        claimed = self._claim()
        if claimed is None:
            return False
        self._work_off(claimed)
        return True

    def _claim(self) -> Work | None:
        now, stepped = self.clock.read()
        if stepped:
            self.queue.mend(now)
        steady = self.clock.steady_s() > self.queue.patience.lease.total_seconds()
        return self.queue.claim(now, take_over=steady)

    def _await_work(self, stop: threading.Event) -> Work | None:
        while not stop.is_set():
            try:
                claimed = self._claim()
            except (DatabaseError, CipherError) as error:
                _not_usable(error, stop)
                continue
            if claimed is not None:
                return claimed
            self.wake.wait(self.poll_s)
            self.wake.clear()
        return None

    def _work_off(self, claimed: Work) -> None:
        """Do one row of work; after an assessment also what it wants delivered."""
        if claimed.kind is Kind.EFFECT:
            self._deliver([claimed])
        else:
            self._deliver(self._attempted(claimed) or [])

    def _deliver(self, wanted: Sequence[Work]) -> None:
        """Do effects one after the other, and record together that they are done."""
        done = []
        until = self.monotonic() + self.queue.patience.lease.total_seconds() / 2
        for number, effect in enumerate(wanted):
            if self.monotonic() > until:  # leave the rest before others take us for dead
                self.queue.put_back(wanted[number:])
                break
            if self._attempted(effect) is not None:
                done.append(effect)
        if not done:
            return
        try:
            with self.queue.database.writing() as connection:
                for one in done:
                    with suppress(LeaseLost):  # another worker has it, and reports
                        self.queue.finish(connection, one, self.now())
        except DatabaseError as error:
            log().error("work-not-recorded", client=done[0].server, **error_fields(error))
            for one in done:
                self.queue.fail(one, "database", self.now())

    def _attempted(self, claimed: Work) -> list[Work] | None:
        """Try, and write down a failure; the work that follows, or None if it came to nothing."""
        following, problem, permanent = self._attempt(claimed)
        if problem is not None:
            given_up = self.queue.fail(claimed, problem, self.now(), permanent=permanent)
            log().warning(
                "work-given-up" if given_up else "work-failed",
                client=claimed.server,
                service=claimed.kind.value,
                problem=problem,
                attempt=claimed.attempts + 1,
            )
        return following

    def _attempt(self, claimed: Work) -> tuple[list[Work] | None, str | None, bool]:
        """Try; what follows, what went wrong, and whether trying again is useless."""
        remote = self.remotes.get(claimed.server)
        if remote is None:
            return None, "server-not-registered", False
        try:
            return self._do(claimed, remote), None, False
        except LeaseLost:
            return None, None, False  # another worker has it, and reports
        except (Refused, Unusable) as refusal:
            return None, refusal.problem, True
        except FetchError as error:
            return None, error.reason, False
        except DatabaseError as error:
            # Nothing was recorded, so the row is put back; if that fails too, its lease will end.
            log().error("work-not-recorded", client=claimed.server, **error_fields(error))
            return None, "database", False
        except Exception as error:  # noqa: BLE001 - isolated, logged and kept on the row
            # A defect of ours, brought out by this row's data: it must not stop the others.
            log().error("work-crashed", client=claimed.server, **error_fields(error))
            fields = error_fields(error)
            problem = f"defect {fields['error_type']} at {fields['error_at']}"
            return None, problem, claimed.attempts + 1 >= _DEFECT_ATTEMPTS

    def _do(self, claimed: Work, remote: Remote) -> list[Work]:
        """Do it; what is to be done next. An effect is done, but not yet recorded."""
        if claimed.kind is Kind.EVENT:
            self._follow(claimed, remote)
            return []
        if claimed.kind is Kind.PATIENT:
            return self._assess(claimed, remote)
        effects.apply(claimed, remote)
        return []

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

    def _assess(self, claimed: Work, remote: Remote) -> list[Work]:
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
            keys = effects.put(
                connection,
                self.queue,
                remote.server,
                claimed.key,
                found.changes,
                found.messages,
                now,
            )
            following = self.queue.take(connection, Kind.EFFECT, claimed.server, keys, now)
        log().info(
            "level-assessed",
            client=claimed.server,
            evaluation=found.evaluation,
            count=len(found.changes),
        )
        return following


def _not_usable(error: Exception, stop: threading.Event) -> None:
    """The database is down or its key is wrong; the rows are safe, so wait and see."""
    log().error("queue-not-usable", **error_fields(error))
    stop.wait(1.0)
