"""One installation for the benchmark of alerts: receiver, workers and a FHIR server on loopback."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cds.alerts import AlertSettings
from cds.store import Database
from cds.store.migrate import upgrade
from tests.alerts import chaos_processes, fhir_process
from tests.alerts.build import BEARER, ENDPOINT, backport
from tests.alerts.chaos import free_port
from tests.alerts.fhir_process import FhirProcess

WARM = 12
"""Levels before any that is measured: a worker's first few load what is loaded once."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Site:
    """One installation and the FHIR server beside it."""

    fhir: FhirProcess
    url: str
    processes: dict[str, BaseProcess]
    start_workers: Callable[[], None]
    filed: int = 0

    def file(self, count: int = 1) -> None:
        """Notify of the next levels, all in one notification."""
        events = [(n + 1, f"Observation/level-{n}") for n in range(self.filed, self.filed + count)]
        self.filed += count
        if _post(self.url, backport("event-notification", *events)) != 200:
            raise RuntimeError("the receiver did not keep what it was told")

    def until(self, patients: int) -> None:
        """Wait until so many patients have a Task."""
        while self.fhir.count() < patients:
            time.sleep(0.01)

    def warm(self) -> None:
        """Let the workers load what they load once."""
        self.file(WARM)
        self.until(self.filed)

    def spent(self) -> dict[str, float]:
        """Processor time so far, by process."""
        found = {name: _cpu_s(process) for name, process in self.processes.items()}
        return found | {"FHIR server": self.fhir.cpu_s(), "notifying": time.process_time()}


@contextmanager
def site(
    patients: int,
    workers: int,
    *,
    settle_s: float = 0.5,
    start: bool = True,
    delay_s: float = 0.0,
    threads: int | None = None,
) -> Iterator[Site]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.alerts.chaos_processes"])
    with (
        tempfile.TemporaryDirectory() as directory,
        fhir_process.running(patients, delay_s=delay_s) as fhir,
    ):
        place = chaos_processes.Place(Path(directory), None, fhir.base, free_port(), settle_s, 60.0)
        place = replace(place, poll_s=AlertSettings().poll_s)
        if threads is not None:
            place = replace(place, threads=threads)
        database = Database(place.settings.database)
        upgrade(database)
        database.close()
        processes: dict[str, BaseProcess] = {}

        def run(name: str, target: Callable[[chaos_processes.Place], None]) -> None:
            processes[name] = context.Process(target=target, args=(place,), daemon=True)
            processes[name].start()

        def start_workers() -> None:
            for number in range(workers):
                run(f"worker {number + 1}", chaos_processes.labour)

        run("receiver", chaos_processes.receive if workers else chaos_processes.receive_and_labour)
        if start:
            start_workers()
        url = f"http://127.0.0.1:{place.port}/subscriptions/{ENDPOINT}"
        _until_answered(url)
        yield Site(fhir, url, processes, start_workers)
        for process in processes.values():
            process.kill()
            process.join()


def _post(url: str, body: dict[str, Any]) -> int:
    """Notify as cheaply as may be: this process shares the cores too."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    headers = {"Authorization": BEARER, "Content-Type": "application/fhir+json"}
    try:
        connection.request("POST", parts.path, json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _until_answered(url: str) -> None:
    while True:
        try:
            _post(url, backport("handshake"))
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return


def _cpu_s(process: BaseProcess) -> float:
    """User and system time of a running process (proc_pid_stat(5), fields 14 and 15)."""
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
