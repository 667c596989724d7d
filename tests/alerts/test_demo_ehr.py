"""From the laboratory to the worklist and back, by the commands that an operator types.

Demo hospital, service and worker run as processes of their own on loopback; all they share is HTTP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.alerts.build import ENDPOINT, SECRET, level
from tests.alerts.chaos import free_port

PATIENCE_S = 90.0
COMMAND = "from cds.cli import main; main(prog_name='imatinib-tdm')"
HOSPITAL = """
import sys
from cds.content import examples_dir
from cds.demo.hospital import running_hospital
from cds.demo.stories import load_stories
with running_hospital(load_stories(examples_dir()), sys.argv[1]) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[httpx.Client]:
    """Everything running and subscribed; a client of the hospital's FHIR server."""
    service = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as running:
        hospital = running.enter_context(_hospital(service))
        settings = _write_settings(tmp_path, service, f"{hospital}/fhir")
        _run("db", "upgrade", *settings)
        port = service.rsplit(":", 1)[1]
        running.enter_context(_process(tmp_path / "serve.log", "serve", "--port", port, *settings))
        _until(lambda: _answers(f"{service}/cds-services"), tmp_path)
        running.enter_context(_process(tmp_path / "worker.log", "worker", *settings))
        said = _run("subscribe", *settings)
        assert said.startswith("demo: criteria Subscription created until ")
        yield running.enter_context(
            httpx.Client(base_url=f"{hospital}/fhir", trust_env=False, timeout=10)
        )


def test_a_level_filed_at_the_demo_hospital_becomes_a_task_that_follows_it(
    site: httpx.Client, tmp_path: Path
) -> None:
    patient = "ex-anders"  # of the story cml-low-trough
    observation = level(310, patient=patient, days_ago=0.01, now=datetime.now(UTC))
    del observation["id"]
    filed = site.post("/Observation", json=observation).raise_for_status().json()

    def tasks(status: str) -> list[dict[str, Any]]:
        answer = site.get("/Task", params={"patient": patient, "status": status}).json()
        return [
            entry["resource"]
            for entry in answer["entry"]
            if entry["resource"]["focus"]["reference"] == f"Observation/{filed['id']}"
        ]

    first = _until(lambda: tasks("requested"), tmp_path)
    assert any("310 ng/mL" in task["description"] for task in first)

    amended = {**filed, "status": "amended", "valueQuantity": {**filed["valueQuantity"]}}
    amended["valueQuantity"]["value"] = 420
    site.put(f"/Observation/{filed['id']}", json=amended).raise_for_status()
    _until(lambda: any("420 ng/mL" in t["description"] for t in tasks("requested")), tmp_path)
    _until(lambda: not any("310" in t["description"] for t in tasks("requested")), tmp_path)
    assert [task["id"] for task in tasks("cancelled")] == [task["id"] for task in first]

    withdrawn = {**amended, "status": "entered-in-error"}
    site.put(f"/Observation/{filed['id']}", json=withdrawn).raise_for_status()
    _until(lambda: not tasks("requested"), tmp_path)
    everything = [*tasks("cancelled"), *tasks("requested")]
    identifiers = [task["identifier"][0]["value"] for task in everything]
    assert len(identifiers) == len(set(identifiers)) > 1


def _write_settings(directory: Path, service: str, fhir: str) -> list[str]:
    """The files an operator writes; JSON is YAML."""
    settings = {"data_dir": str(directory), "public_base_url": service, "site": "test"}
    settings["server"] = {"workers": 1, "threads": 2}
    server = {"id": "demo", "fhir_base": fhir, "endpoint": ENDPOINT, "secret_file": "secret"}
    alerts = {"embedded_worker": False, "settle_s": 0.05, "servers": [server]}
    (directory / "secret").write_text(SECRET)
    (directory / "alerts.yaml").write_text(json.dumps(alerts))
    (directory / "site.yaml").write_text(json.dumps(settings))
    return ["--settings", str(directory / "site.yaml")]


@contextmanager
def _hospital(service: str) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", HOSPITAL, service],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@contextmanager
def _process(log: Path, *words: str) -> Iterator[None]:
    with log.open("wb") as output:
        command = [sys.executable, "-c", COMMAND, *words]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment())
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text()


def _run(*words: str) -> str:
    command = [sys.executable, "-c", COMMAND, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith("IMATINIB_TDM_")}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False


def _until(wanted: Callable[[], Any], logs: Path) -> Any:
    """What is wanted, as soon as it is there."""
    until = time.monotonic() + PATIENCE_S
    while not (found := wanted()):
        said = {log.name: log.read_text()[-2000:] for log in logs.glob("*.log")}
        assert time.monotonic() < until, f"it did not happen in time: {said}"
        time.sleep(0.05)
    return found
