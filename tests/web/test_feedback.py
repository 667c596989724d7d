"""The feedback endpoint keeps what is valid and names what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds.services import Services
from cds.store import DatabaseError, Store
from cds.web import create_app

URL = "/cds-services/tdm-orders/feedback"
CARD = "5F6CFA0C-7d5b-4f0a-9a3c-0b8f3e9f1a11"


def accepted(**changes: Any) -> dict[str, Any]:
    entry = {
        "card": CARD,
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": "0b6a8d0e-52a3-4d6a-8b61-b1a7b7c9de22"}],
        "outcomeTimestamp": "2026-11-23T09:00:00Z",
        **changes,
    }
    return {name: value for name, value in entry.items() if value is not ...}


def overridden(**changes: Any) -> dict[str, Any]:
    return accepted(outcome="overridden", acceptedSuggestions=..., **changes)


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.mark.parametrize(
    "entry",
    [
        accepted(),
        overridden(),
        overridden(overrideReason={"reason": {"code": "x", "system": "urn:y"}}),
        overridden(overrideReason={"userComment": "seen"}),
        overridden(outcomeTimestamp="2026-11-23T10:00:00.123+01:00"),
        overridden(unknown={"a": 1}),
    ],
)
def test_valid_feedback_is_stored(client: FlaskClient, services: Services, entry: dict):
    response = client.post(URL, json={"feedback": [entry]})

    assert response.status_code == 200
    (stored,) = services.store.export_feedback()
    assert stored["card"] == CARD.lower()
    assert stored["outcome"] == entry["outcome"]


def test_repeated_feedback_is_200_and_stored_once(client: FlaskClient, services: Services):
    for _ in range(3):
        assert client.post(URL, json={"feedback": [accepted(), accepted()]}).status_code == 200

    assert len(list(services.store.export_feedback())) == 1


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({}, "feedback[0].card"),
        (7, "feedback[0]"),
        (accepted(card="card-1"), "feedback[0].card"),
        (accepted(outcome="ignored"), "feedback[0].outcome"),
        (accepted(outcome=...), "feedback[0].outcome"),
        (accepted(outcomeTimestamp=...), "feedback[0].outcomeTimestamp"),
        (accepted(outcomeTimestamp="2026-11-23"), "feedback[0].outcomeTimestamp"),
        (accepted(outcomeTimestamp="0001-01-01T00:00:00+14:00"), "feedback[0].outcomeTimestamp"),
        (accepted(outcomeTimestamp="9999-12-31T23:59:59-14:00"), "feedback[0].outcomeTimestamp"),
        (
            overridden(overrideReason={"reason": {"code": "a\0b", "system": "urn:x"}}),
            "feedback[0].overrideReason.reason",
        ),
        (accepted(outcomeTimestamp="2026-11-23T09:00:00"), "feedback[0].outcomeTimestamp"),
        (accepted(acceptedSuggestions=...), "feedback[0].acceptedSuggestions"),
        (accepted(acceptedSuggestions=[]), "feedback[0].acceptedSuggestions"),
        (accepted(acceptedSuggestions=[{"id": "x"}]), "feedback[0].acceptedSuggestions"),
        (accepted(acceptedSuggestions={"id": CARD}), "feedback[0].acceptedSuggestions"),
        (overridden(overrideReason="no"), "feedback[0].overrideReason"),
        (overridden(overrideReason={"reason": {"code": "x"}}), "feedback[0].overrideReason.reason"),
        (
            overridden(overrideReason={"userComment": "x" * 4001}),
            "feedback[0].overrideReason.userComment",
        ),
    ],
)
def test_invalid_feedback_is_400_with_the_field_and_nothing_is_stored(
    client: FlaskClient, services: Services, entry: Any, field: str
):
    response = client.post(URL, json={"feedback": [entry, overridden()]})

    assert response.status_code == 400
    assert field in [i["expression"][0] for i in response.get_json()["issue"]]
    assert list(services.store.export_feedback()) == []


@pytest.mark.parametrize("body", [{}, {"feedback": {}}, {"feedback": [overridden()] * 201}])
def test_a_body_without_a_list_of_reasonable_length_is_400(client: FlaskClient, body: dict):
    response = client.post(URL, json=body)

    assert response.status_code == 400
    assert response.get_json()["issue"][0]["expression"] == ["feedback"]


def test_feedback_to_an_unknown_service_is_404(client: FlaskClient):
    response = client.post("/cds-services/other/feedback", json={"feedback": []})

    assert response.status_code == 404


def test_feedback_that_cannot_be_kept_now_is_asked_for_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise DatabaseError("there is no room on the disk", "disk-full")

    monkeypatch.setattr(Store, "add_feedback", full)

    response = client.post(URL, json={"feedback": []})

    assert response.status_code == 503
    assert response.get_json()["issue"][0]["code"] == "transient"
