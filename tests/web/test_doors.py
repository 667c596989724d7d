"""Who may come in by which door: origins, hosts, rates, headers, monitoring."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from cds.services import Services
from cds.settings import Limits
from cds.telemetry import configure_logging
from cds.web import create_app
from tests.web.fakes import FakeClock, FakeDesk
from tests.web.requests import ORDERS, hook_request

SANDBOX = "http://localhost:8080"


def preflight(client: FlaskClient, origin: str) -> dict[str, str]:
    response = client.options(
        ORDERS,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert response.status_code == 204
    return dict(response.headers)


@pytest.mark.parametrize(
    "origin", [SANDBOX, "http://127.0.0.1:3000", "https://localhost", "http://[::1]:9000"]
)
def test_a_browser_client_on_this_machine_works_at_once(client: FlaskClient, origin: str):
    allowed = preflight(client, origin)

    assert allowed["Access-Control-Allow-Origin"] == origin
    assert allowed["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert allowed["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    answer = client.post(ORDERS, json=hook_request(), headers={"Origin": origin})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.org", "http://localhost.evil.example.org", "null", "http://127.0.0.1.x"],
)
def test_a_web_page_from_elsewhere_is_not_served(client: FlaskClient, desk: FakeDesk, origin: str):
    assert "Access-Control-Allow-Origin" not in preflight(client, origin)
    response = client.post(ORDERS, json=hook_request(), headers={"Origin": origin})
    assert response.status_code == 403
    assert desk.calls == []


def test_a_listed_origin_is_served(make_services: Callable[..., Services], desk: FakeDesk):
    services = make_services(desk=desk, cors_origins=("https://sandbox.example.org",))
    client = create_app(services).test_client()

    allowed = preflight(client, "https://sandbox.example.org")

    assert allowed["Access-Control-Allow-Origin"] == "https://sandbox.example.org"


@pytest.mark.parametrize("host", ["evil.example.org", "127.0.0.1.nip.example", "localhost.evil"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(client: FlaskClient, host: str):
    response = client.get("/cds-services", headers={"Host": host})

    assert response.status_code == 403


@pytest.mark.parametrize("address", ["10.0.0.8", "192.168.1.2", "2001:db8::1", ""])
def test_without_registered_clients_other_machines_are_refused(client: FlaskClient, address: str):
    response = client.get("/cds-services", environ_overrides={"REMOTE_ADDR": address})

    assert response.status_code == 403


def test_a_client_that_calls_too_often_is_told_when_to_come_back(
    make_services: Callable[..., Services], desk: FakeDesk, clock: FakeClock
):
    limits = Limits(requests_per_second=4, burst=6)
    client = create_app(make_services(desk=desk, loopback_limits=limits)).test_client()

    # Two workers share the limit, so each allows half of it.
    statuses = [client.post(ORDERS, json=hook_request()).status_code for _ in range(4)]
    refused = client.post(ORDERS, json=hook_request())
    clock.pass_time(0.5)
    again = client.post(ORDERS, json=hook_request())

    assert statuses == [200, 200, 200, 429]
    assert refused.headers["Retry-After"] == "1"
    assert refused.get_json()["issue"][0]["code"] == "throttled"
    assert again.status_code == 200


@pytest.mark.parametrize("path", ["/cds-services", "/healthz", "/nothing"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str):
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in headers


def test_under_https_browsers_are_told_to_stay_there(
    make_services: Callable[..., Services], desk: FakeDesk
):
    services = make_services(desk=desk, public_base_url="https://tdm.example.org")
    headers = create_app(services).test_client().get("/healthz").headers

    assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_file_the_browser_has_already_is_not_left_open(client: FlaskClient):
    with client.get("/static/pages.css") as sent:
        etag = sent.headers["ETag"]

    again = client.get("/static/pages.css", headers={"If-None-Match": etag})

    assert again.status_code == 304
    del again  # an open file would now be a ResourceWarning, and warnings are errors
    gc.collect()


def test_alive_and_ready(client: FlaskClient):
    assert client.get("/healthz").get_json()["status"] == "ok"
    assert client.get("/readyz").get_json() == {"status": "ready"}


def test_without_its_tables_the_service_is_alive_but_not_ready(
    make_services: Callable[..., Services], tmp_path
):
    services = make_services(database_url=f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    client = create_app(services).test_client()

    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()["parts"]) == (503, ["database"])


def test_a_service_that_cannot_record_is_not_ready_and_says_why_in_its_log(
    make_services: Callable[..., Services],
):
    services = make_services()
    client = create_app(services).test_client()
    with services.store.database.engine.connect() as connection:
        connection.execute(text("PRAGMA query_only=1"))

    file = io.StringIO()
    configure_logging(json_lines=True, file=file)
    response = client.get("/readyz")

    assert (response.status_code, response.get_json()["parts"]) == (503, ["database"])
    (line,) = map(json.loads, file.getvalue().splitlines())
    assert line["event"] == "not-ready"
    assert client.get("/readyz").status_code == 503
    assert len(file.getvalue().splitlines()) == 1, "asked at once again, nothing is looked at"
    assert "cannot be written" in line["problem"]


def test_metrics_count_calls_and_refusals(client: FlaskClient):
    client.post(ORDERS, json=hook_request())
    client.post(ORDERS, json={})

    text = client.get("/metrics").get_data(as_text=True)

    assert 'tdm_calls_total{hook="order-sign",outcome="silent"} 1.0' in text
    assert 'tdm_rejected_total{reason="request"} 1.0' in text


def test_metrics_are_for_this_machine_unless_a_token_is_set(client: FlaskClient):
    elsewhere = client.get("/metrics", environ_overrides={"REMOTE_ADDR": "10.0.0.8"})
    proxied = client.get("/metrics", headers={"X-Forwarded-For": "10.0.0.8"})
    by_another_name = client.get("/metrics", headers={"Host": "evil.example.org:8000"})

    refused = (elsewhere, proxied, by_another_name)
    assert [answer.status_code for answer in refused] == [401, 401, 401]


def test_a_metrics_token_opens_metrics_and_nothing_else_does(
    make_services: Callable[..., Services], desk: FakeDesk
):
    client = create_app(make_services(desk=desk, metrics_token="m-token")).test_client()

    def status(authorization: str | None) -> int:
        headers = {"Authorization": authorization} if authorization else {}
        return client.get("/metrics", headers=headers).status_code

    assert status("Bearer m-token") == 200
    assert [status(a) for a in (None, "Bearer other", "Bearer ", "Bearer mé")] == [401] * 4
