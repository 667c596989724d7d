"""The demo hospital calls the service like an EHR: order-select, order-sign, feedback."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from cds.content import examples_dir
from cds.demo.fhir import Notifier
from cds.demo.hospital import create_hospital, running_hospital
from cds.demo.hospital_orders import apply_actions, formulary, reference
from cds.demo.smart import Opened, SmartServer
from cds.demo.stories import load_stories
from cds.demo.supply import SLOW_S

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
STORIES = load_stories(examples_dir())
CARD = {
    "uuid": "11111111-1111-4111-8111-111111111111",
    "summary": "Choose another medicine",
    "indicator": "critical",
    "source": {"label": "Test"},
    "detail": "Because <b>so</b>\n\n| a | n |\n|---|---:|\n| x | 1 |",
    "overrideReasons": [{"code": "why", "system": "urn:why", "display": "I know why"}],
    "suggestions": [
        {
            "label": "Take it back",
            "uuid": "22222222-2222-4222-8222-222222222222",
            "actions": [{"type": "delete", "description": "x", "resourceId": "?"}],
        }
    ],
}
SERVICES = [
    {"hook": hook, "id": f"tdm-{hook}", "prefetch": {"patient": "Patient/{{context.patientId}}"}}
    for hook in ("patient-view", "order-select", "order-sign")
]


class FakeService:
    """Keeps what it was sent; answers one card to orders and none to charts."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        self.feedback: list[dict] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"services": SERVICES})
        body = json.loads(request.content)
        if request.url.path.endswith("/feedback"):
            self.feedback += body["feedback"]
            return httpx.Response(200, json={})
        self.calls.append(body)
        return httpx.Response(200, json={"cards": self._cards(body)})

    def _cards(self, body: dict) -> list[dict]:
        if body["hook"] == "patient-view":
            return []
        card = json.loads(json.dumps(CARD))
        draft = body["context"]["draftOrders"]["entry"][0]["resource"]
        card["suggestions"][0]["actions"][0]["resourceId"] = reference(draft)
        return [card]


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def hospital(service: FakeService) -> Iterator:
    with httpx.Client(
        base_url="http://127.0.0.1:1", transport=httpx.MockTransport(service)
    ) as client:
        yield create_hospital(STORIES, client, lambda: NOW).test_client()


def order(hospital, **changed: str):
    form = {"medicine": "rifampicin", "amount": "600", "per_day": "1"} | changed
    return hospital.post("/patients/rifampicin-order/select", data=form)


def page(hospital) -> str:
    return hospital.get("/patients/rifampicin-order").text


def test_every_story_patient_is_listed_and_has_a_chart(hospital, service):
    listed = hospital.get("/").text
    for story in STORIES:
        assert story.title in listed.replace("&#39;", "'")
        assert hospital.get(f"/patients/{story.id}").status_code == 200
    assert {call["hook"] for call in service.calls} == {"patient-view"}
    assert len(service.calls) == len(STORIES) >= 12


def test_choosing_a_medicine_fires_order_select_with_the_draft_selected(hospital, service):
    assert order(hospital).status_code == 303
    context = service.calls[-1]["context"]
    draft = context["draftOrders"]["entry"][0]["resource"]
    assert service.calls[-1]["hook"] == "order-select"
    assert context["selections"] == [f"MedicationRequest/{draft['id']}"]
    assert draft["status"] == "draft"
    assert draft["medicationCodeableConcept"]["text"] == "rifampicin"
    assert service.calls[-1]["prefetch"]["patient"]["resourceType"] == "Patient"


def test_choosing_it_again_replaces_the_draft(hospital, service):
    order(hospital)
    order(hospital, amount="300")
    assert len(service.calls[-1]["context"]["draftOrders"]["entry"]) == 1


def test_accepting_a_suggestion_changes_the_orders_and_is_fed_back(hospital, service):
    order(hospital)
    suggestion = CARD["suggestions"][0]
    hospital.post(
        "/patients/rifampicin-order/accept",
        data={"card": CARD["uuid"], "suggestion": suggestion["uuid"]},
    )
    assert "Being written" not in page(hospital)
    assert service.feedback[0]["outcome"] == "accepted"
    assert service.feedback[0]["acceptedSuggestions"] == [{"id": suggestion["uuid"]}]


def test_overriding_sends_the_reason_and_keeps_the_order(hospital, service):
    order(hospital)
    form = {"card": CARD["uuid"], "reason": "why", "comment": "seen"}
    hospital.post("/patients/rifampicin-order/override", data=form)
    assert service.feedback[0]["overrideReason"] == {
        "reason": {"code": "why", "system": "urn:why"},
        "userComment": "seen",
    }
    assert "Being written" in page(hospital)
    assert "overridden: Choose another medicine (I know why)" in page(hospital)


def test_signing_checks_first_and_makes_the_order_active(hospital, service):
    order(hospital)
    hospital.post("/patients/rifampicin-order/review")
    assert service.calls[-1]["hook"] == "order-sign"
    hospital.post("/patients/rifampicin-order/sign")
    assert "Being written" not in page(hospital)
    assert "1 order(s) signed" in page(hospital)


def test_a_card_that_is_no_longer_shown_cannot_be_answered(hospital, service):
    form = {"card": CARD["uuid"], "reason": "why"}
    page(hospital)
    assert hospital.post("/patients/rifampicin-order/override", data=form).status_code == 409
    assert service.feedback == []


def test_html_in_a_card_stays_text_and_columns_need_no_inline_style(hospital):
    order(hospital)
    text = page(hospital)
    assert "&lt;b&gt;so&lt;/b&gt;" in text
    assert '<td class="number">1</td>' in text
    assert "style=" not in text


def test_a_form_of_another_site_is_not_served(hospital):
    foreign = {"Origin": "https://evil.example.org"}
    answer = hospital.post("/patients/rifampicin-order/open", headers=foreign)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "wrong", [{"amount": "0"}, {"amount": "x"}, {"medicine": "none"}, {"per_day": "99"}]
)
def test_an_order_that_cannot_be_is_refused(hospital, service, wrong):
    assert order(hospital, **wrong).status_code == 400
    assert [call["hook"] for call in service.calls] == []


def test_orders_can_be_written_when_the_service_is_down():
    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(down)) as client:
        answer = (
            create_hospital(STORIES, client, lambda: NOW)
            .test_client()
            .get("/patients/rifampicin-order")
        )
    assert answer.status_code == 502
    assert "Decision support does not answer" in answer.text


@pytest.mark.parametrize(
    ("sent", "server", "named"),
    [
        ("all", "answers", "http://localhost/fhir"),
        ("nothing", "slow", "http://localhost/fhir-slow"),
        ("nothing", "failing", "http://localhost/fhir-failing"),
        ("nothing", "none", None),
    ],
)
def test_a_call_carries_the_data_and_the_server_that_were_chosen(
    hospital, service, sent, server, named
):
    order(hospital, sent=sent, server=server)
    assert ("prefetch" in service.calls[-1]) == (sent == "all")
    assert service.calls[-1].get("fhirServer") == named


def test_laboratory_results_alone_can_be_left_out(hospital, service, monkeypatch):
    templates = {"patient": "Patient/{{context.patientId}}", "levels": "Observation?code=x|1"}
    for offered in SERVICES:
        monkeypatch.setitem(offered, "prefetch", templates)
    order(hospital, sent="without-laboratory")
    assert set(service.calls[-1]["prefetch"]) == {"patient"}


def test_the_choice_holds_for_one_order_and_stays_with_the_visitor_who_made_it(hospital, service):
    answer = order(hospital, sent="nothing", server="slow")
    chosen = hospital.get(answer.headers["Location"]).text
    assert '<option value="slow" selected>' in chosen
    assert '<option value="slow" selected>' not in page(hospital)
    hospital.post("/patients/rifampicin-order/review")
    assert service.calls[-1]["prefetch"]["patient"]["resourceType"] == "Patient"
    assert "fhirServer" not in service.calls[-1]


@pytest.mark.parametrize("wrong", [{"sent": "some"}, {"server": "https://evil.example.org"}])
def test_a_supply_that_is_not_offered_is_refused(hospital, service, wrong):
    assert order(hospital, **wrong).status_code == 400
    assert hospital.get("/patients/rifampicin-order", query_string=wrong).status_code == 400
    assert [call["hook"] for call in service.calls if call["hook"] != "patient-view"] == []


def test_the_same_records_are_served_well_slowly_and_not_at_all(service):
    waited: list[float] = []
    client = httpx.Client(transport=httpx.MockTransport(service), base_url="http://127.0.0.1:1")
    hospital = create_hospital(STORIES, client, lambda: NOW, pause=waited.append).test_client()
    patient = json.loads(STORIES[0].patient_file.read_text())["entry"][0]["resource"]["id"]

    well, slowly, badly = (
        hospital.get(f"/{path}/Patient/{patient}") for path in ("fhir", "fhir-slow", "fhir-failing")
    )

    assert well.get_json() == slowly.get_json()
    assert waited == [SLOW_S]
    assert (badly.status_code, badly.get_json()["resourceType"]) == (503, "OperationOutcome")


def test_the_page_says_what_was_not_sent_and_what_the_service_refused():
    refused = {"resourceType": "OperationOutcome", "issue": [
        {"diagnostics": "the server answered with status 503", "expression": ["prefetch.patient"]}
    ]}  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"services": SERVICES})
        return httpx.Response(412, json=refused)

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1:1")
    hospital = create_hospital(STORIES, client, lambda: NOW).test_client()
    order(hospital, sent="nothing", server="failing")
    said = page(hospital)
    assert "the service answered 412 after" in said
    assert "Nothing was sent with the call" in said
    assert "<code>prefetch.patient</code>: the server answered with status 503" in said
    assert "The order can be written all the same." in said


def test_a_registered_hospital_names_no_server_because_it_has_no_https():
    _, service, browser = smart_hospital()
    order(browser, sent="nothing")
    assert "fhirServer" not in service.calls[-1]
    assert 'name="server"' not in page(browser)


def test_the_pharmacy_stocks_what_the_stories_order():
    names = set(formulary(STORIES))
    assert {"rifampicin", "voriconazole", "omeprazole", "imatinib-400-mg-oral-tablet"} <= names


def test_actions_create_update_and_delete_drafts():
    drafts = [{"resourceType": "MedicationRequest", "id": "a", "status": "draft"}]
    changed = {"resourceType": "MedicationRequest", "id": "a", "status": "draft", "note": []}
    created = {"resourceType": "ServiceRequest", "status": "draft"}
    found = apply_actions(
        drafts,
        [
            {"type": "update", "resource": changed},
            {"type": "create", "resource": created},
        ],
    )
    assert found[0] == changed
    assert found[1]["resourceType"] == "ServiceRequest"
    assert found[1]["id"]
    assert apply_actions(found[:1], [{"type": "delete", "resourceId": "MedicationRequest/a"}]) == []


def test_the_hospital_serves_on_loopback_until_it_is_closed():
    with running_hospital(STORIES, "http://127.0.0.1:1") as address:
        assert address.startswith("http://127.0.0.1:")
        assert "Patients" in httpx.get(address, trust_env=False).text
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)


def smart_hospital(service_url: str = "http://127.0.0.1:8000"):
    smart = SmartServer("http://127.0.0.1:9/fhir", service_url, lambda: NOW)
    service = FakeService()
    client = httpx.Client(transport=httpx.MockTransport(service), base_url=service_url)
    return smart, service, create_hospital(STORIES, client, lambda: NOW, smart=smart).test_client()


def test_a_registered_hospital_opens_a_card_by_a_launch_with_its_context(monkeypatch):
    launched = {"label": "Basis", "url": "http://127.0.0.1:8000/launch", "type": "smart",
                "appContext": "an-evaluation"}  # fmt: skip
    monkeypatch.setitem(CARD, "links", [launched])
    smart, _, browser = smart_hospital()
    story = STORIES[0].id
    order = {"medicine": "rifampicin", "amount": "600", "per_day": "1"}
    browser.post(f"/patients/{story}/select", data=order)
    page = browser.get(f"/patients/{story}")

    answer = browser.get(f"/patients/{story}/report/{CARD['uuid']}")

    assert f'href="/patients/{story}/report/{CARD["uuid"]}"' in page.text
    where = answer.headers["Location"]
    assert where.startswith("http://127.0.0.1:8000/launch?iss=http%3A%2F%2F127.0.0.1%3A9%2Ffhir&")
    [opened] = smart.opened.values()
    assert opened.app_context == "an-evaluation"
    assert browser.get(f"/patients/{story}/report/unknown").status_code == 404
    launched["url"] = "https://evil.example.org/launch"
    browser.post(f"/patients/{story}/select", data=order)
    assert browser.get(f"/patients/{story}/report/{CARD['uuid']}").status_code == 404


def test_the_authorization_server_gives_a_code_once_and_to_the_app_alone():
    smart, _, browser = smart_hospital()
    launch = smart.launch_url("http://127.0.0.1:8000/launch", Opened("p-1")).split("launch=")[1]
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode()
    asked = {
        "response_type": "code", "client_id": "imatinib-tdm", "aud": smart.base, "scope": "openid",
        "redirect_uri": "http://127.0.0.1:8000/launch/callback", "code_challenge_method": "S256",
        "code_challenge": challenge.rstrip("="), "launch": launch, "state": "s", "nonce": "n",
    }  # fmt: skip
    for changes in ({"redirect_uri": "https://evil.example.org"}, {"aud": "x"}, {"launch": "x"}):
        assert browser.get("/fhir/authorize", query_string=asked | changes).status_code == 400
    back = browser.get("/fhir/authorize", query_string=asked).headers["Location"]
    code = back.split("code=")[1].split("&")[0]
    form = {"code": code, "redirect_uri": asked["redirect_uri"], "client_id": "imatinib-tdm",
            "code_verifier": verifier}  # fmt: skip

    first, second = (browser.post("/fhir/token", data=form) for _ in range(2))

    assert first.get_json()["patient"] == "p-1"
    assert second.status_code == 400


class ToldService(FakeService):
    """Keeps notifications, too, and answers them with a status."""

    def __init__(self, status: int = 200) -> None:
        super().__init__()
        self.status = status
        self.told: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/subscriptions/"):
            self.told.append(request)
            return httpx.Response(self.status)
        return super().__call__(request)


def subscribed_hospital(service: ToldService):
    client = httpx.Client(transport=httpx.MockTransport(service), base_url="http://127.0.0.1:1")
    app = create_hospital(STORIES, client, lambda: NOW, notifier=Notifier(client, "the-secret"))
    return app.test_client()


LEVELS = "/patients/cml-low-trough"


def test_the_laboratory_tells_the_service_of_a_new_level_and_lets_it_read():
    service = ToldService()
    browser = subscribed_hospital(service)
    browser.post(f"{LEVELS}/level", data={"ng_ml": "540", "hours": "24"})
    [notification] = service.told
    level = json.loads(notification.content)

    assert notification.headers["Authorization"] == "Bearer the-secret"
    assert browser.get(f"/fhir/Observation/{level['id']}").get_json() == level
    patient = level["subject"]["reference"]
    found = browser.get("/fhir/MedicationRequest", query_string={"patient": patient}).get_json()
    assert {e["resource"]["subject"]["reference"] for e in found["entry"]} == {patient}
    given = browser.get(f"/fhir/MedicationAdministration/{level['id']}-dose").get_json()
    assert given["dosage"]["dose"]["value"] == 400
    assert browser.get("/fhir/Observation/none").status_code == 404
    assert browser.get("/fhir/Observation?patient=nobody").get_json()["total"] == 0


def test_a_corrected_and_a_withdrawn_level_are_told_as_the_next_versions():
    service = ToldService()
    browser = subscribed_hospital(service)
    browser.post(f"{LEVELS}/level", data={"ng_ml": "540", "hours": "24"})
    level = json.loads(service.told[0].content)["id"]
    browser.post(f"{LEVELS}/amend", data={"level": level, "ng_ml": "610.5"})
    browser.post(f"{LEVELS}/withdraw", data={"level": level})

    told = [json.loads(one.content) for one in service.told]
    assert [(one["status"], one["valueQuantity"]["value"]) for one in told] == [
        ("final", 540),
        ("amended", 610.5),
        ("entered-in-error", 610.5),
    ]
    assert [one["meta"]["versionId"] for one in told] == ["1", "2", "3"]
    assert browser.get(f"/fhir/Observation/{level}").get_json() == told[-1]
    again = browser.post(f"{LEVELS}/amend", data={"level": level, "ng_ml": "700"})
    assert again.status_code == 409
    assert len(service.told) == 3


def test_the_chart_shows_the_task_that_came_of_a_level_and_its_withdrawal():
    browser = subscribed_hospital(ToldService())
    browser.post(f"{LEVELS}/level", data={"ng_ml": "540", "hours": "24"})
    assert "No Task yet" in browser.get(LEVELS).text
    patient = browser.get("/fhir/Patient/ex-anders").get_json()["id"]
    task = {"resourceType": "Task", "status": "requested", "priority": "urgent",
            "description": "A low level", "for": {"reference": f"Patient/{patient}"}}  # fmt: skip
    kept = browser.post("/fhir/Task", json=task).get_json()
    assert "Task requested, urgent" in browser.get(LEVELS).text
    withdrawn = {**kept, "status": "cancelled", "statusReason": {"text": "superseded"}}
    browser.put(f"/fhir/Task/{kept['id']}", json=withdrawn)
    assert "Task cancelled: superseded" in browser.get(LEVELS).text


def test_a_notification_that_is_not_taken_is_said_and_the_level_stays():
    browser = subscribed_hospital(ToldService(503))
    browser.post(f"{LEVELS}/level", data={"ng_ml": "540", "hours": "24"})
    said = browser.get(LEVELS).text
    assert "not taken (status 503)" in said
    assert "540 ng/mL" in said
