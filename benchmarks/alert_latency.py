"""From a notification to the Task at the FHIR server: how long, how many a second, how it grows.

    python -m benchmarks.alert_latency [--seconds 15] [--rate 50] [--burst 100] [--waiting 100 1000]

Receiver, workers and FHIR server run as processes of their own on loopback, with the settings that
the product has by itself. They share the cores, so every part is told apart: what the FHIR server
takes, what notifying takes, what one assessment takes, and the floor - the same reads and writes
without us. Waiting times hold for a machine with nothing else to do; processor time, and the rate
it allows on two cores, hold on a busy one too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from benchmarks.alert_site import WARM, Site
from benchmarks.alert_site import site as a_site
from cds.clinical.setting import Occasion, Setting
from cds.services.decide import EvaluationInput, decide
from tests.alerts import chaos_processes, fhir_process
from tests.alerts.build import level, patient_on_imatinib
from tests.alerts.fake_fhir import FakeFhir


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=float, default=50.0, help="levels a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="for how long")
    parser.add_argument("--burst", type=int, default=100, help="levels at once")
    parser.add_argument("--waiting", type=int, nargs="*", default=[100, 1000, 5000])
    chosen = parser.parse_args()
    print(f"one assessment alone: {_one_assessment() * 1000:.1f} ms of processor time")
    _floor(chosen.burst)
    with a_site(WARM + 20, workers=1) as site:
        _alone(site, 20)
    for workers in (1, 2):
        with a_site(WARM + chosen.burst, workers, settle_s=0.0) as site:
            _burst(site, chosen.burst, workers)
    with a_site(WARM + chosen.burst, workers=0, settle_s=0.0) as site:
        _burst(site, chosen.burst, 0, "the receiver works too, ")
    count = round(chosen.rate * chosen.seconds)
    for rate in (chosen.rate / 2, chosen.rate):
        with a_site(WARM + count, workers=2) as site:
            _steadily(site, rate, round(rate * chosen.seconds))
    for waiting in chosen.waiting:
        for workers in (1, 2):
            _behind(waiting, workers)
    for threads in (1, 2, 8, 16):
        with a_site(WARM + chosen.burst, 1, settle_s=0.0, delay_s=0.05, threads=threads) as site:
            _burst(site, chosen.burst, 1, f"server takes 50 ms, {threads} thread(s), ")


def _alone(site: Site, count: int) -> None:
    """One level after another: what a person would wait."""
    site.warm()
    waits = []
    for _ in range(count):
        started = time.time()
        site.file()
        site.until(site.filed)
        waits.append(max(site.fhir.delivered().values()) - started)
    print(f"one at a time, 0.5 s of it settling: {_quantiles(waits)}")


def _steadily(site: Site, rate: float, count: int) -> None:
    """A steady stream, each level of another patient; waits count from when each was due."""
    site.warm()
    before, begin, due = site.spent(), time.time(), {}
    for number in range(count):
        due[f"p{site.filed}"] = begin + number / rate
        time.sleep(max(0.0, begin + number / rate - time.time()))
        site.file()
    site.until(site.filed)
    at = site.fhir.delivered()
    times = [at[patient] for patient in due]
    waits = [at[patient] - since for patient, since in due.items()]
    # From the first delivery to the last: the settling before the first is no want of speed.
    delivered = (count - 1) / (max(times) - min(times))
    print(f"{rate:.0f}/s for {count / rate:.0f} s, 2 workers: {_quantiles(waits)}; "
          f"delivered at {delivered:.1f}/s from first to last; "
          f"{_shares(site, before, count)}")  # fmt: skip


def _burst(site: Site, count: int, workers: int, what: str = "") -> None:
    """All at once, each of another patient: how fast the queue empties.

    No worker: the receiver works its notifications off in the same process.
    """
    site.warm()
    before, started = site.spent(), time.time()
    site.file(count)
    site.until(site.filed)
    took = max(site.fhir.delivered().values()) - started
    print(f"{count} at once, {what}{workers} worker(s): {count / took:.1f}/s; "
          f"{_shares(site, before, count)}")  # fmt: skip


def _behind(waiting: int, workers: int) -> None:
    """With so many notifications waiting, how fast work goes on: a look at a piece of it."""
    piece = min(waiting, 100)
    with a_site(waiting, workers, settle_s=0.0, start=False) as site:
        for first in range(0, waiting, 500):
            site.file(min(500, waiting - first))
        site.start_workers()
        started = time.time()
        site.until(1)
        first_s = time.time() - started
        begin = site.fhir.count()
        before, started = site.spent(), time.time()
        site.until(piece)
        done = site.fhir.count() - begin
        rate = done / (time.time() - started)
        print(f"{waiting:5} waiting, {workers} worker(s): first after {first_s:.1f} s, "
              f"then {rate:.1f}/s; {_shares(site, before, done)}")  # fmt: skip


def _floor(count: int) -> None:
    """The reads and writes of as many levels by two processes, with nothing between them."""
    with fhir_process.running(count) as fhir:
        batch, task = _one_levels_traffic()
        halves = [range(0, count, 2), range(1, count, 2)]
        context = multiprocessing.get_context("fork")
        workers = [
            context.Process(target=_read_and_write, args=(fhir.base, half, batch, task))
            for half in halves
        ]
        before, started = fhir.cpu_s(), time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        took, server = time.perf_counter() - started, fhir.cpu_s() - before
    print(f"floor, the same reads and writes alone: {count / took:.0f}/s, of which the FHIR server "
          f"{server / count * 1000:.1f} ms each")  # fmt: skip


def _one_levels_traffic() -> tuple[list[str], dict[str, Any]]:
    """What is read in a batch, and what is written."""
    from cds.fhir.prefetch import fill, prefetch_keys

    rulebook = chaos_processes.KNOWLEDGE.rulebook
    keys = prefetch_keys(rulebook.drug, rulebook.terminology)
    context = {"patientId": "PATIENT"}
    addresses = [fill(key.template, context) for key in keys] + ["Observation/level-NUMBER"]
    return addresses, {"resourceType": "Task", "status": "requested", "note": ["x" * 2000]}


def _read_and_write(base: str, numbers: range, batch: list[str], task: dict[str, Any]) -> None:
    with httpx.Client(trust_env=False) as client:
        for number in numbers:
            client.get(f"{base}/Observation/level-{number}").json()
            named = [
                one.replace("PATIENT", f"p{number}").replace("NUMBER", str(number)) for one in batch
            ]
            entry = [{"request": {"method": "GET", "url": one}} for one in named]
            client.post(base, json={"resourceType": "Bundle", "entry": entry}).json()
            subject = {"for": {"reference": f"Patient/p{number}"}}
            ours = {"identifier": [{"system": "x", "value": str(number)}]}
            headers = {"If-None-Exist": f"identifier=x|{number}"}
            client.post(f"{base}/Task", json=task | subject | ours, headers=headers)


def _quantiles(waits: list[float]) -> str:
    ordered = sorted(waits)
    p99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    slowest = "" if len(ordered) >= 100 else f" (slowest of {len(ordered)})"
    return f"p50 {statistics.median(ordered):.2f} s, p99 {p99:.2f} s{slowest}"


def _shares(site: Site, before: dict[str, float], count: int) -> str:
    """Milliseconds of processor time for each level, by process."""
    spent = {name: after - before.get(name, 0.0) for name, after in site.spent().items()}
    each = {name: took / count * 1000 for name, took in spent.items()}
    listed = " + ".join(f"{name} {ms:.1f}" for name, ms in each.items())
    total = sum(each.values())
    return f"processor: {listed} = {total:.1f} ms each, which is {2000 / total:.0f}/s on two cores"


def _one_assessment() -> float:
    """Seconds of processor time for one decision about levels never seen, the least of ten."""
    times = []
    for number in range(11):
        given = _new_level(320.0 + number, datetime.now(UTC))
        started = time.process_time()
        decide(given, chaos_processes.KNOWLEDGE)
        times.append(time.process_time() - started)
    return min(times[1:])


def _new_level(ng_ml: float, now: datetime) -> EvaluationInput:
    fhir = FakeFhir()
    patient_on_imatinib(fhir)
    fhir.put(level(ng_ml, now=now))
    resources = {
        kind: {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": found}]}
        for kind in ("MedicationRequest", "Condition", "Observation")
        for found in fhir.of(kind)
    }
    return EvaluationInput(
        evaluation="benchmark",
        at=now,
        client="north",
        base_url="http://127.0.0.1",
        setting=Setting(Occasion.NEW_LEVEL),
        patient_id="p1",
        context={"patientId": "p1"},
        resources={"patient": fhir.resources["Patient/p1"], **resources},
    )


if __name__ == "__main__":
    main()
