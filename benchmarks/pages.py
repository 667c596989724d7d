"""How long pages take after the assessment, and what they weigh, beside a plain Flask page.

The floor is a Flask application that renders one small template; floor and pages take turns, so
that a slow moment of the machine hits both. Times are of the process (CPU) and of the clock. The
weight is what a browser fetches for the page: HTML, style sheet, icon and pictures, each gzip -9.

    python -m benchmarks.pages [--rounds 30]

Aims: 150 ms at the median, 2 MB compressed. Pictures are drawn on request and counted with the
weight and by themselves, because the page is read before they are there.
"""

from __future__ import annotations

import argparse
import gzip
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask, render_template_string
from flask.testing import FlaskClient

from cds.content import examples_dir
from cds.demo.history import invent_history
from cds.demo.stories import load_stories
from cds.services import build_services, prepare
from cds.services.clock import Clock
from cds.services.warmup import warm_up
from cds.settings import Settings
from cds.telemetry import configure_logging
from cds.web import create_app

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
AIM_MS, AIM_BYTES = 150.0, 2_000_000
STORY = "cml-low-trough"
RULE = "trough.cml-below-target"
_FETCHED = re.compile(r'(?:src|srcset|href)="(/[^"]+?\.(?:svg|css)[^"]*)"')
_ROWS = 40
_PLAIN = """<!doctype html><title>plain</title><table>{% for row in rows %}
<tr><td>{{ row }}</td><td>{{ row * row }}</td></tr>{% endfor %}</table>"""


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=30)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory, _service(Path(directory)) as (client, report):
        pages = {
            "level report": report,
            "what-if, 600 mg": f"{report}?dose=600&every=24",
            "safety board": "/board",
            "one rule on the board": f"/board/rules/{RULE}",
            "rules": "/rules",
            "one rule": f"/rules/{RULE}",
            "history of the rules": "/rules/history",
            "worklist": "/worklist",
            "picture of the level": f"{report}/level.svg",
            "control chart": f"/board/rules/{RULE}/fired.svg",
        }
        times = _measured(_floor(), client, pages, rounds)
        weights = {name: _weight(client, path) for name, path in pages.items()}
    _print(times, weights)


@contextmanager
def _service(directory: Path) -> Iterator[tuple[FlaskClient, str]]:
    """A service with the stories decided and half a year invented; the address of a report."""
    configure_logging(json_lines=True, file=(directory / "service.log").open("w"))
    settings = Settings(data_dir=directory, deadline_s=10)
    live = prepare(settings)
    services = build_services(settings, knowledge=live, clock=Clock(lambda: NOW))
    warm_up(services.knowledge, NOW)
    client = create_app(services).test_client()
    service_of = {str(service.hook): service.id for service in services.catalogue}
    stories = load_stories(examples_dir())
    for story in stories:
        for hook in story.hooks:
            answer = client.post(f"/cds-services/{service_of[hook.hook]}", json=hook.request)
            answer.get_data()
    patient = next(s for s in stories if s.id == STORY).hooks[0].request["context"]["patientId"]
    report = next(
        f"/evaluations/{found.evaluation}"
        for found in map(services.store.decision, services.store.evaluations())
        if found is not None and found.body and found.body["input"]["patientId"] == patient
    )
    invent_history(services.store, [("urn:reasons", "will-monitor")], NOW)
    client.environ_base["HTTP_ACCEPT"] = "text/html"
    try:
        yield client, report
    finally:
        services.close()


def _floor() -> FlaskClient:
    app = Flask("plain")

    @app.get("/")
    def plain() -> str:
        return render_template_string(_PLAIN, rows=range(_ROWS))

    return app.test_client()


def _measured(
    floor: FlaskClient, client: FlaskClient, pages: Mapping[str, str], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """(clock, CPU) seconds of each request, by page; the first request of each is not counted."""
    times: dict[str, list[tuple[float, float]]] = {n: [] for n in ("plain Flask page", *pages)}
    for number in range(rounds + 1):
        for name, path in (("plain Flask page", "/"), *pages.items()):
            used = floor if name == "plain Flask page" else client
            clock, cpu = time.perf_counter(), time.process_time()
            answer = used.get(path)
            answer.get_data()
            spent = time.perf_counter() - clock, time.process_time() - cpu
            if answer.status_code != 200:
                raise SystemExit(f"{path} answered {answer.status_code}")
            if number:
                times[name].append(spent)
    return times


def _weight(client: FlaskClient, path: str) -> int:
    """Compressed bytes of a page with what it fetches; of each picture only the wide one."""
    page = client.get(path)
    fetched = {
        address.replace("&amp;", "&")
        for address in _FETCHED.findall(page.get_data(as_text=True))
        if "shape=narrow" not in address and page.mimetype == "text/html"
    }
    bodies = [page.get_data(), *(client.get(address).get_data() for address in sorted(fetched))]
    return sum(len(gzip.compress(body, 9)) for body in bodies)


def _print(times: Mapping[str, list[tuple[float, float]]], weights: Mapping[str, int]) -> None:
    floor = statistics.median(clock for clock, _ in times["plain Flask page"])
    print(f"{'page':<24} {'median':>9} {'p95':>9} {'CPU':>9} {'to plain':>9} {'weight':>10}")
    for name, spent in times.items():
        clocks = sorted(clock for clock, _ in spent)
        middle, late = statistics.median(clocks), clocks[int(0.95 * (len(clocks) - 1))]
        cpu = statistics.median(cpu for _, cpu in spent)
        weight = f"{weights[name] / 1000:7.0f} kB" if name in weights else ""
        print(
            f"{name:<24} {1e3 * middle:6.1f} ms {1e3 * late:6.1f} ms {1e3 * cpu:6.1f} ms "
            f"{middle / floor:8.1f}x {weight:>10}"
        )
    for way, which in (("clock", 0), ("CPU", 1)):  # the clock also counts what else runs here
        slow = [n for n in weights if 1e3 * statistics.median(t[which] for t in times[n]) > AIM_MS]
        print(f"over {AIM_MS:.0f} ms at the median by {way}: {', '.join(slow) or 'none'}")
    heavy = [name for name, weight in weights.items() if weight > AIM_BYTES]
    print(f"over {AIM_BYTES / 1e6:.0f} MB compressed: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
