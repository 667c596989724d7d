"""Strict names every departure from CDS Hooks; lenient understands what real clients send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds.services import Services
from cds.web import create_app
from tests.web.fakes import FakeDesk
from tests.web.requests import ORDERS, bundle, changed, hook_request, order, url_of

HOOKS = ["patient-view", "order-select", "order-sign", "medication-refill", "medication-verify"]
TOKEN = {
    "access_token": "abc.def",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "user/*.read",
    "subject": "tdm",
}
SERVER = "https://ehr.example.org/r4"


@pytest.fixture
def strict(make_services: Callable[..., Services], desk: FakeDesk) -> FlaskClient:
    return create_app(make_services(desk=desk, loopback_reading="strict")).test_client()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_valid_request_of_each_hook_is_read_by_both(
    client: FlaskClient, strict: FlaskClient, desk: FakeDesk, hook: str
):
    for reader in (client, strict):
        assert reader.post(url_of(hook), json=hook_request(hook)).status_code == 200
        assert desk.last.hook.value == hook
        assert desk.last.patient_id == "p-1"
        assert desk.last.user_id == "Practitioner/7"
        assert desk.last.deviations == ()


# What real requests were seen to carry; code of the deviation, the field, and the value.
DEVIATIONS: list[tuple[str, str, str, Any]] = [
    ("user-missing", "order-sign", "context.userId", ...),
    ("null-value", "order-sign", "context.encounterId", None),
    ("null-value", "order-sign", "fhirServer", None),
    ("null-value", "order-sign", "prefetch", None),
    ("empty-value", "order-sign", "context.encounterId", ""),
    ("patient-id-is-reference", "order-sign", "context.patientId", "Patient/p-1"),
    ("hook-instance-not-uuid", "order-sign", "hookInstance", "instance-1"),
    ("user-unexpected", "order-sign", "context.userId", "dr-house"),
    ("user-unexpected", "order-sign", "context.userId", "Patient/p-1"),
    ("selections-missing", "order-select", "context.selections", ...),
    ("selections-missing", "order-select", "context.selections", []),
    ("selection-unknown", "order-select", "context.selections", ["MedicationRequest/other"]),
    ("selection-not-relative", "order-select", "context.selections", ["draft-1"]),
    (
        "selection-not-relative",
        "order-select",
        "context.selections",
        ["https://ehr.example/fhir/MedicationRequest/draft-1"],
    ),
    (
        "selection-not-relative",
        "order-select",
        "context.selections",
        ["MedicationRequest/draft-1/_history/2"],
    ),
    ("bundle-untyped", "order-sign", "context.draftOrders", {"entry": [{"resource": order()}]}),
    ("bundle-untyped", "order-sign", "context.draftOrders", [order()]),
    ("bundle-untyped", "order-select", "context.draftOrders", [order()]),
    ("extension-not-object", "order-sign", "extension", []),
    ("prefetch-not-object", "order-sign", "prefetch", []),
]


@pytest.mark.parametrize(("code", "hook", "field", "value"), DEVIATIONS)
def test_lenient_answers_and_records_the_deviation(
    client: FlaskClient, desk: FakeDesk, code: str, hook: str, field: str, value: Any
):
    response = client.post(url_of(hook), json=changed(hook_request(hook), field, value))

    assert response.status_code == 200
    assert (code, field) in {(d.code, d.field) for d in desk.last.deviations}
    assert desk.last.patient_id == "p-1"


@pytest.mark.parametrize(("code", "hook", "field", "value"), DEVIATIONS)
def test_strict_refuses_the_same_and_names_the_field(
    strict: FlaskClient, desk: FakeDesk, code: str, hook: str, field: str, value: Any
):
    response = strict.post(url_of(hook), json=changed(hook_request(hook), field, value))

    assert response.status_code == 400
    assert field in [i["expression"][0] for i in response.get_json()["issue"]], code
    assert desk.calls == []


def test_a_refill_asked_for_by_nobody_is_normal_even_strictly(strict: FlaskClient, desk: FakeDesk):
    request = changed(hook_request("medication-refill"), "context.userId", ...)

    assert strict.post(url_of("medication-refill"), json=request).status_code == 200
    assert desk.last.user_id is None


@pytest.mark.parametrize("user", ["Practitioner/7", "PractitionerRole/7"])
def test_the_role_of_a_practitioner_is_a_user_too(strict: FlaskClient, desk: FakeDesk, user: str):
    request = changed(hook_request(), "context.userId", user)

    assert strict.post(ORDERS, json=request).status_code == 200
    assert desk.last.user_id == user


def test_long_identifiers_are_read(strict: FlaskClient, desk: FakeDesk):
    """Ids of 150 to 200 characters are normal for one large vendor."""
    request = changed(hook_request(), "context.patientId", "e" * 200)

    assert strict.post(ORDERS, json=request).status_code == 200
    assert desk.last.patient_id == "e" * 200


def test_unknown_fields_are_ignored(strict: FlaskClient, desk: FakeDesk):
    request = hook_request(extension={"org.example.x": {"y": 1}}, somethingNew=[1, 2])
    request["context"]["someNewerField"] = {"a": "b"}

    assert strict.post(ORDERS, json=request).status_code == 200
    assert desk.last.deviations == ()


def test_a_prefetch_wrapped_as_before_1_0_is_unwrapped(client: FlaskClient, desk: FakeDesk):
    patient = {"resourceType": "Patient", "id": "p-1"}
    request = hook_request(
        prefetch={
            "patient": {"response": {"status": "200 OK"}, "resource": patient},
            "medications": {"response": {"status": "404 Not Found"}, "resource": {}},
        }
    )

    assert client.post(ORDERS, json=request).status_code == 200
    assert desk.last.prefetch == {"patient": patient}


def test_resources_without_their_bundle_are_read_as_one(client: FlaskClient, desk: FakeDesk):
    request = hook_request(prefetch={"medications": [order()], "labs": {"entry": []}})
    request["context"]["draftOrders"] = [order()]

    assert client.post(ORDERS, json=request).status_code == 200
    assert desk.last.context["draftOrders"] == bundle(order())
    assert desk.last.prefetch == {"medications": bundle(order()), "labs": {"entry": []}}
    assert {(d.code, d.field) for d in desk.last.deviations} == {
        ("bundle-untyped", "context.draftOrders"),
        ("bundle-untyped", "prefetch.medications"),
        ("prefetch-not-resource", "prefetch.labs"),
    }


def test_null_in_the_prefetch_is_kept_because_it_means_no_data(strict: FlaskClient, desk: FakeDesk):
    assert strict.post(ORDERS, json=hook_request(prefetch={"levels": None})).status_code == 200
    assert desk.last.prefetch == {"levels": None}


@pytest.mark.parametrize("value", ["<html>error</html>", 7, [], {"message": "x"}])
def test_what_is_no_resource_is_handed_on_to_be_treated_as_missing(
    strict: FlaskClient, desk: FakeDesk, value: Any
):
    assert strict.post(ORDERS, json=hook_request(prefetch={"labs": value})).status_code == 200
    assert [d.code for d in desk.last.deviations] == ["prefetch-not-resource"]


def test_keys_that_the_service_did_not_declare_are_not_used(strict: FlaskClient, desk: FakeDesk):
    request = hook_request(prefetch={"secrets": {"resourceType": "Patient"}})

    assert strict.post(ORDERS, json=request).status_code == 200
    assert desk.last.prefetch == {}


def test_the_fhir_server_and_its_token_are_handed_on(strict: FlaskClient, desk: FakeDesk):
    request = hook_request(fhirServer=SERVER, fhirAuthorization=TOKEN)

    assert strict.post(ORDERS, json=request).status_code == 200
    assert (desk.last.fhir.base, desk.last.fhir.token) == (SERVER, "abc.def")
    assert "abc.def" not in repr(desk.last)


@pytest.mark.parametrize(
    ("field", "value"),
    [("token_type", "mac"), ("expires_in", "300"), ("scope", ...), ("subject", "")],
)
def test_a_token_described_incompletely_is_a_deviation(
    client: FlaskClient, strict: FlaskClient, desk: FakeDesk, field: str, value: Any
):
    request = changed(
        hook_request(fhirServer=SERVER, fhirAuthorization=TOKEN),
        f"fhirAuthorization.{field}",
        value,
    )

    refused = strict.post(ORDERS, json=request)
    assert refused.status_code == 400
    assert refused.get_json()["issue"][0]["expression"] == [f"fhirAuthorization.{field}"]
    assert client.post(ORDERS, json=request).status_code == 200
    assert [d.field for d in desk.last.deviations] == [f"fhirAuthorization.{field}"]


@pytest.mark.parametrize("seconds", [0, -5])
def test_an_access_token_that_has_expired_is_refused(client: FlaskClient, seconds: int):
    request = hook_request(fhirServer=SERVER, fhirAuthorization={**TOKEN, "expires_in": seconds})

    assert client.post(ORDERS, json=request).status_code == 400


def test_without_selections_every_draft_counts_as_selected(client: FlaskClient, desk: FakeDesk):
    request = hook_request("order-select")
    request["context"]["draftOrders"] = bundle(order(id="a"), order(id="b"))
    del request["context"]["selections"]

    client.post(ORDERS, json=request)

    assert desk.last.context["selections"] == ["MedicationRequest/a", "MedicationRequest/b"]


def test_a_draft_that_no_server_has_given_an_id_is_selected_by_its_address(
    client: FlaskClient, desk: FakeDesk
):
    new, kept = order(), order(id="b")
    del new["id"]
    urn = "urn:uuid:0b8f2c1e-0000-4000-8000-000000000001"
    drafts = bundle(new, kept)
    drafts["entry"][0]["fullUrl"] = urn
    request = changed(hook_request("order-select"), "context.draftOrders", drafts)

    for selections, meant in (
        ([urn], ["MedicationRequest"]),
        ([], ["MedicationRequest", "MedicationRequest/b"]),
    ):
        answer = client.post(ORDERS, json=changed(request, "context.selections", selections))
        assert answer.status_code == 200
        assert desk.last.context["selections"] == meant


def test_an_empty_patient_of_the_token_is_another_patient_only_strictly(
    client: FlaskClient, strict: FlaskClient, desk: FakeDesk
):
    access = {"access_token": "t", "token_type": "Bearer", "expires_in": 300}
    access |= {"scope": "patient/*.read", "subject": "cds", "patient": ""}
    request = hook_request(fhirServer="https://ehr.example/fhir", fhirAuthorization=access)

    assert client.post(ORDERS, json=request).status_code == 200
    assert ("empty-value", "fhirAuthorization.patient") in {
        (d.code, d.field) for d in desk.last.deviations
    }
    assert strict.post(ORDERS, json=request).status_code == 400


def test_names_of_fields_are_not_repeated_when_they_could_be_text(strict: FlaskClient):
    response = strict.post(ORDERS, json=hook_request(**{"<script>Mrs Smith": None}))

    assert response.status_code == 400
    assert "Smith" not in response.get_data(as_text=True)
