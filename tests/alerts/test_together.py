"""Events that are due together are read and recorded together, and fail one by one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from cds.alerts import sightings, worker
from cds.alerts.queue import LeaseLost, Queue
from cds.alerts.tables import work
from tests.alerts.build import backport, level, patient_on_imatinib
from tests.alerts.conftest import Site


@pytest.fixture
def site(site: Site) -> Site:
    """A site that knows that its server takes batches."""
    site.fhir.declares = True
    site.alerts.worker.remotes["north"].capabilities()
    return site


def file(site: Site, *patients: str, **changes: Any) -> None:
    """File a level of each patient and notify of each by itself."""
    for number, patient in enumerate(patients, start=1):
        if f"Patient/{patient}" not in site.fhir.resources:
            patient_on_imatinib(site.fhir, patient)
        name = f"level-{number}"
        site.fhir.put(level(320, name=name, patient=patient, days_ago=number, **changes))
        assert site.notify(backport("event-notification", (number, f"Observation/{name}"))) == 200


def alerted(site: Site) -> list[str]:
    """Whose Tasks stand, one entry each."""
    return sorted(task["for"]["reference"] for task in site.tasks())


def states(site: Site, kind: str = "event") -> list[str]:
    return sorted(row.state for row in site.rows(kind=kind))


def test_what_several_events_are_about_is_read_in_one_request(site: Site) -> None:
    file(site, "p1", "p2", "p3")
    site.fhir.requests.clear()
    assert site.alerts.worker.step() == 3
    assert site.fhir.requests == [("POST", "")]
    site.work()
    assert alerted(site) == ["Patient/p1", "Patient/p2", "Patient/p3"]


def test_two_levels_of_a_patient_read_together_end_in_one_alert(site: Site) -> None:
    file(site, "p1", "p1")
    assert site.work() == 3  # two events, one patient
    assert alerted(site) == ["Patient/p1"]


def test_a_result_that_cannot_be_followed_up_holds_up_no_other(site: Site) -> None:
    file(site, "p1", "p2")
    broken = level(320, name="level-9")
    del broken["subject"]
    site.fhir.put(broken)
    site.notify(backport("event-notification", (3, "Observation/level-9")))
    site.work()
    assert alerted(site) == ["Patient/p1", "Patient/p2"]
    (dead,) = site.rows(state="dead")
    assert dead.problem == "subject-missing"


def test_a_result_that_is_gone_holds_up_no_other(site: Site) -> None:
    file(site, "p1", "p2")
    del site.fhir.resources["Observation/level-1"]
    site.work()
    assert alerted(site) == ["Patient/p2"]
    assert states(site) == ["done", "done"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_event_whose_body_cannot_be_opened_holds_up_no_other(site: Site, place: int) -> None:
    file(site, "p1", "p2", "p3")
    queue = site.alerts.queue
    damaged = sorted(row.id for row in site.rows(kind="event"))[place]
    with queue.database.writing() as connection:
        connection.execute(update(work).where(work.c.id == damaged).values(body=b"damaged"))

    site.work()

    assert alerted(site) == [f"Patient/p{n + 1}" for n in range(3) if n != place]
    (waiting,) = site.rows(state="open")
    assert (waiting.id, waiting.problem, waiting.attempts) == (damaged, "body-unreadable", 1)


def test_a_defect_in_recording_one_event_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def admit(connection: Any, queue: Queue, server: str, sighting: Any, now: Any) -> bool:
        if sighting.patient == "p2":
            raise ValueError("a defect")
        return sightings.admit(connection, queue, server, sighting, now)

    monkeypatch.setattr(worker, "admit", admit)
    file(site, "p1", "p2", "p3")
    site.work()
    assert alerted(site) == ["Patient/p1", "Patient/p3"]
    assert states(site) == ["done", "done", "open"]
    monkeypatch.undo()
    site.clock.advance(minutes=1)
    site.work()
    assert alerted(site) == ["Patient/p1", "Patient/p2", "Patient/p3"]


def test_an_event_that_another_worker_has_taken_over_is_left_to_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Queue.finish
    lost: list[int] = []

    def finish_but_the_first(queue: Queue, connection: Any, done: Any, now: Any) -> None:
        if not lost or done.id in lost:
            lost.append(done.id)
            raise LeaseLost
        finish(queue, connection, done, now)

    monkeypatch.setattr(Queue, "finish", finish_but_the_first)
    file(site, "p1", "p2")
    assert site.alerts.worker.step() == 2
    monkeypatch.undo()
    assert states(site) == ["done", "open"]
    assert len(site.rows(kind="patient")) == 1


def test_a_server_that_is_busy_is_asked_once_for_all_events(site: Site) -> None:
    file(site, "p1", "p2", "p3")
    site.fhir.batch = lambda _sent: (429, {}, None)
    site.fhir.requests.clear()
    site.work()
    assert site.fhir.requests == [("POST", "")]
    assert {row.problem for row in site.rows(kind="event")} == {"busy"}
    site.clock.advance(minutes=1)
    site.work()
    assert alerted(site) == ["Patient/p1", "Patient/p2", "Patient/p3"]


def test_a_worker_that_dies_over_events_leaves_each_of_them_to_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As if by a signal: nothing after it runs."""

    def killed(*_args: Any, **_named: Any) -> Any:
        raise Killed

    file(site, "p1", "p2")
    monkeypatch.setattr(worker, "admit", killed)
    with pytest.raises(Killed):
        site.work()
    monkeypatch.undo()
    assert site.work() == 0  # in the hands of the dead
    site.clock.advance(minutes=2)
    site.work()
    assert alerted(site) == ["Patient/p1", "Patient/p2"]
