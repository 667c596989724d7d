"""Reading everything in one request where a server offers it, and never trusting it further."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cds.fhir.batch import encoded
from tests.alerts.build import backport, level
from tests.alerts.conftest import Site
from tests.alerts.fake_fhir import Answer

Batch = dict[str, Any]


def file(site: Site, number: int = 1, **changes: Any) -> None:
    """File a level and notify of it."""
    site.fhir.put(level(320, **changes))
    name = changes.get("name", "level-1")
    assert site.notify(backport("event-notification", (number, f"Observation/{name}"))) == 200


def read_alone(site: Site) -> list[str]:
    """What was read by itself while assessing."""
    reads = [path for method, path in site.fhir.requests if method == "GET"]
    return [path for path in reads if path not in ("metadata", "Observation/level-1", "Task")]


def test_a_server_that_offers_batches_is_asked_once(site: Site) -> None:
    site.fhir.declares = True
    file(site)
    site.work()
    assert len(site.tasks()) == 1
    # What can it do; the level; everything about the patient; the Task.
    expected = [("GET", "metadata"), ("GET", "Observation/level-1"), ("POST", ""), ("POST", "Task")]
    assert sorted(site.fhir.requests) == sorted(expected)


def test_a_server_that_does_not_say_so_gets_no_batch(site: Site) -> None:
    file(site)
    site.work()
    assert ("POST", "") not in site.fhir.requests
    assert len(read_alone(site)) == 11


def test_a_server_that_hides_what_it_can_do_is_asked_for_one_thing_at_a_time(site: Site) -> None:
    site.fhir.capabilities = {"resourceType": "OperationOutcome"}
    site.fhir.declares = True
    file(site)
    site.work()
    assert len(site.tasks()) == 1
    assert len(read_alone(site)) == 11


def shorter(answer: Batch) -> None:
    del answer["entry"][3]


def in_another_order(answer: Batch) -> None:
    answer["entry"].reverse()


def of_another_type(answer: Batch) -> None:
    answer["type"] = "transaction-response"


def without_statuses(answer: Batch) -> None:
    for entry in answer["entry"]:
        del entry["response"]


def with_failures_inside(answer: Batch) -> None:
    for number, status in enumerate(["500 Error", "404 Not Found", "429", "", "20", "2000"]):
        answer["entry"][number]["response"]["status"] = status


def with_outcomes_inside(answer: Batch) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}
    for entry in answer["entry"]:
        entry["resource"] = outcome


def with_another_patient(answer: Batch) -> None:
    answer["entry"][0]["resource"] = {
        "resourceType": "Patient",
        "id": "p2",
        "birthDate": "2020-01-01",
    }


def with_nonsense(answer: Batch) -> None:
    answer["entry"][:7] = ["", None, 7, [], {}, {"resource": 1}, {"response": 1}]


def with_another_search(answer: Batch) -> None:
    """Medicines where conditions were asked for."""
    answer["entry"][8]["resource"] = answer["entry"][1]["resource"]


def with_a_page_elsewhere(answer: Batch) -> None:
    link = {"relation": "next", "url": "https://elsewhere.example/fhir?page=2"}
    answer["entry"][9]["resource"]["link"] = [link]


@pytest.mark.parametrize(
    "spoil",
    [
        shorter,
        in_another_order,
        of_another_type,
        without_statuses,
        with_failures_inside,
        with_outcomes_inside,
        with_another_patient,
        with_nonsense,
        with_another_search,
    ],
)
def test_whatever_is_wrong_with_a_batch_is_read_again_alone(
    site: Site, spoil: Callable[[Batch], None]
) -> None:
    def answered(sent: Batch) -> Answer:
        answer = copy.deepcopy(site.fhir.batch_response(sent))
        spoil(answer)
        return 200, {}, answer

    site.fhir.declares = True
    site.fhir.batch = answered
    file(site)
    site.work()
    (task,) = site.tasks()
    assert "320 ng/mL" in task["description"]
    assert read_alone(site)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500, 501, 302])
def test_a_server_that_refuses_batches_is_spared_them_for_a_while(site: Site, status: int) -> None:
    site.fhir.declares = True
    site.fhir.batch = lambda _sent: (status, {}, {"resourceType": "OperationOutcome"})
    file(site)
    file(site, 2, name="level-2", days_ago=2)
    site.work()
    assert len(site.tasks()) >= 1
    assert site.fhir.requests.count(("POST", "")) == 1


def test_a_server_that_wants_to_be_left_alone_is_left_alone(site: Site) -> None:
    site.fhir.declares = True
    site.fhir.batch = lambda _sent: (429, {}, None)
    file(site)
    site.work()
    assert site.tasks() == []
    assert read_alone(site) == []
    site.clock.advance(minutes=1)
    site.work()
    assert len(site.tasks()) == 1


def test_a_batch_that_is_too_large_is_read_in_parts(site: Site) -> None:
    site.fhir.declares = True
    note = {"text": "x" * 2_100_000}
    site.fhir.batch = lambda _sent: (200, {}, {"resourceType": "Bundle", "note": note})
    file(site)
    site.work()
    assert len(site.tasks()) == 1


def test_a_next_page_on_another_server_is_not_followed(site: Site) -> None:
    def answered(sent: Batch) -> Answer:
        answer = copy.deepcopy(site.fhir.batch_response(sent))
        with_a_page_elsewhere(answer)
        return 200, {}, answer

    site.fhir.declares = True
    site.fhir.batch = answered
    file(site)
    for _ in range(4):  # the procedures are waited for, then it is said that they are incomplete
        site.work()
        site.clock.advance(minutes=1)
    assert len(site.tasks()) == 1


def test_a_server_that_looks_for_itself_is_not_searched_first(site: Site) -> None:
    site.fhir.declares = True
    file(site)
    site.work()
    assert ("GET", "Task") not in site.fhir.requests


@pytest.mark.parametrize("honest", [True, False])
def test_after_a_lost_answer_a_server_is_not_believed_that_it_looks(
    site: Site, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    site.fhir.declares = True
    monkeypatch.setattr(site.fhir, "deaf_after_writing", True)
    file(site)
    site.work()
    assert len(site.tasks()) == 1  # it is there, and we do not know
    monkeypatch.undo()
    site.fhir.conditional = honest
    site.clock.advance(minutes=1)
    site.work()
    assert ("GET", "Task") in site.fhir.requests
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert {row.state for row in site.rows()} == {"done"}


@pytest.mark.parametrize(
    "address",
    [
        "Patient/p1",
        "Patient/a.b-C_9",
        "Patient/../Task/1",
        "Patient/./p1",
        "Patient/..",
        "Patient/pä 1",
        "Patient/p|1",
        "Patient/p%201",
        "Condition?patient=p1&_sort=-date",
        "Observation?code=http://loinc.org|1-2,http://loinc.org|3-4&_count=9",
        "Observation?code=a/../b&at=ge2026-01-01T00:00:00+01:00",
        "Patient?identifier=urn:mrn|ä 'b' \"c\" <d> #e%7C%",
        "Patient?name=a?b~c;d@e",
        "",
    ],
)
def test_an_address_stands_in_a_batch_as_in_a_request_line(address: str) -> None:
    base = "https://fhir.example.org/r4"
    assert encoded(base, address) == str(httpx.URL(f"{base}/{address}"))[len(base) + 1 :]
