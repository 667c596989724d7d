"""Requests of old or peculiar clients: never a server error, never a dose that nobody ordered."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds.web import create_app
from tests.web.patients import concerned_request, drug_order, level, prefetch
from tests.web.requests import ORDERS, bundle, hook_request, url_of

LONG_ID = "e" * 190


@pytest.fixture
def client(make_services) -> FlaskClient:
    return create_app(make_services()).test_client()


def epic_request() -> dict[str, Any]:
    """medicationReference instead of a code, ids of 190 characters, a role as the user."""
    request = concerned_request()
    drug = drug_order(mg=400)
    concept = drug.pop("medicationCodeableConcept")
    drug |= {
        "id": LONG_ID,
        "medicationReference": {"reference": f"Medication/{LONG_ID}", "display": "imatinib 400 mg"},
        "contained": [{"resourceType": "Medication", "id": "other", "code": concept}],
    }
    request["context"] |= {
        "userId": f"PractitionerRole/{LONG_ID}",
        "draftOrders": bundle(drug),
    }
    return request


def test_a_request_shaped_like_epics_is_answered(client: FlaskClient):
    response = client.post(ORDERS, json=epic_request())

    assert response.status_code == 200


def stu3_order() -> dict[str, Any]:
    """A MedicationRequest as STU3 wrote it: doseQuantity directly in the dosage, `context`."""
    old = drug_order("mr-stu3", status="active")
    dosage = old["dosageInstruction"][0]
    dosage["doseQuantity"] = dosage.pop("doseAndRate")[0]["doseQuantity"]
    old["context"] = {"reference": "Encounter/1"}
    old["requester"] = {"agent": {"reference": "Practitioner/1"}}
    return old


def test_an_order_of_stu3_shape_is_a_question_not_a_dose(client: FlaskClient):
    request = concerned_request(prefetch=prefetch(medications=bundle(stu3_order())))
    request["context"]["draftOrders"] = bundle(drug_order(mg=400))

    response = client.post(ORDERS, json=request)

    assert response.status_code == 200
    said = json.dumps(response.get_json()["cards"])
    assert "mr-stu3" in said or "could not be read" in said


@pytest.mark.parametrize("hook", ["medication-prescribe", "order-review", "order-dispatch"])
def test_a_hook_that_is_not_offered_is_400_and_names_the_field(client: FlaskClient, hook: str):
    response = client.post(ORDERS, json=hook_request() | {"hook": hook})

    assert response.status_code == 400
    assert response.get_json()["issue"][0]["expression"] == ["hook"]


def test_dstu2_orders_are_refused_rather_than_misread(client: FlaskClient):
    request = hook_request()
    request["context"]["draftOrders"] = bundle({"resourceType": "MedicationOrder", "id": "1"})

    assert client.post(ORDERS, json=request).status_code == 400


def test_a_prefetch_wrapped_as_before_1_0_gives_the_same_cards(client: FlaskClient):
    plain = concerned_request()
    wrapped = copy.deepcopy(plain)
    wrapped["prefetch"] = {
        key: None if value is None else {"response": {"status": "200 OK"}, "resource": value}
        for key, value in plain["prefetch"].items()
    }

    def cards(request: dict[str, Any]) -> list[str]:
        response = client.post(ORDERS, json=request)
        assert response.status_code == 200
        return [card["uuid"] for card in response.get_json()["cards"]]

    assert cards(wrapped) == cards(plain)


@pytest.mark.parametrize("hook", ["patient-view", "medication-refill"])
def test_nothing_but_the_patient_known_is_answered_or_412(client: FlaskClient, hook: str):
    response = client.post(url_of(hook), json=hook_request(hook))

    assert response.status_code in (200, 412)


def test_data_of_another_patient_are_not_used(client: FlaskClient):
    """The prefetch of a mixed-up client: everything belongs to somebody else."""
    request = concerned_request(prefetch=prefetch(levels=bundle(level(617.3))))
    for key in ("levels", "medications", "conditions"):
        for entry in request["prefetch"][key]["entry"]:
            entry["resource"]["subject"] = {"reference": "Patient/p-2"}

    response = client.post(ORDERS, json=request)

    assert response.status_code == 200
    said = json.dumps(response.get_json()["cards"])
    assert "617 ng" not in said
    assert "617.3" not in said
    assert "another patient" in said


def test_the_list_of_another_patient_is_not_met_with_silence(client: FlaskClient):
    """Nothing that is this patient's own names the drug: the orders were lost, or are none."""
    request = concerned_request("patient-view", prefetch=prefetch(levels=bundle()))
    orders = request["prefetch"]["medications"]["entry"]
    for number in range(20):
        another = copy.deepcopy(orders[0]["resource"]) | {"id": f"more-{number}"}
        orders.append({"resource": another})
    for entry in orders:
        entry["resource"]["subject"] = {"reference": "Patient/p-2"}

    (card,) = client.post(url_of("patient-view"), json=request).get_json()["cards"]

    assert "another patient" in card["summary"]
    assert f"And {len(orders) - 8} more of this kind" in card["detail"]
    assert "mg" not in card["detail"]


@pytest.mark.parametrize("named", ["Patient/p-2", "urn:uuid:0b8f2c1e-0000-4000-8000-000000000000"])
def test_an_order_of_the_drug_that_names_another_patient_is_not_met_with_silence(
    client: FlaskClient, named: str
):
    """A client that mixes up charts, or names patients in a way nobody here can follow."""
    request = concerned_request(prefetch=prefetch(medications=bundle(), levels=bundle()))
    request["context"]["draftOrders"] = bundle(
        drug_order(mg=400) | {"subject": {"reference": named}}
    )

    response = client.post(ORDERS, json=request)

    assert response.status_code == 200
    assert "another patient" in json.dumps(response.get_json()["cards"])


def test_half_a_character_in_an_id_is_no_failure(client: FlaskClient):
    request = concerned_request() | {"hookInstance": "\ud83d"}

    response = client.post(ORDERS, json=request)

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/cds-services/", f"{ORDERS}/", f"{ORDERS}/feedback/"])
def test_an_address_that_was_registered_with_a_slash_at_its_end_answers(
    client: FlaskClient, path: str
):
    discovery = path == "/cds-services/"
    body = {"feedback": []} if "feedback" in path else concerned_request()

    answer = client.get(path) if discovery else client.post(path, json=body)

    assert answer.status_code == 200


def test_a_control_character_in_the_instance_is_named(client: FlaskClient):
    answer = client.post(ORDERS, json=concerned_request() | {"hookInstance": "a\0b"})

    assert answer.status_code == 400
    assert answer.get_json()["issue"][0]["expression"] == ["hookInstance"]
