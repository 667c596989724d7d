"""Work off the queue: claim, do, and record what was done in one fenced transaction.

Each row of work is isolated: whatever goes wrong with one is written on that row, which waits
longer and longer and is at last put aside for an operator, while all others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final, TypeVar

from sqlalchemy import Connection

from cds.alerts import effects, inbox, watching
from cds.alerts.events import POLL, Found, follow, read_ahead
from cds.alerts.patients import Ward
from cds.alerts.queue import Kind, LeaseLost, Queue, Work
from cds.alerts.receiver import event_key
from cds.alerts.remote import Refused, Remote
from cds.alerts.sightings import Unusable, admit, mark_read
from cds.alerts.steady import WatchedClock
from cds.fhir.client import FetchError
from cds.store import DatabaseError
from cds.telemetry import error_fields, log

Result = TypeVar("Result")

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
            if not claimed:
                continue
            try:
                self._work_off(claimed)
            except DatabaseError as error:
                _not_usable(error, stop)

    def drain(self, most: int = 100_000) -> int:
        """Do everything that is due now; how many pieces of work were taken up for it."""
        count = 0
        while count < most and (taken := self.step()):
            count += taken
        return count

    def step(self) -> int:
        """Do what has been due longest, and what follows from it at once; how much was taken up."""
        claimed = self._claim()
        if claimed:
            self._work_off(claimed)
        return len(claimed)

    def _claim(self) -> list[Work]:
        now, stepped = self.clock.read()
        if stepped:
            self.queue.mend(now)
        steady = self.clock.steady_s() > self.queue.patience.lease.total_seconds()
        # Where nothing is saved by it, nothing is taken from others who could read side by side.
        together = [name for name, remote in self.remotes.items() if remote.takes_batches()]
        return self.queue.claim(now, take_over=steady, together=together)

    def _await_work(self, stop: threading.Event) -> list[Work]:
        while not stop.is_set():
            try:
                claimed = self._claim()
            except DatabaseError as error:
                _not_usable(error, stop)
                continue
            if claimed:
                return claimed
            self.wake.wait(self.poll_s)
            self.wake.clear()
        return []

    def _work_off(self, claimed: Sequence[Work]) -> None:
        """Do what was claimed; after an assessment also what it wants delivered."""
        for one in claimed:
            if not one.opened:
                self._failed(one, "body-unreadable")
        claimed = [one for one in claimed if one.opened]
        if not claimed:
            return
        kind = claimed[0].kind
        if kind is Kind.EVENT:
            self._follow(claimed)
        elif kind is Kind.EFFECT:
            self._deliver(claimed)
        else:
            for one in claimed:
                self._deliver(self._attempted(one, partial(self._assess, one)) or [])

    def _follow(self, events: Sequence[Work]) -> None:
        """Read what events are about, and record together what they led to.

        What cannot be recorded together is recorded one by one, so that it stops nothing else.
        """
        drug = self.ward.knowledge.rulebook.drug
        ahead, problem, _ = self._attempt(events[0], partial(read_ahead, events))
        if problem is not None:  # it would befall each of them too
            for one in events:
                self._failed(one, problem)
            return
        read: list[tuple[Work, Found]] = []
        for one in chain(events[:1], self._in_time(events[1:])):
            ask = partial(
                follow, one, queue=self.queue, drug=drug, now=self.now(), ahead=ahead or {}
            )
            found = self._attempted(one, ask)
            if found is not None:
                read.append((one, found))
        if len(read) > 1 and self._attempt(read[0][0], partial(self._keep, read))[0]:
            return
        for pair in read:
            self._attempted(pair[0], partial(self._keep, [pair]))

    def _in_time(self, claimed: Sequence[Work]) -> Iterator[Work]:
        """One after the other; the rest is left to others before they take us for dead."""
        until = self.monotonic() + self.queue.patience.lease.total_seconds() / 2
        for number, one in enumerate(claimed):
            if self.monotonic() > until:
                self.queue.put_back(claimed[number:])
                return
            yield one

    def _deliver(self, wanted: Sequence[Work]) -> None:
        """Do effects one after the other, and record together that they are done."""
        done = [
            effect
            for effect in self._in_time(wanted)
            if self._attempted(effect, partial(_apply, effect)) is not None
        ]
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

    def _attempted(self, claimed: Work, do: Callable[[Remote], Result]) -> Result | None:
        """Try, and write down a failure; what came of it, or None if it came to nothing."""
        result, problem, permanent = self._attempt(claimed, do)
        if problem is not None:
            self._failed(claimed, problem, permanent=permanent)
        return result

    def _failed(self, claimed: Work, problem: str, *, permanent: bool = False) -> None:
        given_up = self.queue.fail(claimed, problem, self.now(), permanent=permanent)
        log().warning(
            "work-given-up" if given_up else "work-failed",
            client=claimed.server,
            service=claimed.kind.value,
            problem=problem,
            attempt=claimed.attempts + 1,
        )

    def _attempt(
        self, claimed: Work, do: Callable[[Remote], Result]
    ) -> tuple[Result | None, str | None, bool]:
        """Try; what came of it, what went wrong, and whether trying again is useless."""
        remote = self.remotes.get(claimed.server)
        if remote is None:
            return None, "server-not-registered", False
        try:
            return do(remote), None, False
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

    def _keep(self, read: Sequence[tuple[Work, Found]], _: Remote) -> bool:
        """Record what events led to, all of it or none."""
        now = self.now()
        with self.queue.database.writing() as connection:
            for event, found in read:
                self._keep_one(connection, event, found, now)
        return True

    def _keep_one(self, connection: Connection, event: Work, found: Found, now: datetime) -> None:
        self.queue.finish(connection, event, now)
        for sighting in found.sightings:
            admit(connection, self.queue, event.server, sighting, now)
        for reference, version in found.apart:
            key, body = event_key("apart", reference, version), {"focus": [reference]}
            self.queue.add_once(connection, Kind.EVENT, event.server, key, body, now)
        if found.cursor is not None:
            watching.note(connection, event.server, POLL, found.cursor)

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


def _apply(effect: Work, remote: Remote) -> bool:
    effects.apply(effect, remote)
    return True


def _not_usable(error: Exception, stop: threading.Event) -> None:
    """The database is down; the rows are safe, so wait and see."""
    log().error("queue-not-usable", **error_fields(error))
    stop.wait(1.0)
