"""Discovery describes every service completely and within the restrictions of CDS Hooks 2.0."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from flask.testing import FlaskClient

SCHEMAS = Path(__file__).parent / "schemas"
TOKEN = re.compile(r"\{\{(.*?)\}\}")


@pytest.fixture
def services(client: FlaskClient) -> list[dict]:
    response = client.get("/cds-services")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    return response.get_json()["services"]


def test_discovery_is_valid(client: FlaskClient):
    schema = json.loads((SCHEMAS / "discovery.schema.json").read_text())

    jsonschema.validate(client.get("/cds-services").get_json(), schema)


def test_every_hook_is_offered(services: list[dict]):
    assert [s["hook"] for s in services] == [
        "patient-view",
        "order-select",
        "order-sign",
        "medication-refill",
        "medication-verify",
    ]


def test_an_id_is_shared_only_by_different_hooks(services: list[dict]):
    assert len({(s["id"], s["hook"]) for s in services}) == len(services)


def test_select_and_sign_share_an_id_so_that_clients_replace_earlier_cards(services: list[dict]):
    ids = {s["hook"]: s["id"] for s in services}

    assert ids["order-select"] == ids["order-sign"]


def test_prefetch_uses_only_root_level_tokens_and_plain_searches(services: list[dict]):
    for service in services:
        for template in service["prefetch"].values():
            assert set(TOKEN.findall(template)) <= {"context.patientId", "context.userId"}
            assert not template.startswith(("http", "/"))
            assert not re.search(r"_include|_revinclude|_has|_lastUpdated|[?&]\w+\.\w+=", template)
            assert set(re.findall(r"[?&]\w+:(\w+)=", template)) <= {"in"}


def test_every_described_service_exists(client: FlaskClient, services: list[dict]):
    for service in services:
        # 400, not 404: the address exists and misses its body.
        assert client.post(f"/cds-services/{service['id']}", json={}).status_code == 400


def test_a_service_says_which_rulebook_it_decides_with(services: list[dict]):
    for service in services:
        extension = service["extension"]["org.imatinib-tdm.rulebook"]
        assert set(extension) == {"version", "revision"}


def test_every_service_has_a_title_and_says_what_it_needs(services: list[dict]):
    for service in services:
        assert service["title"]
        assert "Agree with the site which hooks are called" in service["usageRequirements"]
