"""One site under fire: levels are filed and notified of, a trouble befalls it, and all is counted.

Levels are filed at a FHIR server, which notifies until it is answered with 2xx, as servers do. At
the end every notification that was accepted must be on record, the standing Tasks of every patient
must be about the last level filed, and no resource of ours may exist twice.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

import httpx
from sqlalchemy import select

from cds.alerts.notification import read_notification
from cds.alerts.operator import find_work
from cds.alerts.queue import Kind
from cds.alerts.receiver import event_key
from cds.alerts.tables import open_database, work
from cds.alerts.wiring import open_queue
from cds.services import open_store
from cds.store import DatabaseError
from tests.alerts import chaos_processes
from tests.alerts.build import BEARER, ENDPOINT, alert_settings, backport, level
from tests.alerts.chaos_clock import SetClock
from tests.alerts.fake_fhir import FakeFhir

PATIENTS = 6
_PATIENCE_S = 90.0
_AGAIN_S = 0.05
_MOST_LEVELS = 40
"""In a round in which something is to be refused."""


@dataclass
class Outcome:
    """What came of it. The lists must be empty, and refusals all be 503."""

    rounds: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    """What befell the site, and how often."""
    filed: int = 0
    sent_again: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    """Status of answers that were not 2xx."""
    ended: int = 0
    """Processes that ended by themselves, and were started again as a service manager does."""
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, repeated or left over."""
        return not (self.lost or self.twice or self.unfinished or set(self.refused) - {503})


Trouble = Callable[["Site"], None]


@dataclass
class Site:
    """Receiver, worker, FHIR server and sender."""

    place: chaos_processes.Place
    fhir: FakeFhir
    clock: SetClock
    rng: random.Random
    outcome: Outcome = field(default_factory=Outcome)
    last: dict[str, float] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    """Numbers of the events that were answered with 2xx."""
    events: int = 0
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    enough: threading.Event = field(default_factory=threading.Event)
    """Set unless the sender is to go on until something was refused."""

    def start(self, role: str) -> None:
        """Start a process from the fork server."""
        context = multiprocessing.get_context("forkserver")
        target = {"receiver": chaos_processes.receive, "worker": chaos_processes.labour}[role]
        process = context.Process(target=target, args=(self.place,), daemon=True)
        process.start()
        self.processes[role] = process

    def supervise(self) -> None:
        """Start again what ended by itself."""
        with self.lock:
            for role, process in list(self.processes.items()):
                if not process.is_alive():
                    self.outcome.ended += 1
                    self.start(role)

    def restart(self, role: str) -> None:
        """kill -9, and start again."""
        with self.lock:
            self.processes[role].kill()
            self.processes[role].join()
            self.outcome.troubles[f"{role} killed"] += 1
            self.start(role)

    def pids(self) -> list[int]:
        """The processes that run."""
        return [process.pid for process in self.processes.values() if process.pid is not None]

    def round(self, trouble: Trouble, *, until_refused: bool = False) -> None:
        """File levels while a trouble befalls the site."""
        self.outcome.rounds += 1
        if until_refused:
            self.enough.clear()
        else:
            self.enough.set()
        sender = threading.Thread(target=self._file_some, args=(self.rng.randint(1, 3),))
        sender.start()
        trouble(self)
        sender.join()
        self.fhir.down = False

    def begin(self) -> None:
        """Let receiver and worker be there and have done something."""
        self.enough.set()
        self._file_some(1)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and (self._open() or self._wrong()):
            time.sleep(0.05)
        self.outcome.sent_again = 0

    def settle(self) -> None:
        """Let everything be done, then count."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and (self._open() or self._wrong()):
            self.supervise()
            time.sleep(0.1)
        for process in self.processes.values():
            process.kill()
            process.join()
        self.outcome.unfinished += self._open()
        self.outcome.lost += self._wrong() + self._not_on_record()
        self.outcome.twice += [
            identity for identity, count in self.fhir.identifiers("Task").items() if count > 1
        ]

    def _file_some(self, count: int) -> None:
        filed = 0
        while filed < count or (filed < _MOST_LEVELS and not self.enough.is_set()):
            self._file()
            filed += 1
            if not self.enough.is_set():
                time.sleep(_AGAIN_S)

    def _file(self) -> None:
        patient = f"p{self.rng.randrange(PATIENTS)}"
        value = float(self.rng.randrange(200, 480))
        name, now = f"level-{patient}", self.clock.site()
        self.fhir.put(level(value, name=name, patient=patient, now=now, status="amended"))
        self.last[patient] = value
        self.events += 1
        self.outcome.filed += 1
        self._notify(self.events, backport("event-notification", self._event(name)))

    def _event(self, name: str) -> tuple[int, str]:
        return self.events, f"Observation/{name}"

    def _notify(self, number: int, body: dict[str, Any]) -> None:
        """Notify until answered with 2xx."""
        url = f"http://127.0.0.1:{self.place.port}/subscriptions/{ENDPOINT}"
        headers = {"Authorization": BEARER, "Content-Type": "application/fhir+json"}
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                answer = httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False)
            except httpx.HTTPError:
                self.supervise()
            else:
                if answer.is_success:
                    self.accepted.add(number)
                    return
                self.outcome.refused[answer.status_code] += 1
                self.enough.set()
            self.outcome.sent_again += 1
            time.sleep(_AGAIN_S)
        self.outcome.lost.append("a notification that was never accepted")

    def _open(self) -> list[str]:
        """Work that is not done."""
        settings = self.place.settings
        database = open_database(settings.database)
        store = open_store(settings)
        queue = open_queue(database, store.cipher, alert_settings())
        try:
            lines = [line for line in find_work(queue, limit=100_000) if line.state != "done"]
        except DatabaseError as error:  # it begins, or is busy
            return [str(error)]
        finally:
            database.close()
            store.database.close()
        return [f"{line.kind} {line.state} {line.problem}" for line in lines]

    def _not_on_record(self) -> list[str]:
        """Events that were answered with 2xx and are not there."""
        body = backport("event-notification", self._event("level-p0"))
        name = read_notification(body, self.place.fhir_base).subscription
        database = open_database(self.place.settings.database)
        with database.reading() as connection:
            kept = select(work.c.key).where(work.c.kind == Kind.EVENT.value)
            keys = set(connection.execute(kept).scalars())
        database.close()
        return [
            f"event {number} was accepted and is not there"
            for number in sorted(self.accepted)
            if event_key(name, number) not in keys
        ]

    def _wrong(self) -> list[str]:
        """Patients whose standing Tasks are none, or about another than their last level.

        One level may give rise to Tasks on several matters (exposure, adherence).
        """
        found = []
        for patient, value in self.last.items():
            standing = [
                task["description"]
                for task in self.fhir.of("Task")
                if task["status"] == "requested"
                and task["for"]["reference"] == f"Patient/{patient}"
            ]
            if not standing or any(f"{value:.0f}" not in words for words in standing):
                found.append(f"{patient}: {value:.0f} wanted, standing {standing}")
        return found
