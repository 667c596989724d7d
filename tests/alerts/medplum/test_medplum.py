"""Against a FHIR server that was not written here: subscribe, file a level, see the Task.

Everything runs as processes on loopback: Medplum's FHIR router under Node, the receiver behind
werkzeug, the worker beside it. Medplum's router knows neither `If-None-Exist` nor `ETag`, so this
also shows delivery to a server without conditional creation.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from werkzeug.serving import make_server

from cds.alerts import AlertServices, build_alerts
from cds.alerts.blueprint import blueprint
from cds.alerts.subscription import subscribe
from cds.services import Services, build_services, open_store
from cds.services.knowledge import Knowledge, load_knowledge
from cds.settings import Settings
from cds.store.migrate import upgrade
from tests.alerts.build import alert_settings, level, north, patient_on_imatinib
from tests.alerts.fake_fhir import FakeFhir
from tests.alerts.medplum.server import installed, tool

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def fhir_base() -> Iterator[str]:
    with subprocess.Popen(
        [tool("node"), "server.mjs"], cwd=installed(), stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/fhir"
        server.terminate()


@pytest.fixture(scope="module")
def knowledge() -> Iterator[Knowledge]:
    loaded = load_knowledge(Settings())
    yield loaded
    loaded.rulebook.close()


@pytest.fixture
def fhir(fhir_base: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fhir_base, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def site(
    fhir_base: str, knowledge: Knowledge, tmp_path: Path
) -> Iterator[tuple[Services, AlertServices, str]]:
    settings = Settings(data_dir=tmp_path)
    store = open_store(settings)
    upgrade(store.database)
    services = build_services(settings, knowledge=knowledge, store=store)
    alerts = build_alerts(services, alert_settings(north(fhir_base=fhir_base)))
    app = Flask("e2e")
    app.register_blueprint(blueprint(alerts.receiver, services.clock.now))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    alerts.start()
    yield services, alerts, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    alerts.close()
    store.database.close()


def test_a_level_filed_at_a_foreign_server_becomes_one_task_and_is_withdrawn(
    fhir: httpx.Client, site: tuple[Services, AlertServices, str]
) -> None:
    services, alerts, public = site
    patient = _file_patient(fhir)
    done = subscribe(
        alerts.worker.remotes["north"],
        services.knowledge.rulebook.drug,
        public,
        services.clock.now(),
    )
    assert not done.topic

    observation = level(320, patient=patient, now=datetime.now(UTC))
    del observation["id"]
    filed = fhir.post("Observation", json=observation).json()
    (task,) = _until(lambda: _tasks(fhir, patient, "requested"))
    assert "320 ng/mL" in task["description"]
    assert task["focus"]["reference"] == f"Observation/{filed['id']}"

    amended = {**observation, **level(420, now=datetime.now(UTC)), "id": filed["id"]}
    amended |= {"status": "amended", "subject": observation["subject"]}
    assert fhir.put(f"Observation/{filed['id']}", json=amended).is_success
    _until(lambda: _tasks(fhir, patient, "cancelled"))
    (task,) = _until(lambda: _tasks(fhir, patient, "requested"))
    assert "420 ng/mL" in task["description"]

    amended["status"] = "entered-in-error"
    assert fhir.put(f"Observation/{filed['id']}", json=amended).is_success
    _until(lambda: len(_tasks(fhir, patient, "cancelled")) == 2)
    assert _tasks(fhir, patient, "requested") == []


def _file_patient(fhir: httpx.Client) -> str:
    """The patient of the other tests, under the ids that this server gives."""
    template = FakeFhir()
    patient_on_imatinib(template)
    ids: dict[str, str] = {}
    for resource in template.resources.values():
        sent = {name: value for name, value in resource.items() if name not in ("id", "meta")}
        if "subject" in sent:
            sent["subject"] = {"reference": f"Patient/{ids['Patient']}"}
        answer = fhir.post(resource["resourceType"], json=sent)
        assert answer.is_success, answer.text
        ids[resource["resourceType"]] = answer.json()["id"]
    return ids["Patient"]


def _tasks(fhir: httpx.Client, patient: str, status: str) -> list[dict[str, Any]]:
    bundle = fhir.get("Task", params={"patient": patient, "status": status}).json()
    return [entry["resource"] for entry in bundle.get("entry", [])]


def _until(wanted: Callable[[], Any]) -> Any:
    """What is wanted, as soon as it is there."""
    until = time.monotonic() + PATIENCE_S
    while not (found := wanted()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
    return found
