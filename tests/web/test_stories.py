"""The example requests go through the whole service as a client would send them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fhir.resources.R4B import get_fhir_model_class
from ruamel.yaml import YAML

from cds import content
from cds.services import Services
from cds.services.replay import replay
from cds.web import create_app
from tests.web.fakes import FakeClock

SCHEMAS = Path(__file__).parent / "schemas"
EXAMPLES = content.examples_dir()
MOMENTS = {
    story["id"]: datetime.fromisoformat(story["now"])
    for story in YAML(typ="safe").load(EXAMPLES / "index.yaml")["stories"]
}
REQUESTS = sorted(path.stem for path in (EXAMPLES / "hooks").glob("*.json"))


def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text())


def actions(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for card in response["cards"]:
        for suggestion in card.get("suggestions", []):
            yield from suggestion.get("actions", [])


def empties(value: Any, place: str = "") -> Iterator[str]:
    """Where something is null or empty, which CDS Hooks forbids (but for `cards: []`)."""
    if value in (None, "", [], {}) and place != ".cards":
        yield place
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield from empties(item, f"{place}.{key}")


@pytest.mark.parametrize("name", REQUESTS)
def test_an_example_is_answered_validly_and_the_same_when_replayed(
    make_services: Callable[..., Services], clock: FakeClock, name: str
):
    story, hook = name.rsplit(".", 1)
    clock.now = MOMENTS[story]
    services = make_services(loopback_reading="strict")
    client = create_app(services).test_client()
    request = json.loads((EXAMPLES / "hooks" / f"{name}.json").read_text())
    jsonschema.validate(request, schema("request"))
    service = next(s.id for s in services.catalogue if s.hook.value == hook)

    response = client.post(f"/cds-services/{service}", json=request)

    assert response.status_code == 200
    answer = response.get_json()
    jsonschema.validate(answer, schema("response"))
    assert list(empties(answer)) == []
    drafts = {
        f"{entry['resource']['resourceType']}/{entry['resource'].get('id')}"
        for entry in request["context"].get("draftOrders", {}).get("entry", [])
    }
    for action in actions(answer):
        if "resource" in action:
            resource = action["resource"]
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        if action["type"] == "update" and drafts:
            held = f"{action['resource']['resourceType']}/{action['resource']['id']}"
            assert held in drafts or action["resource"]["status"] == "on-hold"
        if action["type"] == "delete":
            assert action["resourceId"] in drafts
    for decision in services.store.recent_decisions():
        assert replay(services.store, lambda _: services.knowledge, decision["evaluation"]).same
