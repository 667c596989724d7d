"""Latency of order-sign as a ratio to a floor measured in the same run.

The floor is the same request through Flask with nothing but JSON decoding and `fhir.resources` R4B
parsing of each resource: what any service in this stack must pay. Floor and service take turns, so
that a slow moment of the machine hits both. The service is asked three times about each patient:

* as after a start, when it has seen no resource of any form (one is put through the models for each
  form, see ADR 8);
* about another patient with other measured values, as when a chart is opened;
* once more with the same content, as when the order is then signed.

    python -m benchmarks.hook_latency [--story cml-low-trough] [--rounds 300] [--labs 0]

The service writes its log to `service.log` in the temporary directory, as it would in operation.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from fhir.resources.R4B import get_fhir_model_class
from flask import Flask, Response, request
from flask.testing import FlaskClient
from ruamel.yaml import YAML

from cds import content
from cds.fhir.validate import PASSED
from cds.services import build_services, prepare
from cds.services.clock import Clock
from cds.services.warmup import leave_out_of_garbage_search, warm_up
from cds.settings import Limits, Settings
from cds.telemetry import configure_logging
from cds.web import create_app

AIM = 2.5
COLD, NEW, AGAIN = (
    "service, as after a start",
    "service, data never seen",
    "service, same data again",
)
UNCONCERNED = "service, drug not mentioned"
_WARM_UP = 20
SERVICE = "/cds-services/tdm-orders"


class Cost(NamedTuple):
    """What one request took in ms; the processor's time hardly depends on other programs."""

    elapsed: float
    processor: float


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    body, now = story_request(arguments.story, arguments.labs)
    raw = json.dumps(body).encode()
    with tempfile.TemporaryDirectory() as directory:
        service = service_client(Path(directory), now)
        floor = floor_client()
        cards = len(json.loads(post(service, raw).data)["cards"])
        costs = measure(floor, service, body, arguments.rounds)
        silent = json.dumps(without_drug(body)).encode()
        costs[UNCONCERNED] = costs_of_silence(service, silent, arguments.rounds)
    resources = sum(1 for _ in resources_in(body))
    print(f"order-sign, {arguments.story}: {len(raw)} bytes, {resources} resources, {cards} cards")
    report(costs)


def measure(
    floor: FlaskClient, service: FlaskClient, body: dict[str, Any], rounds: int
) -> dict[str, list[Cost]]:
    """Take turns between floor and service, about two new patients in each round."""
    costs: dict[str, list[Cost]] = {"floor": [], COLD: [], NEW: [], AGAIN: []}
    for number in range(rounds + _WARM_UP):
        first, second = (of_patient(body, 2 * number + which) for which in (0, 1))
        for name, client, raw in (
            ("floor", floor, first),
            (COLD, service, first),
            (NEW, service, second),
            (AGAIN, service, second),
        ):
            if name == COLD:
                PASSED.forget()
            cost, answer = timed(client, raw)
            if answer.status_code != 200:
                raise SystemExit(f"{name} answered {answer.status_code}: {answer.data!r}")
            if number >= _WARM_UP:
                costs[name].append(cost)
    return costs


def timed(client: FlaskClient, raw: bytes) -> tuple[Cost, Any]:
    """Send one request; what it took, and the answer."""
    started, used = time.perf_counter(), time.process_time()
    answer = post(client, raw)
    cost = Cost((time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000)
    return cost, answer


def of_patient(body: dict[str, Any], number: int) -> bytes:
    """The same request about another patient: every reference to the patient, every measured value
    and so every result of the model differ, but no card does. Values come again after a thousand
    patients, when no memory of the models holds them any more."""
    changed = copy.deepcopy(body)
    factor = 1.0 + 1e-5 * (number % 1000 + 1)
    for resource in resources_in(changed):
        quantity = resource.get("valueQuantity")
        if resource["resourceType"] == "Observation" and quantity is not None:
            quantity["value"] = round(quantity["value"] * factor, 6)
    patient = str(body["context"]["patientId"])
    return json.dumps(changed).replace(patient, f"{patient}-{number:06}").encode()


def report(costs: dict[str, list[Cost]]) -> None:
    """Print percentiles and the ratios that count."""
    floor = middle(costs["floor"])
    print(f"{'':<28} {'p50 ms':>8} {'p99 ms':>8} {'floors':>7} {'processor ms':>13} {'floors':>7}")
    for name, values in costs.items():
        p50, p99 = middle(values), percentile([cost.elapsed for cost in values], 99)
        print(
            f"{name:<28} {p50.elapsed:>8.2f} {p99:>8.2f} {p50.elapsed / floor.elapsed:>7.2f} "
            f"{p50.processor:>13.2f} {p50.processor / floor.processor:>7.2f}"
        )
    for name in (COLD, NEW, AGAIN):
        ratio = middle(costs[name]).elapsed / floor.elapsed
        verdict = "within" if ratio <= AIM else "ABOVE"
        print(f"{name}: {ratio:.2f} floors at p50 ({verdict} the aim {AIM})")


def middle(costs: list[Cost]) -> Cost:
    """The medians."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def story_request(story: str, labs: int) -> tuple[dict[str, Any], datetime]:
    """The story's order-sign request and its moment; `labs` more results make it larger."""
    examples = content.examples_dir()
    stories = YAML(typ="safe").load(examples / "index.yaml")["stories"]
    moments = {s["id"]: s["now"] for s in stories}
    if story not in moments:
        raise SystemExit(f"there is no story {story}; there are {', '.join(sorted(moments))}")
    now = datetime.fromisoformat(moments[story])
    body = json.loads((examples / "hooks" / f"{story}.order-sign.json").read_text())
    if labs:
        entries = body["prefetch"]["labs"]["entry"]
        pattern = entries[0]["resource"]
        for number in range(labs):
            at = (now - timedelta(days=10 + number)).isoformat()
            more = {**copy.deepcopy(pattern), "id": f"more-{number}", "effectiveDateTime": at}
            entries.append({"resource": more})
    return body, now


def without_drug(body: dict[str, Any]) -> dict[str, Any]:
    """The same request for a patient who never had the drug."""
    changed = copy.deepcopy(body)
    changed["prefetch"] = {
        key: value if key in ("patient", "labs", "conditions") else None
        for key, value in changed["prefetch"].items()
    }
    for entry in changed["context"]["draftOrders"]["entry"]:
        if entry["resource"]["resourceType"] == "MedicationRequest":
            entry["resource"]["medicationCodeableConcept"] = {"text": "paracetamol 500 mg"}
            entry["resource"].pop("note", None)
    return changed


def service_client(directory: Path, now: datetime) -> FlaskClient:
    """The whole service over a temporary database, at the story's moment."""
    configure_logging(json_lines=True, file=(directory / "service.log").open("w"))
    settings = Settings(
        data_dir=directory,
        deadline_s=10,
        loopback_limits=Limits(requests_per_second=1e6, burst=1_000_000),
    )
    knowledge = prepare(settings)
    services = build_services(settings, knowledge=knowledge, clock=Clock(now=lambda: now))
    warm_up(services.knowledge, now)
    client = create_app(services).test_client()
    leave_out_of_garbage_search()
    return client


def floor_client() -> FlaskClient:
    """Flask that decodes the JSON and parses every resource, and says nothing."""
    app = Flask("floor")

    @app.post(SERVICE)
    def parse() -> Response:
        for resource in resources_in(json.loads(request.get_data())):
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        return Response(b'{"cards":[]}', content_type="application/json")

    return app.test_client()


def resources_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every resource of the request that is not a Bundle."""
    if isinstance(value, dict):
        if value.get("resourceType") not in (None, "Bundle"):
            yield value
            return
        for item in value.values():
            yield from resources_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from resources_in(item)


def costs_of_silence(client: FlaskClient, raw: bytes, rounds: int) -> list[Cost]:
    """What a request about a patient who never had the drug costs."""
    costs = []
    for _ in range(rounds):
        cost, answer = timed(client, raw)
        if answer.json != {"cards": []}:
            raise SystemExit("a request without the drug got cards")
        costs.append(cost)
    return costs


def post(client: FlaskClient, raw: bytes) -> Any:
    """Send one request."""
    return client.post(SERVICE, data=raw, content_type="application/json")


def percentile(values: list[float], percent: int) -> float:
    """The value below which `percent` of the values lie."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--story", default="cml-low-trough")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--labs", type=int, default=0, help="results to add to the prefetch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
