"""What cannot be answered is refused with an OperationOutcome that names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.fakes import FakeDesk
from tests.web.requests import ORDERS, changed, hook_request, order, url_of


def assert_refused(response: TestResponse, status: int, field: str) -> None:
    assert response.status_code == status
    assert response.content_type == "application/json"
    outcome = response.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert field in [place for i in outcome["issue"] for place in i.get("expression", [])]
    assert "Traceback" not in response.get_data(as_text=True)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,2]", b'"text"', b"null", b"\xff\xfe", b'{"hook": NaN}', b'{"a":1,"a":2}'],
    ids=["empty", "cut", "array", "string", "null", "not-utf8", "nan", "key-twice"],
)
def test_a_body_that_is_no_json_object_is_400(client: FlaskClient, body: bytes):
    assert_refused(client.post(ORDERS, data=body, content_type="application/json"), 400, "body")


def test_nesting_over_32_is_400(client: FlaskClient):
    body = b'{"hook":' + b"[" * 33 + b"]" * 33 + b"}"

    assert_refused(client.post(ORDERS, data=body, content_type="application/json"), 400, "body")


def test_nesting_a_hundred_thousand_deep_is_400(client: FlaskClient):
    body = b"[" * 100_000

    assert_refused(client.post(ORDERS, data=body, content_type="application/json"), 400, "body")


def test_a_million_keys_are_refused(client: FlaskClient):
    body = b'{"x":[' + b"1," * 1_000_000 + b"1]}"

    assert_refused(client.post(ORDERS, data=body, content_type="application/json"), 400, "body")


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_2_mib_is_413_whether_or_not_its_length_is_declared(
    client: FlaskClient, declared: bool
):
    body = json.dumps({"hook": "x" * (2 * 1024 * 1024)}).encode()
    environ = {} if declared else {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    response = client.post(
        ORDERS, data=body, content_type="application/json", environ_overrides=environ
    )

    assert_refused(response, 413, "body")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_another_media_type_is_415(client: FlaskClient, kind: str):
    assert_refused(client.post(ORDERS, data=b"{}", content_type=kind), 415, "Content-Type")


def test_a_body_in_another_character_set_is_415(client: FlaskClient):
    response = client.post(ORDERS, data=b"{}", content_type="application/json; charset=utf-16")

    assert_refused(response, 415, "Content-Type")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_compressed_body_is_415(client: FlaskClient, encoding: str):
    response = client.post(
        ORDERS,
        data=b"{}",
        content_type="application/json",
        headers={"Content-Encoding": encoding},
    )

    assert_refused(response, 415, "Content-Encoding")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_another_method_is_405_and_says_which_is_allowed(client: FlaskClient, method: str):
    response = getattr(client, method)(ORDERS)

    assert_refused(response, 405, "method")
    assert "POST" in response.headers["Allow"]


def test_an_unknown_service_is_404(client: FlaskClient):
    assert_refused(client.post("/cds-services/other", json=hook_request()), 404, "url")


def test_an_unknown_address_is_404(client: FlaskClient):
    assert_refused(client.get("/admin"), 404, "url")


def test_a_hook_of_another_service_is_400(client: FlaskClient):
    response = client.post(ORDERS, json=hook_request("patient-view"))

    assert_refused(response, 400, "hook")


REQUIRED = [
    ("order-sign", "hook"),
    ("order-sign", "hookInstance"),
    ("order-sign", "context"),
    ("order-sign", "context.patientId"),
    ("order-sign", "context.draftOrders"),
    ("order-select", "context.draftOrders"),
    ("patient-view", "context.patientId"),
    ("medication-refill", "context.medications"),
    ("medication-refill", "context.patientId"),
    ("medication-verify", "context.medication"),
]


@pytest.mark.parametrize(("hook", "field"), REQUIRED)
@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
def test_a_required_field_that_is_absent_or_null_is_named(
    client: FlaskClient, hook: str, field: str, value: Any
):
    response = client.post(url_of(hook), json=changed(hook_request(hook), field, value))

    assert_refused(response, 400, field)


WRONG_TYPES = [
    ("hook", 7),
    ("hook", ["order-sign"]),
    ("hookInstance", 7),
    ("hookInstance", {}),
    ("context", "text"),
    ("context", []),
    ("context.patientId", 7),
    ("context.patientId", ""),
    ("context.patientId", "p 1"),
    ("context.patientId", "../p-1"),
    ("context.patientId", ".."),
    ("context.draftOrders", []),
    ("context.draftOrders", {"resourceType": "List"}),
    ("context.draftOrders", {"resourceType": []}),
    ("context.draftOrders", {"resourceType": {}}),
    ("fhirServer", 7),
    ("fhirServer", "ftp://example.org"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_TYPES)
def test_a_field_of_another_type_is_named(client: FlaskClient, field: str, value: Any):
    assert_refused(client.post(ORDERS, json=changed(hook_request(), field, value)), 400, field)


def test_a_token_without_a_server_is_400(client: FlaskClient):
    authorization = {"access_token": "t", "token_type": "Bearer", "expires_in": 300}

    response = client.post(ORDERS, json=hook_request(fhirAuthorization=authorization))

    assert_refused(response, 400, "fhirServer")


@pytest.mark.parametrize("token", [None, "", 7, "two words", "line\r\nbreak"])
def test_a_token_that_cannot_be_a_header_is_400(client: FlaskClient, token: Any):
    request = hook_request(
        fhirServer="https://ehr.example.org/r4",
        fhirAuthorization={"access_token": token, "token_type": "Bearer", "expires_in": 300},
    )

    assert_refused(client.post(ORDERS, json=request), 400, "fhirAuthorization.access_token")


def test_a_token_for_another_patient_is_400(client: FlaskClient):
    request = hook_request(
        fhirServer="https://ehr.example.org/r4",
        fhirAuthorization={
            "access_token": "t",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "tdm",
            "patient": "p-2",
        },
    )

    assert_refused(client.post(ORDERS, json=request), 400, "fhirAuthorization.patient")


@pytest.mark.parametrize("kind", ["MedicationOrder", "ProcedureRequest", "DiagnosticOrder"])
def test_orders_of_an_older_fhir_version_are_400_with_the_place(client: FlaskClient, kind: str):
    request = hook_request()
    request["context"]["draftOrders"]["entry"].append({"resource": {"resourceType": kind}})

    response = client.post(ORDERS, json=request)

    assert_refused(response, 400, "context.draftOrders.entry[1].resource")


def test_prefetched_orders_of_an_older_fhir_version_are_400(client: FlaskClient):
    request = hook_request(prefetch={"medications": {"resourceType": "MedicationOrder"}})

    assert_refused(client.post(ORDERS, json=request), 400, "prefetch.medications")


def test_everything_that_is_wrong_is_named_at_once(client: FlaskClient):
    response = client.post(ORDERS, json={"hook": "nonsense"})

    named = {i["expression"][0] for i in response.get_json()["issue"]}
    assert named == {"hook", "hookInstance", "context"}


def test_a_refusal_reaches_no_desk(client: FlaskClient, desk: FakeDesk):
    client.post(ORDERS, json={})

    assert desk.calls == []


def test_an_internal_failure_is_500_without_its_message(client: FlaskClient, desk: FakeDesk):
    desk.error = RuntimeError("CANARY patient text")

    response = client.post(ORDERS, json=hook_request())

    assert response.status_code == 500
    assert response.get_json()["resourceType"] == "OperationOutcome"
    assert "CANARY" not in response.get_data(as_text=True)


def test_entries_that_are_no_resources_are_named(client: FlaskClient):
    request = hook_request()
    request["context"]["draftOrders"]["entry"] = [{"resource": order()}, {}, 7, {"resource": {}}]

    response = client.post(ORDERS, json=request)

    assert_refused(response, 400, "context.draftOrders.entry[1].resource")
    assert_refused(response, 400, "context.draftOrders.entry[2].resource")
    assert_refused(response, 400, "context.draftOrders.entry[3].resource")
