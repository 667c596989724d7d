"""What the service decides with is published completely and as valid FHIR R4."""

from __future__ import annotations

import pytest
from fhir.resources.R4B import get_fhir_model_class
from flask.testing import FlaskClient

from cds.services.knowledge import Knowledge
from tests.web.patients import concerned_request
from tests.web.requests import ORDERS


@pytest.mark.parametrize("kind", ["PlanDefinition", "Library", "Device"])
def test_every_artifact_is_valid_r4_and_found_by_its_id(client: FlaskClient, kind: str):
    response = client.get(f"/fhir/{kind}")
    assert response.content_type == "application/fhir+json"
    bundle = response.get_json()
    get_fhir_model_class("Bundle").model_validate(bundle)

    assert bundle["total"] == len(bundle["entry"]) > 0
    for entry in bundle["entry"]:
        resource = entry["resource"]
        get_fhir_model_class(kind).model_validate(resource)
    single = client.get(f"/fhir/{kind}/{resource['id']}")
    assert single.get_json() == resource


def test_there_is_one_plan_per_rule_and_one_library_per_model(
    client: FlaskClient, knowledge: Knowledge
):
    plans = client.get("/fhir/PlanDefinition").get_json()["entry"]
    libraries = client.get("/fhir/Library").get_json()["entry"]

    assert {e["resource"]["id"] for e in plans} == {r.id for r in knowledge.rulebook.rules}
    assert {e["resource"]["id"] for e in libraries} == set(knowledge.models)


def test_a_plan_says_its_events_sources_and_that_nobody_has_approved_it(
    client: FlaskClient, knowledge: Knowledge
):
    rule = next(r for r in knowledge.rulebook.rules if r.speaks and not r.approvals)

    plan = client.get(f"/fhir/PlanDefinition/{rule.id}").get_json()

    assert {t["name"] for t in plan["action"][0]["trigger"]} == set(rule.occasions)
    assert {a["label"] for a in plan["relatedArtifact"]} == set(rule.sources)
    assert plan["experimental"] is True
    assert plan["version"] == str(rule.revision)


@pytest.mark.parametrize(
    "path", ["/fhir/PlanDefinition/none", "/fhir/Library/none", "/fhir/Device/none", "/rules/none"]
)
def test_what_does_not_exist_is_404(client: FlaskClient, path: str):
    assert client.get(path).status_code == 404


def test_all_13_and_31_source_attributes_have_a_value_for_every_rule_and_model(
    client: FlaskClient, knowledge: Knowledge
):
    published = client.get("/metadata/dsi").get_json()

    assert len(published["evidence"]) == len(knowledge.rulebook.rules)
    assert len(published["predictive"]) == len(knowledge.models)
    for rule in published["evidence"]:
        assert len(rule["attributes"]) == 13
        assert all(a["value"] not in (None, "", [], {}) for a in rule["attributes"]), rule["id"]
    for model in published["predictive"]:
        assert len(model["attributes"]) == 31
        assert len({a["group"] for a in model["attributes"]}) == 9
        assert all(a["value"] not in (None, "", [], {}) for a in model["attributes"]), model["id"]


def test_a_rule_that_looks_at_sex_or_age_says_so(client: FlaskClient, knowledge: Knowledge):
    published = {r["id"]: r for r in client.get("/metadata/dsi").get_json()["evidence"]}
    for rule in knowledge.rulebook.rules:
        used = {c.attribute for p in rule.patterns() for c in p.comparisons()}
        said = {a["id"]: a["value"] for a in published[rule.id]["attributes"]}
        assert ("sex" in used) == said["E10"].startswith("Used")
        assert bool(used & {"age_years", "population"}) == said["E11"].startswith("Used")


def test_unchanged_metadata_are_not_sent_again(client: FlaskClient):
    etag = client.get("/metadata/dsi").headers["ETag"]

    assert client.get("/metadata/dsi", headers={"If-None-Match": etag}).status_code == 304


def test_the_links_on_a_card_lead_somewhere(make_services):
    from cds.web import create_app

    client = create_app(make_services()).test_client()
    cards = client.post(ORDERS, json=concerned_request()).get_json()["cards"]

    urls = {card["source"]["url"] for card in cards} | {
        link["url"] for card in cards for link in card["links"]
    }
    assert urls
    for url in urls:
        response = client.get(url.removeprefix("http://127.0.0.1:8000"))
        assert response.status_code == 200, url
        assert "p-1" not in url


def test_a_recorded_decision_is_not_shown_where_clients_are_registered(make_services):
    from cds.settings import ClientSettings
    from cds.web import create_app
    from tests.web.tokens import registration

    services = make_services(clients=(ClientSettings.model_validate(registration()),))
    client = create_app(services).test_client()

    response = client.get("/evaluations/00000000-0000-0000-0000-000000000000")

    assert response.status_code == 403


@pytest.mark.parametrize("path", ["none", "00000000-0000-0000-0000-000000000000", "..%2F"])
def test_an_unknown_evaluation_is_404(make_services, path: str):
    from cds.web import create_app

    client = create_app(make_services()).test_client()
    assert client.get(f"/evaluations/{path}").status_code == 404


def test_the_source_names_the_rulebook_and_the_link_the_evaluation(make_services):
    from cds.web import create_app

    client = create_app(make_services()).test_client()
    cards = client.post(ORDERS, json=concerned_request()).get_json()["cards"]

    for card in cards:
        evaluation = card["extension"]["org.imatinib-tdm.evaluation"]["evaluationId"]
        assert evaluation not in card["source"]["url"]
        assert any(evaluation in link["url"] for link in card["links"])
