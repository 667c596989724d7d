"""Who may notify us, what is a notification, and that a yes means it is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds.alerts.receiver import Receiver
from cds.store import DatabaseError
from tests.alerts.build import BEARER, ENDPOINT, NOW, SECRET, backport, level, r5
from tests.alerts.conftest import Site

EVENT = backport("event-notification", (1, "Observation/level-1"))


@pytest.mark.parametrize(
    "bearer",
    ["", "Bearer ", "Bearer wrong", SECRET, f"Basic {SECRET}", f"Bearer {SECRET}x", "Bearer ÿ"],
)
def test_a_wrong_secret_is_refused_and_nothing_is_kept(site: Site, bearer: str) -> None:
    assert site.notify(EVENT, bearer=bearer) == 401
    assert site.rows() == []


def test_an_unknown_endpoint_is_refused_like_a_wrong_secret(site: Site) -> None:
    unknown = site.http.post("/subscriptions/nobody", headers={"Authorization": BEARER}, data="x")
    wrong = site.http.post(f"/subscriptions/{ENDPOINT}", headers={"Authorization": "Bearer x"})
    assert (unknown.status_code, unknown.data) == (wrong.status_code, wrong.data)


def test_a_handshake_is_answered_at_once_and_marks_the_subscription_active(site: Site) -> None:
    assert site.notify(backport("handshake")) == 200
    (heard,) = _heard(site)
    assert (heard.name, heard.status) == ("Subscription/s1", "active")
    assert site.rows() == []


def test_a_heartbeat_is_heard(site: Site) -> None:
    site.notify(backport("handshake"))
    site.clock.advance(minutes=5)
    assert site.notify(r5(kind="heartbeat")) == 200
    assert _heard(site)[0].at == site.clock.now()


def test_a_missing_number_makes_us_ask_for_the_events_between(site: Site) -> None:
    site.notify(backport("handshake"))
    site.notify(EVENT)
    site.notify(backport("event-notification", (4, "Observation/level-1")))
    gaps = [row for row in site.rows(kind="event") if "gap" in _body(site, row.id)]
    assert [_body(site, row.id)["gap"] for row in gaps] == [[2, 3]]


def test_a_heartbeat_that_counts_further_shows_a_lost_event(site: Site) -> None:
    site.notify(backport("handshake"))
    site.notify(EVENT)
    site.notify(backport("heartbeat", total=3))
    assert any(_body(site, row.id).get("gap") == [2, 3] for row in site.rows(kind="event"))


def test_a_lost_event_is_found_without_the_servers_help(site: Site) -> None:
    site.notify(backport("handshake"))
    site.fhir.put(level(320))
    site.notify(backport("heartbeat", total=1))
    site.work()
    assert len(site.tasks()) == 1


def test_a_server_that_keeps_its_events_is_asked_for_the_lost_ones(site: Site) -> None:
    site.notify(backport("handshake"))
    site.fhir.put(level(320))
    site.clock.advance(days=30)  # too long ago for a search of recent changes
    events = backport("query-event", (1, "Observation/level-1"))
    site.fhir.resources["Subscription/s1/$events"] = events
    site.notify(backport("heartbeat", total=1))
    site.work()
    assert len(site.services.store.recent_decisions()) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"a": 1, "a": 2}', 400),
        (b"[" * 5000, 400),
        ({"resourceType": "Bundle", "type": "history"}, 422),
        ({"resourceType": "Bundle", "type": "searchset", "entry": []}, 422),
        ({"resourceType": "Bundle", "type": "history", "entry": [{"resource": level()}]}, 422),
        (backport("query-status"), 422),
        (backport("event-notification", (1, "https://elsewhere.org/fhir/Observation/1")), 422),
        (backport("event-notification", (1, "Observation/../Patient/1")), 422),
        (backport("event-notification", (1, "Observation/..")), 422),
        (backport("event-notification", (1, "http://localhost/fhir@evil/Observation/1")), 422),
        ({"resourceType": "Observation"}, 422),
        ({}, 422),
    ],
)
def test_what_is_no_notification_is_refused(site: Site, body: Any, status: int) -> None:
    assert site.notify(body) == status
    assert site.rows() == []


def test_xml_is_not_read(site: Site) -> None:
    answer = site.http.post(
        f"/subscriptions/{ENDPOINT}",
        data="<Bundle/>",
        content_type="application/fhir+xml",
        headers={"Authorization": BEARER},
    )
    assert answer.status_code == 415


def test_a_body_that_is_too_large_is_refused(site: Site) -> None:
    assert site.notify(b" " * (2 * 1024 * 1024 + 1)) == 413


def test_a_resource_under_another_address_is_refused(site: Site) -> None:
    assert site.notify(level(), path="/Observation/other", method="PUT") == 422


def test_no_yes_is_said_before_the_event_is_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise DatabaseError("the database failed: OperationalError")

    monkeypatch.setattr(Receiver, "_keep", full)
    assert site.notify(EVENT) == 503
    monkeypatch.undo()
    assert site.notify(EVENT) == 200
    assert len(site.rows(kind="event")) == 1


def test_a_full_disk_is_a_503_and_the_event_is_kept_when_there_is_room(site: Site) -> None:
    """SQLite refuses to grow the file, as it does when the disk is full."""
    from sqlalchemy import event

    engine = site.alerts.queue.database.engine
    limited = True

    def limit(connection: Any, _record: object, _proxy: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages if limited else 1_000_000}")

    event.listen(engine, "checkout", limit)
    statuses = [
        site.notify(backport("event-notification", (number, f"Observation/{'x' * 200}{number}")))
        for number in range(1, 80)
    ]
    assert set(statuses) == {200, 503}
    kept = statuses.count(200)
    limited = False
    assert [
        site.notify(backport("event-notification", (number, f"Observation/{'x' * 200}{number}")))
        for number in range(1, 80)
    ] == [200] * 79
    events = site.rows(kind="event", limit=1000)
    assert kept < len(events) >= 79


def test_refusals_are_operation_outcomes_that_quote_nothing(site: Site) -> None:
    answer = site.http.post(
        f"/subscriptions/{ENDPOINT}",
        data=json.dumps({"resourceType": "Bundle", "type": "canary-4711"}),
        content_type="application/fhir+json",
        headers={"Authorization": BEARER},
    )
    assert answer.get_json(force=True)["resourceType"] == "OperationOutcome"
    assert b"canary" not in answer.data


def test_events_are_dated_by_the_clock_that_was_given(site: Site) -> None:
    site.notify(EVENT)
    assert [row.created for row in site.rows()] == [NOW]


def _heard(site: Site) -> list[Any]:
    from cds.alerts.watching import all_heard

    return all_heard(site.alerts.queue.database, "north")


def _body(site: Site, row: int) -> dict[str, Any]:
    from cds.alerts.operator import show_work

    found = show_work(site.alerts.queue, row)
    assert found is not None
    return dict(found[1])
