"""Load: a steady stream of hook calls against the real server, with memory watched.

Starts `imatinib-tdm serve` on a free port, sends requests at a fixed rate - open loop, so that a
slow answer does not slow the next request down - and measures from the moment each request was
due, so that queueing counts.

    python -m benchmarks.load [--rate 50] [--seconds 60] [--concerned 0.2]
    python -m benchmarks.load --growth          latency against the size of the prefetch
"""

from __future__ import annotations

import argparse
import json
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

import httpx

from benchmarks.hook_latency import SERVICE, percentile, story_request, without_drug

AIM_P95_MS = 300.0
_SENDERS = 32
_WARM_UP = 20


def main() -> None:
    """Run what was asked for and print."""
    arguments = _arguments()
    with server() as (base, pid):
        warm_up(base)
        if arguments.growth:
            growth(base)
        else:
            load(base, pid, arguments)


def load(base: str, pid: int, arguments: argparse.Namespace) -> None:
    """Send the stream and report."""
    bodies = list(mixture(arguments.concerned))
    before = resident_mib(pid)
    times, statuses, sent = stream(base, bodies, arguments.rate, arguments.seconds)
    after = resident_mib(pid)
    p50, p95, p99 = (percentile(times, q) for q in (50, 95, 99))
    share = f"{arguments.concerned:.0%} of patients on the drug"
    print(f"{sent} requests, {arguments.rate}/s for {arguments.seconds} s, {share}")
    print(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, max {max(times):.0f} ms")
    print(f"statuses {dict(statuses)}")
    print(f"resident memory of all workers {before:.0f} -> {after:.0f} MiB")
    verdict = "within" if p95 <= AIM_P95_MS and set(statuses) == {200} else "OUTSIDE"
    print(f"{verdict} the aim: p95 at most {AIM_P95_MS:.0f} ms and no error")


def stream(
    base: str, bodies: list[bytes], rate: float, seconds: float
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
        due.put((at, chance.choice(bodies)))
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    return times, statuses, count


def growth(base: str) -> None:
    """Latency of one caller against the number of results in the prefetch."""
    print(f"{'results':>8} {'kB':>6} {'p50 ms':>8} {'p99 ms':>8}")
    with httpx.Client(timeout=10) as client:
        for labs in (0, 50, 100, 200, 400):
            body = json.dumps(story_request("cml-low-trough", labs)[0]).encode()
            times = []
            for _ in range(30):
                started = time.perf_counter()
                if post(client, base, body) != 200:
                    raise SystemExit(f"{labs} results: not answered")
                times.append((time.perf_counter() - started) * 1000)
            p50, p99 = percentile(times, 50), percentile(times, 99)
            print(f"{labs:>8} {len(body) // 1024:>6} {p50:>8.1f} {p99:>8.1f}")


def mixture(concerned: float) -> Iterator[bytes]:
    """Ten bodies of which this share is about patients on the drug."""
    body, _ = story_request("cml-low-trough", 0)
    on_drug, off_drug = json.dumps(body).encode(), json.dumps(without_drug(body)).encode()
    for number in range(10):
        yield on_drug if number < round(concerned * 10) else off_drug


def post(client: httpx.Client, base: str, body: bytes) -> int:
    """Send one request; the status, or 0 when there was no answer."""
    try:
        headers = {"Content-Type": "application/json"}
        return client.post(f"{base}{SERVICE}", content=body, headers=headers).status_code
    except httpx.TransportError:
        return 0


def warm_up(base: str) -> None:
    """Let every worker answer a few times."""
    body = next(mixture(1.0))
    with httpx.Client(timeout=30) as client:
        for _ in range(_WARM_UP):
            post(client, base, body)


def resident_mib(pid: int) -> float:
    """Resident memory of the workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for child in children:
        status = Path(f"/proc/{child}/status").read_text()
        total += int(status.split("VmRSS:")[1].split()[0])
    return total / 1024


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
    parser.add_argument("--growth", action="store_true", help="latency against prefetch size")
    return parser.parse_args()


if __name__ == "__main__":
    main()
