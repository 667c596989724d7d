"""No patient data and no token leave by any side door: logs, metrics, errors, metadata."""

from __future__ import annotations

import copy
import io
import json
import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cds.services.obtain import Obtainer
from cds.telemetry import LOG_FIELDS, configure_logging, error_fields, log
from cds.web import create_app
from tests.web import ehr
from tests.web.ehr import BASE, FakeEhr
from tests.web.fakes import FakeClock
from tests.web.patients import concerned_request
from tests.web.requests import ORDERS

CANARY = "CANARY"
REQUESTS = 1000


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything any logger writes, at any level."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(json_lines=True)
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(handler)
    monkeypatch.setattr(root, "level", logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    structlog.reset_defaults()


def strings(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all strings in a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index))


def planted(request: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The request with canaries in a few of its strings, in a new field, and in a new name."""
    request = copy.deepcopy(request)
    for path in chance.sample(list(strings(request)), k=chance.randint(1, 3)):
        place = request
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = f"{CANARY}-{chance.randint(0, 10**6)}"
    if chance.random() < 0.2:
        request[f"{CANARY}-name"] = chance.choice([None, "x", {"a": CANARY}])
    return request


def test_a_thousand_requests_full_of_canaries_leave_none_in_logs_metrics_or_errors(
    make_services, clock: FakeClock, captured: io.StringIO
):
    chance = random.Random(20261123)
    server = FakeEhr()
    services = make_services(
        obtainer=Obtainer(clock.clock, server.transport),
        loopback_limits={"requests_per_second": 1e6, "burst": 1_000_000},
    )
    client = create_app(services).test_client()
    access = {
        "access_token": f"{CANARY}-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": f"patient/*.read {CANARY}",
        "subject": CANARY,
    }
    small = concerned_request(fhirServer=BASE, fhirAuthorization=access)
    small["prefetch"] = {key: value for key, value in small["prefetch"].items() if value is None}
    small["prefetch"]["patient"] = {"resourceType": "Patient", "id": "p-1"}
    failures = [None, ehr.reset, ehr.html, ehr.status(500)]
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        server.fail = failures[number % len(failures)]
        request = concerned_request() if number % 50 == 0 else small
        response = client.post(
            ORDERS,
            json=planted(request, chance),
            headers={"Authorization": f"Bearer {CANARY}.jwt.{CANARY}", "X-Request-Id": CANARY},
            query_string={"patient": CANARY},
        )
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        if response.status_code != 200:
            assert CANARY not in response.get_data(as_text=True)

    assert min(statuses) >= 200
    assert max(statuses) < 500
    assert len(statuses) > 2
    assert "hook-answered" in captured.getvalue()
    assert CANARY not in captured.getvalue()
    assert CANARY not in client.get("/metrics").get_data(as_text=True)
    assert CANARY not in client.get("/metadata/dsi").get_data(as_text=True)


def test_an_unexpected_error_is_logged_by_type_and_place_only(client, desk, captured: io.StringIO):
    desk.error = ValueError(f"{CANARY} stands in the message")

    assert client.post(ORDERS, json=concerned_request()).status_code == 500

    written = captured.getvalue()
    assert "ValueError" in written
    assert "fakes.py:" in written
    assert CANARY not in written


def test_a_field_that_is_not_on_the_list_is_not_written(captured: io.StringIO):
    log().info("something", client="north", patient=CANARY, body={"a": CANARY})

    (line,) = captured.getvalue().splitlines()
    assert set(json.loads(line)) <= LOG_FIELDS
    assert CANARY not in line


def test_an_exception_is_described_without_its_message():
    with pytest.raises(KeyError) as raised:
        {}[CANARY]

    described = error_fields(raised.value)

    assert set(described) == {"error_type", "error_at"}
    assert CANARY not in str(described)


def test_the_ledger_keeps_no_token_and_shows_no_canary_in_the_clear(
    make_services, clock: FakeClock
):
    services = make_services(obtainer=Obtainer(clock.clock, FakeEhr().transport))
    client = create_app(services).test_client()
    access = {
        "access_token": f"{CANARY}-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/*.read",
        "subject": "tdm",
    }
    request = concerned_request(fhirServer=BASE, fhirAuthorization=access)
    request["prefetch"]["patient"]["name"] = [{"family": f"{CANARY}-name"}]

    assert client.post(ORDERS, json=request).status_code == 200

    (decision,) = services.store.recent_decisions()
    opened = json.dumps(services.store.decision(decision["evaluation"]).body, default=str)
    assert f"{CANARY}-token" not in opened
    assert f"{CANARY}-name" in opened
    services.store.database.close()
    files = services.settings.data_dir.iterdir()
    assert all(CANARY.encode() not in file.read_bytes() for file in files if file.is_file())
