"""Kill receiver and worker with SIGKILL at random points, and count what was lost or done twice.

    python -m tests.alerts.chaos --rounds 100
    python -m tests.alerts.chaos --rounds 100 --database postgresql

In each round levels are filed at a FHIR server, which notifies until it is answered with 2xx, as
servers do; meanwhile a process is killed and started again, and now and then the FHIR server is
down. At the end the standing Tasks of every patient must be about the last level filed, and no
resource of ours may exist twice.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx

from cds.store import Database
from cds.store.migrate import upgrade
from tests.alerts import chaos_processes
from tests.alerts.build import BEARER, ENDPOINT, backport, level, patient_on_imatinib
from tests.alerts.fake_fhir import FakeFhir, served
from tests.alerts.postgresql import running

PATIENTS = 6
_PATIENCE_S = 90.0


@dataclass
class Outcome:
    """What came of it. All but the first five must be zero or empty."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    outages: int = 0
    ended: int = 0
    """Processes that ended by themselves, and were started again as a service manager does."""
    filed: int = 0
    sent_again: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, repeated or left over."""
        return not (self.lost or self.twice or self.unfinished)

    def line(self, database: str) -> str:
        """One line of the table."""
        return (
            f"{database:10} {self.rounds:6} {self.kills['worker']:6} {self.kills['receiver']:8} "
            f"{self.outages:7} {self.ended:5} {self.filed:6} {self.sent_again:10} "
            f"{len(self.lost):5} {len(self.twice):6} {len(self.unfinished):10}"
        )


HEADER = (
    "database   rounds worker receiver outages ended  filed sent again  lost  twice unfinished\n"
    "                   kills    kills"
)


@dataclass
class Chaos:
    """One site under fire."""

    place: chaos_processes.Place
    fhir: FakeFhir
    rng: random.Random
    outcome: Outcome = field(default_factory=Outcome)
    last: dict[str, float] = field(default_factory=dict)
    events: int = 0
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

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

    def kill(self, role: str) -> None:
        """kill -9."""
        process = self.processes[role]
        process.kill()
        process.join()
        self.outcome.kills[role] += 1

    def round(self) -> None:
        """File levels, kill something meanwhile, start it again."""
        self.outcome.rounds += 1
        sender = threading.Thread(target=self._file_some, args=(self.rng.randint(1, 3),))
        sender.start()
        if self.rng.random() < 0.1:
            self.fhir.down = True
            self.outcome.outages += 1
        time.sleep(self.rng.uniform(0.0, 0.6))
        for role in self.rng.choice((["worker"], ["receiver"], ["worker", "receiver"])):
            with self.lock:
                self.kill(role)
                self.start(role)
        sender.join()
        self.fhir.down = False

    def settle(self) -> None:
        """Let everything be done, then count."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and (self._open() or self._wrong()):
            self.supervise()
            time.sleep(0.1)
        for role in list(self.processes):
            self.processes[role].kill()
            self.processes[role].join()
        self.outcome.unfinished = self._open()
        self.outcome.lost = self._wrong()
        self.outcome.twice = [
            identity for identity, count in self.fhir.identifiers("Task").items() if count > 1
        ]

    def _file_some(self, count: int) -> None:
        for _ in range(count):
            patient = f"p{self.rng.randrange(PATIENTS)}"
            value = float(self.rng.randrange(200, 480))
            name = f"level-{patient}"
            self.fhir.put(
                level(value, name=name, patient=patient, now=datetime.now(UTC), status="amended")
            )
            self.last[patient] = value
            self.events += 1
            self.outcome.filed += 1
            self._notify(backport("event-notification", (self.events, f"Observation/{name}")))

    def _notify(self, body: dict[str, Any]) -> None:
        """Notify until answered with 2xx."""
        url = f"http://127.0.0.1:{self.place.port}/subscriptions/{ENDPOINT}"
        headers = {"Authorization": BEARER, "Content-Type": "application/fhir+json"}
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                answer = httpx.post(url, json=body, headers=headers, timeout=10, trust_env=False)
            except httpx.HTTPError:
                self.supervise()
                self.outcome.sent_again += 1
                time.sleep(0.05)
                continue
            if answer.is_success:
                return
            self.outcome.sent_again += 1
            time.sleep(0.05)
        self.outcome.lost.append("a notification that was never accepted")

    def _open(self) -> list[str]:
        """Work that is not done."""
        from cds.alerts.operator import find_work
        from cds.alerts.tables import open_database
        from cds.alerts.wiring import open_queue
        from cds.services import open_store
        from tests.alerts.build import alert_settings

        settings = self.place.settings
        database = open_database(settings.database)
        store = open_store(settings)
        queue = open_queue(database, store.cipher, alert_settings())
        lines = [line for line in find_work(queue, limit=100_000) if line.state != "done"]
        database.close()
        store.database.close()
        return [f"{line.kind} {line.state} {line.problem}" for line in lines]

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


def run(rounds: int, seed: int, directory: Path, url: str | None, *, conditional: bool) -> Outcome:
    """Run the rounds on one database."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["tests.alerts.chaos_processes"]
    )
    # It takes batches, and says of itself truthfully whether it honours If-None-Exist.
    fhir = FakeFhir(conditional=conditional, declares=True)
    for number in range(PATIENTS):
        patient_on_imatinib(fhir, f"p{number}")
    with ExitStack() as stack:
        # The base of references in notifications is not the address: both are accepted.
        base = stack.enter_context(served(fhir))
        place = chaos_processes.Place(directory, url, base, free_port())
        database = Database(place.settings.database)
        upgrade(database)
        database.close()
        chaos = Chaos(place, fhir, random.Random(seed))
        chaos.start("receiver")
        chaos.start("worker")
        for _ in range(rounds):
            chaos.round()
        chaos.settle()
    return chaos.outcome


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Run from the command line; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    chosen = parser.parse_args()
    kinds = ["sqlite", "postgresql"] if chosen.database == "both" else [chosen.database]
    _say(HEADER)
    clean = True
    for kind in kinds:
        with tempfile.TemporaryDirectory() as directory:
            outcome = _run_on(kind, chosen.rounds, chosen.seed, Path(directory))
        _say(outcome.line(kind))
        for trouble in (*outcome.lost, *outcome.twice, *outcome.unfinished):
            _say(f"    {trouble}")
        clean = clean and outcome.clean
    return 0 if clean else 1


def _run_on(kind: str, rounds: int, seed: int, directory: Path) -> Outcome:
    if kind == "sqlite":
        return run(rounds, seed, directory, None, conditional=False)
    with running(directory / "postgresql") as url:
        return run(rounds, seed, directory / "data", url, conditional=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
