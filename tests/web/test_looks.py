"""Who looked at whose data is kept, before anything is shown."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from cds.services.audit import look_events
from cds.settings import ClientSettings
from cds.store import DatabaseError, Look, Way
from cds.web import create_app
from tests.web.patients import concerned_request
from tests.web.requests import ORDERS
from tests.web.test_report_links import Site
from tests.web.tokens import BASE, registration


def _looks(site) -> list[Look]:
    return [look for _, look in site.services.store.looks()]


def test_a_person_who_opens_a_report_and_takes_a_file_is_kept_by_name(hospital):
    site = hospital()
    evaluation = site.evaluation()
    journey = site.journey()
    where = journey.sign_in().headers["Location"]

    assert _looks(site) == []  # signing in shows nothing yet
    journey.get(where)
    journey.get(f"{where}/level.svg")  # part of the page
    journey.get(f"{where}/report.csv")

    now, person = site.clock.now, "Practitioner/dr-demo"
    assert _looks(site) == [
        Look(now, "report", Way.SIGNED_IN, "north", person, evaluation),
        Look(now, "report.csv", Way.SIGNED_IN, "north", person, evaluation),
    ]


def test_whoever_holds_a_link_is_kept_as_that(site):
    here = site()
    link, get = here.link(), here.browser()
    where = get(link).headers["Location"]
    get(where)

    (look,) = _looks(here)
    assert (look.way, look.user, look.what) == (Way.LINK, None, "report")
    assert look.evaluation in link


def test_what_may_not_be_seen_is_no_look(hospital):
    site = hospital()
    other = site.evaluation("p-2")
    site.evaluation()
    journey = site.journey()
    journey.sign_in()

    assert journey.get(f"/evaluations/{other}").status_code == 404
    assert _looks(site) == []


def test_a_look_that_cannot_be_kept_shows_nothing(hospital, monkeypatch):
    site = hospital()
    evaluation = site.evaluation()
    journey = site.journey()
    where = journey.sign_in().headers["Location"]

    def full(look: Look) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(site.services.store, "record_look", full)
    for address in (where, f"{where}/report.json", f"{where}/diagnostic-report.json"):
        answer = journey.get(address)
        assert answer.status_code == 503
        assert "cannot be recorded" in answer.text
        assert "ng/mL" not in answer.text
    assert evaluation in where


def test_looks_are_exported_as_audit_events_of_reading(hospital):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    journey.get(journey.sign_in().headers["Location"])

    (event,) = [AuditEvent.model_validate(e) for e in look_events(site.services.store, None)]
    assert event.action == "R"
    assert event.subtype[1].display == "report"
    assert event.agent[0].requestor
    assert event.agent[0].who.reference == "Practitioner/dr-demo"
    assert event.entity[0].what.reference == "Patient/p-1"


def test_the_machine_is_named_where_nobody_is_registered(make_services, clock):
    services = make_services(deadline_s=10)
    browser = create_app(services).test_client()
    base = "http://127.0.0.1:8000"
    answer = browser.post(ORDERS, json=concerned_request(), base_url=base)
    url = answer.get_json()["cards"][0]["links"][0]["url"]
    path = "/evaluations/" + url.rpartition("/")[2]
    for accept in ("text/html", "application/json"):
        assert browser.get(path, base_url=base, headers={"Accept": accept}).status_code == 200
    looks = [look for _, look in services.store.looks()]
    assert [(look.what, look.way, look.client) for look in looks] == [
        ("report", Way.MACHINE, None),
        ("decision", Way.MACHINE, None),
    ]
    (first, _) = look_events(services.store, None)
    assert first["agent"][0]["who"]["display"] == "somebody at the machine of the service"


@pytest.fixture
def site(make_services, clock):
    def make() -> Site:
        chosen = ClientSettings.model_validate(registration(report_link_minutes=10))
        return Site(make_services(clients=(chosen,), public_base_url=BASE, deadline_s=10), clock)

    return make
