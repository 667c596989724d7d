"""The small FHIR server as a process of its own, with all its patients and their new levels."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from tests.alerts.build import level, patient_on_imatinib
from tests.alerts.fake_fhir import FakeFhir, served


@dataclass
class FhirProcess:
    """What can be asked of it besides FHIR."""

    base: str
    pipe: Connection

    def delivered(self) -> dict[str, float]:
        """Patient -> when the first Task about him was created, in seconds since 1970."""
        return dict(self._ask("delivered"))

    def count(self) -> int:
        """How many patients have a Task."""
        return int(self._ask("count"))

    def cpu_s(self) -> float:
        """Processor time it has taken."""
        return float(self._ask("cpu"))

    def _ask(self, what: str) -> Any:
        self.pipe.send(what)
        return self.pipe.recv()


@contextmanager
def running(patients: int, *, delay_s: float = 0.0, declares: bool = True) -> Iterator[FhirProcess]:
    """Serve patients `p0`... with a level `level-0`... each, until the block ends."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, patients, delay_s, declares), daemon=True)
    process.start()
    try:
        yield FhirProcess(str(here.recv()), here)
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, patients: int, delay_s: float, declares: bool) -> None:
    fhir = FakeFhir(declares=declares, delay_s=delay_s)
    for number in range(patients):
        patient_on_imatinib(fhir, f"p{number}")
        fhir.put(level(320, name=f"level-{number}", patient=f"p{number}", now=datetime.now(UTC)))
    created: dict[str, float] = {}

    def put(resource: dict[str, Any]) -> dict[str, Any]:
        stored = FakeFhir.put(fhir, resource)
        if resource["resourceType"] == "Task":
            created.setdefault(resource["for"]["reference"].removeprefix("Patient/"), time.time())
        return stored

    fhir.put = put  # type: ignore[method-assign]
    with served(fhir) as base:
        pipe.send(base)
        answers = {
            "delivered": lambda: dict(created),
            "count": lambda: len(created),
            "cpu": time.process_time,
        }
        while True:
            pipe.send(answers[pipe.recv()]())
