"""Load: a steady stream of hook calls against the real server, with memory watched.

Starts `imatinib-tdm serve` on a free port, sends requests at a fixed rate - open loop, so that a
slow answer does not slow the next request down - and measures from the moment each request was
due, so that queueing counts. Each request is about another patient. Resident memory is read all
along: a worker grows until each of its threads has met every kind of request, then it must be flat.

    python -m benchmarks.load [--rate 50] [--seconds 60] [--concerned 0.2] [--warm-up 400]
    python -m benchmarks.load --growth          latency against the size of the prefetch
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hook_latency import (
    SERVICE,
    of_patient,
    percentile,
    story_request,
    without_drug,
)

AIM_P95_MS = 300.0
AIM_GROWTH = 0.01
STORY = "cml-low-trough"
_SENDERS = 32
_UNCOUNTED = 40
_CALLS_PER_SIZE = 40


def main() -> None:
    """Run what was asked for and print."""
    arguments = _arguments()
    with server() as (base, pid):
        warm_up(base, arguments.warm_up)
        if arguments.growth:
            growth(base, pid)
        else:
            load(base, pid, arguments)


def load(base: str, pid: int, arguments: argparse.Namespace) -> None:
    """Send the stream and report."""
    bodies = list(mixture(arguments.concerned))
    used = processor_seconds(pid)
    with watched(pid) as memory:
        times, statuses, sent = stream(base, bodies, arguments.rate, arguments.seconds)
    used = processor_seconds(pid) - used
    p50, p95, p99 = (percentile(times, q) for q in (50, 95, 99))
    share = f"{arguments.concerned:.0%} of patients on the drug"
    print(f"{sent} requests, {arguments.rate:g}/s for {arguments.seconds:g} s, {share}")
    print(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, max {max(times):.0f} ms")
    cores = used / arguments.seconds
    print(f"{used * 1000 / sent:.1f} ms of processor time a request, {cores:.2f} cores all along")
    print(f"statuses {dict(statuses)}")
    in_time = p95 <= AIM_P95_MS and set(statuses) == {200}
    print(f"{_verdict(in_time)} the aim: p95 at most {AIM_P95_MS:.0f} ms and no error")
    report_memory(memory)


def report_memory(memory: list[tuple[float, float]]) -> None:
    """Print resident memory over time, and whether its second half is flat."""
    shown = memory[:: max(1, len(memory) // 12)]
    print("resident memory of all workers, seconds: MiB")
    print("  " + ", ".join(f"{at:.0f}: {mib:.1f}" for at, mib in shown))
    middle, last = memory[len(memory) // 2][1], memory[-1][1]
    growth = (last - middle) / middle
    verdict = _verdict(growth <= AIM_GROWTH)
    print(f"second half {middle:.1f} -> {last:.1f} MiB, {growth:+.2%}")
    print(f"{verdict} the aim: at most {AIM_GROWTH:.0%} of growth in the second half")


def _verdict(reached: bool) -> str:
    return "within" if reached else "OUTSIDE"


@contextmanager
def watched(pid: int) -> Iterator[list[tuple[float, float]]]:
    """Seconds and MiB of all workers, read every second while the body runs."""
    memory: list[tuple[float, float]] = []
    over = threading.Event()
    started = time.perf_counter()

    def watch() -> None:
        while not over.wait(1.0):
            memory.append((time.perf_counter() - started, resident_mib(pid)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def stream(
    base: str, bodies: list[dict[str, Any]], rate: float, seconds: float
) -> tuple[list[float], Counter[int], int]:
    """Send at a fixed rate; milliseconds from when each request was due."""
    due: queue.Queue[tuple[float, bytes] | None] = queue.Queue()
    times: list[float] = []
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def sender() -> None:
        with httpx.Client(timeout=10) as client:
            while (item := due.get()) is not None:
                at, body = item
                status = post(client, base, body)
                elapsed = (time.perf_counter() - at) * 1000
                with lock:
                    times.append(elapsed)
                    statuses[status] += 1

    threads = [threading.Thread(target=sender) for _ in range(_SENDERS)]
    for thread in threads:
        thread.start()
    chance = random.Random(1)
    started = time.perf_counter()
    count = int(rate * seconds)
    for number in range(count):
        at = started + number / rate
        time.sleep(max(0.0, at - time.perf_counter()))
        due.put((at, of_patient(chance.choice(bodies), number)))
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    return times, statuses, count


def growth(base: str, pid: int) -> None:
    """What one call costs against the number of results in its prefetch, each about new data."""
    print(f"{'results':>8} {'kB':>6} {'p50 ms':>8} {'p99 ms':>8} {'processor ms':>13}")
    costs: list[tuple[int, float]] = []
    with httpx.Client(timeout=10) as client:
        for labs in (0, 50, 100, 200, 500):
            body, _ = story_request(STORY, labs)
            for number in range(_UNCOUNTED):  # the first of a size loads what is loaded once
                post(client, base, of_patient(body, 900_000 + 1000 * labs + number))
            times, used = [], processor_seconds(pid)
            for number in range(_CALLS_PER_SIZE):
                asked = of_patient(body, 1000 * labs + number)
                started = time.perf_counter()
                if post(client, base, asked) != 200:
                    raise SystemExit(f"{labs} results: not answered")
                times.append((time.perf_counter() - started) * 1000)
            cost = (processor_seconds(pid) - used) * 1000 / _CALLS_PER_SIZE
            costs.append((labs, cost))
            p50, p99 = percentile(times, 50), percentile(times, 99)
            kb = len(asked) // 1024
            print(f"{labs:>8} {kb:>6} {p50:>8.1f} {p99:>8.1f} {cost:>13.1f}")
    (_, none), (few, early), (many, late) = costs[0], costs[2], costs[-1]
    first, rest = (early - none) / few, (late - early) / (many - few)
    print(f"one more result: {first:.3f} ms up to {few}, {rest:.3f} ms from there to {many}")
    print(f"{_verdict(rest <= 1.5 * first)} the aim: linear growth or better")


def mixture(concerned: float) -> Iterator[dict[str, Any]]:
    """Ten bodies of which this share is about patients on the drug."""
    body, _ = story_request(STORY, 0)
    off_drug = without_drug(body)
    for number in range(10):
        yield body if number < round(concerned * 10) else off_drug


def post(client: httpx.Client, base: str, body: bytes) -> int:
    """Send one request; the status, or 0 when there was no answer."""
    try:
        headers = {"Content-Type": "application/json"}
        return client.post(f"{base}{SERVICE}", content=body, headers=headers).status_code
    except httpx.TransportError:
        return 0


def warm_up(base: str, requests: int) -> None:
    """Let every thread of every worker answer: what they hold from then on is theirs."""
    bodies = list(mixture(0.5))
    bodies_sent = [of_patient(bodies[n % 10], 900_000 + n) for n in range(requests)]

    def send(share: list[bytes]) -> None:
        with httpx.Client(timeout=30) as client:
            for body in share:
                post(client, base, body)

    threads = [
        threading.Thread(target=send, args=(bodies_sent[n::_SENDERS],)) for n in range(_SENDERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def resident_mib(pid: int) -> float:
    """Resident memory of the workers."""
    statuses = (Path(f"/proc/{child}/status").read_text() for child in _workers(pid))
    return sum(int(status.split("VmRSS:")[1].split()[0]) for status in statuses) / 1024


def processor_seconds(pid: int) -> float:
    """Processor time of the workers so far; unlike latency it hardly depends on other programs."""
    stats = (Path(f"/proc/{child}/stat").read_text().rpartition(")")[2] for child in _workers(pid))
    ticks = sum(int(ticks) for stat in stats for ticks in stat.split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _workers(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """The real server with its own data directory and room for the load."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory) / "settings.yaml"
        settings.write_text(
            f"data_dir: {directory}/data\n"
            "loopback_limits: {requests_per_second: 100000, burst: 100000}\n"
        )
        command = ["serve", "--port", str(port), "--settings", str(settings)]
        process = subprocess.Popen(
            [sys.executable, "-m", "cds.cli", *command],
            stderr=subprocess.DEVNULL,
            env={**os.environ},
        )
        base = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(base, process)
            yield base, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_until_ready(base: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{base}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the server ended while starting; try `imatinib-tdm serve`")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--concerned", type=float, default=0.2, help="share on the drug")
    parser.add_argument("--warm-up", type=int, default=400, help="requests before measuring")
    parser.add_argument("--growth", action="store_true", help="latency against prefetch size")
    return parser.parse_args()


if __name__ == "__main__":
    main()
