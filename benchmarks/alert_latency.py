"""From a notification to the Task at the FHIR server: how long, how many a second, how it grows.

    python -m benchmarks.alert_latency [--patients 60]

Receiver, workers and FHIR server run as processes of their own on loopback; the FHIR server is a
small one in memory, so that its share of the time is small. Every figure also stands as a ratio to
one assessment measured in the same run, because machines differ.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from cds.clinical.setting import Occasion, Setting
from cds.services.decide import EvaluationInput, decide
from cds.store import Database
from cds.store.migrate import upgrade
from tests.alerts import chaos_processes
from tests.alerts.build import BEARER, ENDPOINT, backport, level, patient_on_imatinib
from tests.alerts.chaos import free_port
from tests.alerts.fake_fhir import FakeFhir, served

_CLIENT = httpx.Client(trust_env=False)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--patients", type=int, default=60)
    patients = parser.parse_args().patients
    baseline = _one_assessment()
    print(f"one assessment in this process: {baseline * 1000:.0f} ms (ratio 1)")
    with _site(patients, workers=1, settle_s=0.5) as (fhir, url):
        _alone(fhir, url, min(patients, 30), baseline)
    for workers in (1, 2):
        for burst in (patients // 4, patients):
            with _site(burst, workers, settle_s=0.0) as (fhir, url):
                _burst(fhir, url, burst, workers, baseline)


def _alone(fhir: FakeFhir, url: str, count: int, baseline: float) -> None:
    """One level after another: what a person would wait."""
    waits = []
    for number in range(count):
        started = time.perf_counter()
        _file(fhir, url, number)
        _until(fhir, number + 1)
        waits.append(time.perf_counter() - started)
    waits = sorted(waits[1:])  # the first pays for compiling the rules
    p50, p99 = statistics.median(waits), waits[-1]
    print(
        f"one at a time, 0.5 s settling: p50 {p50:.2f} s (ratio {p50 / baseline:.0f}), "
        f"slowest of {len(waits)} {p99:.2f} s (ratio {p99 / baseline:.0f})"
    )


def _burst(fhir: FakeFhir, url: str, count: int, workers: int, baseline: float) -> None:
    """All at once, each of another patient: how fast the queue empties."""
    started = time.perf_counter()
    for number in range(count):
        _file(fhir, url, number)
    accepted = time.perf_counter() - started
    _until(fhir, count)
    took = time.perf_counter() - started
    print(
        f"{count:4} at once, {workers} worker(s): accepted {count / accepted:5.0f}/s, "
        f"delivered {count / took:5.1f}/s, {took / count / baseline:.1f} assessments each"
    )


@contextmanager
def _site(patients: int, workers: int, settle_s: float) -> Iterator[tuple[FakeFhir, str]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.alerts.chaos_processes"])
    fhir = FakeFhir()
    for number in range(patients):
        patient_on_imatinib(fhir, f"p{number}")
    with tempfile.TemporaryDirectory() as directory, served(fhir) as base:
        place = chaos_processes.Place(Path(directory), None, base, free_port())
        place = replace(place, settle_s=settle_s)
        database = Database(place.settings.database)
        upgrade(database)
        database.close()
        targets = [chaos_processes.receive, *[chaos_processes.labour] * workers]
        processes = [context.Process(target=one, args=(place,), daemon=True) for one in targets]
        for process in processes:
            process.start()
        url = f"http://127.0.0.1:{place.port}/subscriptions/{ENDPOINT}"
        _until_answered(url)
        yield fhir, url
        for process in processes:
            process.kill()
            process.join()


def _file(fhir: FakeFhir, url: str, number: int) -> None:
    fhir.put(level(320, name=f"level-{number}", patient=f"p{number}", now=datetime.now(UTC)))
    body = backport("event-notification", (number + 1, f"Observation/level-{number}"))
    _post(url, body).raise_for_status()


def _post(url: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": BEARER, "Content-Type": "application/fhir+json"}
    return _CLIENT.post(url, json=body, headers=headers, timeout=30)


def _until_answered(url: str) -> None:
    while True:
        try:
            _post(url, backport("handshake"))
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return


def _until(fhir: FakeFhir, patients: int) -> None:
    """Wait until so many patients have a Task."""
    while len({task["for"]["reference"] for task in fhir.of("Task")}) < patients:
        time.sleep(0.005)


def _one_assessment() -> float:
    """Seconds for one decision, the best of five."""
    fhir = FakeFhir()
    patient_on_imatinib(fhir)
    now = datetime.now(UTC)
    fhir.put(level(320, now=now))
    resources = {
        kind: {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": found}]}
        for kind in ("MedicationRequest", "Condition", "Observation")
        for found in fhir.of(kind)
    }
    given = EvaluationInput(
        evaluation="benchmark",
        at=now,
        client="north",
        base_url="http://127.0.0.1",
        setting=Setting(Occasion.NEW_LEVEL),
        patient_id="p1",
        context={"patientId": "p1"},
        resources={"patient": fhir.resources["Patient/p1"], **resources},
    )
    times = []
    for _ in range(6):
        started = time.perf_counter()
        decide(given, chaos_processes.KNOWLEDGE)
        times.append(time.perf_counter() - started)
    return min(times[1:])


if __name__ == "__main__":
    main()
