"""From request to cards over the real rulebook, with the data sent, fetched, or not to be had."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import jsonschema
import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace
from werkzeug.test import TestResponse

from cds.services import Services
from cds.services.clock import Clock
from cds.services.obtain import Obtainer
from cds.services.replay import CannotReplay, replay
from cds.store.jsontext import canonical, decode
from cds.web import create_app
from tests.web import ehr
from tests.web.ehr import BASE, FakeEhr
from tests.web.fakes import NOW, FakeClock
from tests.web.patients import concerned_request, drug_order, prefetch
from tests.web.requests import ORDERS, hook_request, url_of

RESPONSE_SCHEMA = json.loads(
    (Path(__file__).parent / "schemas" / "response.schema.json").read_text()
)
KEYS = ("patient", "medications", "statements", "levels", "labs", "conditions")
FAULTS = ["absent", "null", "html", "outcome", "other-type"]
ACCESS = {
    "access_token": "the-token",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "user/*.read",
    "subject": "tdm",
}


@pytest.fixture
def server() -> FakeEhr:
    return FakeEhr()


@pytest.fixture
def services(make_services: Callable[..., Services], clock: FakeClock, server: FakeEhr) -> Services:
    return make_services(obtainer=Obtainer(clock.clock, server.transport))


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def cards_of(response: TestResponse) -> list[dict]:
    assert response.status_code == 200, response.get_data(as_text=True)
    answer = decode(response.get_data())
    jsonschema.validate(json.loads(response.get_data()), RESPONSE_SCHEMA)
    return answer["cards"]


def with_server(**changes) -> dict:
    return concerned_request(fhirServer=BASE, fhirAuthorization=ACCESS, **changes)


def test_a_patient_on_the_drug_gets_cards(client: FlaskClient):
    cards = cards_of(client.post(ORDERS, json=concerned_request()))

    assert cards
    assert all(len(card["summary"]) <= 139 for card in cards)


def test_a_patient_without_the_drug_gets_none_and_is_not_recorded(
    client: FlaskClient, services: Services
):
    empty = dict.fromkeys(prefetch()) | {"patient": prefetch()["patient"]}
    response = client.post(ORDERS, json=hook_request(prefetch=empty))

    assert cards_of(response) == []
    assert services.store.recent_decisions() == []
    metrics = client.get("/metrics").get_data(as_text=True)
    assert 'outcome="not-concerned"' in metrics


@pytest.mark.parametrize("hook", ["patient-view", "order-select", "medication-verify"])
def test_other_hooks_answer_too(client: FlaskClient, hook: str):
    request = concerned_request(hook)
    if hook == "medication-verify":
        request["context"]["medication"] = drug_order(mg=1200, status="active")

    cards_of(client.post(url_of(hook), json=request))


def test_the_decision_is_in_the_ledger_and_replays_to_the_same_answer(
    client: FlaskClient, services: Services
):
    response = client.post(ORDERS, json=concerned_request())

    (decision,) = services.store.recent_decisions()
    replayed = replay(services.store, lambda _: services.knowledge, decision["evaluation"])

    assert replayed.differences == ()
    assert json.loads(json.dumps(replayed.response, default=float)) == response.get_json()
    stored = services.store.decision(decision["evaluation"])
    assert stored.rulebook_revision == services.knowledge.rulebook.revision
    assert stored.body["decision"]["trace"]
    assert "the-token" not in json.dumps(stored.body, default=str)


def test_a_decision_that_an_earlier_version_recorded_replays(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
):
    def alphabetically(written: bytes) -> str:
        return hashlib.sha256(canonical(decode(written))).hexdigest()

    with monkeypatch.context() as earlier:
        earlier.setattr("cds.services.record._digest", alphabetically)
        client.post(ORDERS, json=concerned_request())

    (decision,) = services.store.recent_decisions()
    replayed = replay(services.store, lambda _: services.knowledge, decision["evaluation"])
    assert replayed.cards >= 1
    assert replayed.differences == ()


def test_metrics_count_each_rule_that_was_not_silent_by_what_became_of_it(
    client: FlaskClient, services: Services
):
    client.post(ORDERS, json=concerned_request())
    client.post(ORDERS, json=concerned_request())

    (decision, _) = services.store.recent_decisions()
    trace = services.store.decision(decision["evaluation"]).body["decision"]["trace"]
    counted = {
        (sample.labels["rule"], sample.labels["outcome"]): sample.value
        for metric in services.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "tdm_rule_total" and sample.labels["outcome"] != "suppressed"
    }
    spoke = [row for row in trace if row["outcome"] in ("fired", "undecided")]
    assert counted == {(row["rule"], row["outcome"]): 2 for row in spoke}
    assert {row["outcome"] for row in spoke} == {"fired", "undecided"}


def test_replay_refuses_an_unknown_evaluation_and_another_rulebook(
    client: FlaskClient, services: Services
):
    client.post(ORDERS, json=concerned_request())
    (decision,) = services.store.recent_decisions()

    with pytest.raises(CannotReplay, match="no evaluation"):
        replay(services.store, lambda _: services.knowledge, "none")

    class Other:
        revision = "f" * 64

    class OtherKnowledge:
        rulebook = Other()

    with pytest.raises(CannotReplay, match="--rules"):
        replay(services.store, lambda _: OtherKnowledge(), decision["evaluation"])


def test_what_is_absent_is_fetched_with_the_token_and_nothing_else(
    client: FlaskClient, server: FakeEhr
):
    request = with_server(prefetch=prefetch(labs=..., levels=..., conditions=None))

    cards = cards_of(client.post(ORDERS, json=request))

    assert {r.url.path for r in server.asked} == {"/r4/Observation"}
    assert len(server.asked) == 2
    assert {r.headers["Authorization"] for r in server.asked} == {"Bearer the-token"}
    sent_all = cards_of(client.post(ORDERS, json=concerned_request()))
    assert [c["indicator"] for c in cards] == [c["indicator"] for c in sent_all]


def test_without_prefetch_and_server_the_answer_is_412_and_names_the_keys(client: FlaskClient):
    response = client.post(ORDERS, json=concerned_request(prefetch={}))

    assert response.status_code == 412
    outcome = response.get_json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert {e for i in outcome["issue"] for e in i["expression"]} >= {"prefetch.medications"}


@pytest.mark.parametrize(
    "base",
    [
        "https://evil.example.org/r4",
        "http://169.254.169.254/latest",
        "http://127.0.0.1@evil.example.org/",
        "http://127.0.0.1.evil.example.org/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
    ],
)
def test_a_server_that_is_not_registered_is_never_called(
    client: FlaskClient, server: FakeEhr, base: str
):
    request = with_server(prefetch={}) | {"fhirServer": base}

    response = client.post(ORDERS, json=request)

    assert response.status_code == 412
    assert server.asked == []


@pytest.mark.parametrize("subset", list(itertools.product([True, False], repeat=len(KEYS))))
def test_every_subset_of_the_prefetch_is_completed_from_the_server(
    client: FlaskClient, server: FakeEhr, subset: tuple[bool, ...]
):
    absent = {key: ... for key, sent in zip(KEYS, subset, strict=True) if not sent}

    response = client.post(ORDERS, json=with_server(prefetch=prefetch(**absent)))

    assert cards_of(response)
    assert len(server.asked) == len(absent)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("key", KEYS)
def test_a_faulty_key_without_a_server_is_412_or_a_card_that_says_so(
    client: FlaskClient, key: str, fault: str
):
    value = {
        "absent": ...,
        "null": None,
        "html": "<html>",
        "outcome": {"resourceType": "OperationOutcome", "issue": []},
        "other-type": {"resourceType": "Basic"},
    }[fault]
    required = key in ("patient", "medications")

    response = client.post(ORDERS, json=concerned_request(prefetch=prefetch(**{key: value})))

    if fault == "null":
        cards_of(response)
    elif required:
        assert response.status_code == 412
        assert response.get_json()["issue"][0]["expression"] == [f"prefetch.{key}"]
    else:
        said = json.dumps(cards_of(response), default=float)
        assert f"The {key} could not be obtained" in said


NETWORK_FAULTS = {
    "401": ehr.status(401),
    "403": ehr.status(403),
    "404": ehr.status(404),
    "429": ehr.status(429),
    "500": ehr.status(500),
    "html": ehr.html,
    "outcome": ehr.outcome,
    "huge": ehr.huge,
    "redirect": ehr.redirect,
    "reset": ehr.reset,
}


@pytest.mark.parametrize("absent", ["patient", "labs"])
@pytest.mark.parametrize("fault", [*NETWORK_FAULTS, "timeout", "drip"])
def test_a_failing_server_gives_412_or_cards_that_say_what_is_missing(
    client: FlaskClient, server: FakeEhr, clock: FakeClock, fault: str, absent: str
):
    clocked = {"timeout": ehr.timeout, "drip": ehr.drip}
    server.fail = clocked[fault](clock) if fault in clocked else NETWORK_FAULTS[fault]

    response = client.post(ORDERS, json=with_server(prefetch=prefetch(**{absent: ...})))

    if absent == "patient":
        assert response.status_code == 412
    elif fault == "timeout":
        # The stopped clock jumps over the whole deadline: no time is left to decide.
        assert response.status_code == 504
    else:
        assert "labs could not be obtained" in json.dumps(cards_of(response), default=float)
    assert "the-token" not in response.get_data(as_text=True)


def test_a_decision_that_cannot_be_recorded_is_not_given(client: FlaskClient, services: Services):
    from sqlalchemy import text

    with services.store.database.writing() as connection:
        connection.execute(text("DROP TABLE card"))

    response = client.post(ORDERS, json=concerned_request())

    assert response.status_code == 503
    assert "cards" not in response.get_json()


def test_an_answered_card_is_quiet_for_the_same_state_and_the_ledger_says_so(
    client: FlaskClient, services: Services, clock: FakeClock
):
    before = cards_of(client.post(ORDERS, json=concerned_request()))
    answerable = [card for card in before if card["indicator"] != "critical"]
    assert answerable
    entries = [
        {
            "card": card["uuid"],
            "outcome": "overridden",
            "outcomeTimestamp": clock.now.isoformat(),
        }
        for card in answerable
    ]
    assert client.post(f"{ORDERS}/feedback", json={"feedback": entries}).status_code == 200
    clock.pass_time(3600)

    after = cards_of(client.post(ORDERS, json=concerned_request()))

    answered = {card["uuid"] for card in answerable}
    assert answered.isdisjoint({card["uuid"] for card in after})
    newest = services.store.recent_decisions()[0]["evaluation"]
    suppressed = services.store.decision(newest).body["suppressed"]
    assert {item["reason"] for item in suppressed} >= {"answered"}
    assert replay(services.store, lambda _: services.knowledge, newest).same


def test_a_server_that_hangs_does_not_keep_the_answer_from_coming_in_time(
    make_services: Callable[..., Services],
):
    """With the real clock: the server answers only after the test is over."""
    released = threading.Event()

    def hang(_request: httpx.Request) -> httpx.Response:
        released.wait(60)
        return ehr.status(500)(_request)

    clock = Clock(now=lambda: NOW)
    obtainer = Obtainer(clock, FakeEhr(fail=hang).transport)
    services = make_services(obtainer=obtainer, deadline_s=8.0)
    services.desk = replace(services.desk, clock=clock)
    services.clock = clock
    client = create_app(services).test_client()
    started = time.monotonic()

    response = client.post(ORDERS, json=with_server(prefetch=prefetch(labs=...)))
    elapsed = time.monotonic() - started
    released.set()

    assert "labs could not be obtained" in json.dumps(cards_of(response), default=float)
    assert elapsed < 8.0


def test_a_call_whose_turn_does_not_come_in_time_is_refused_and_not_recorded(
    make_services: Callable[..., Services],
):
    services = make_services(deadline_s=0.2)
    services.desk = replace(services.desk, clock=Clock(now=lambda: NOW))
    services.clock = services.desk.clock
    client = create_app(services).test_client()

    with services.desk.turn:
        response = client.post(ORDERS, json=concerned_request())

    assert response.status_code == 504
    assert response.get_json()["issue"][0]["code"] == "timeout"
    assert services.store.recent_decisions() == []
