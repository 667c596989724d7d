"""Servers that fail, answers that are lost, defects: nothing lost or repeated, nobody blocked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cds.alerts import effects
from cds.alerts.patients import Ward
from tests.alerts.build import alert_settings, backport, level, north, patient_on_imatinib
from tests.alerts.conftest import MakeSite, Site

KIND = "event-notification"


def file(site: Site, number: int, **what: Any) -> None:
    observation = site.fhir.put(level(320, **what))
    assert site.notify(backport(KIND, (number, f"Observation/{observation['id']}"))) == 200


def work_for(site: Site, hours: float) -> None:
    """Let time pass, working all the while."""
    for _ in range(round(hours * 6)):
        site.work()
        site.clock.advance(minutes=10)
    site.work()


def test_a_server_that_is_down_for_a_day_gets_the_alert_afterwards(site: Site) -> None:
    file(site, 1)
    site.fhir.down = True
    work_for(site, 24)
    assert site.fhir.of("Task") == []
    site.fhir.down = False
    work_for(site, 2)
    assert len(site.tasks()) == 1
    assert {row.state for row in site.rows()} == {"done"}


def test_a_server_that_is_down_for_a_week_leaves_a_dead_letter_to_retry(site: Site) -> None:
    file(site, 1)
    site.fhir.down = True
    work_for(site, 24 * 7)
    (row,) = site.rows(state="dead")
    assert row.problem == "unreachable"
    site.fhir.down = False
    assert site.alerts.queue.retry(row.id, site.clock.now())
    site.work()
    assert len(site.tasks()) == 1


@pytest.mark.parametrize(
    ("status", "conditional"), [(401, False), (429, True), (500, False), (503, True)]
)
def test_passing_errors_of_the_server_are_tried_again(
    site: Site, status: int, conditional: bool
) -> None:
    site.fhir.conditional = conditional
    file(site, 1)
    site.fhir.faults.extend([status] * 8)
    work_for(site, 4)
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert len(site.tasks()) == 1


@pytest.mark.parametrize("conditional", [True, False])
def test_a_lost_answer_to_a_write_does_not_write_twice(site: Site, conditional: bool) -> None:
    site.fhir.conditional = conditional
    file(site, 1)
    site.fhir.deaf_after_writing = True
    work_for(site, 5)
    site.fhir.deaf_after_writing = False
    work_for(site, 2)
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert {row.state for row in site.rows()} == {"done"}


def test_a_write_that_is_refused_is_put_before_an_operator(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(site, 1)
    monkeypatch.setattr(site.fhir, "_write", lambda *_args: (422, {}, {"resourceType": "X"}))
    site.work()
    (row,) = site.rows(state="dead")
    assert (row.kind, row.problem) == ("effect", "refused-422")
    assert len(site.inbox()) == 1


def test_a_defect_in_one_patient_does_not_stop_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient_on_imatinib(site.fhir, "p2")
    assess = Ward.assess

    def fails_for_p1(ward: Ward, work: Any, *more: Any) -> Any:
        if work.body["patient"] == "p1":
            raise KeyError("a defect")
        return assess(ward, work, *more)

    monkeypatch.setattr(Ward, "assess", fails_for_p1)
    file(site, 1)
    file(site, 2, name="level-2", patient="p2")
    work_for(site, 3)
    assert [task["for"]["reference"] for task in site.tasks()] == ["Patient/p2"]
    (row,) = site.rows(state="dead")
    assert row.problem is not None
    assert row.problem.startswith("defect KeyError at test_failures.py:")


def test_a_worker_that_dies_after_writing_does_not_write_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(site, 1)
    apply = effects.apply

    class Killed(BaseException):
        """As if by a signal: nothing after it runs."""

    def killed(*args: Any) -> None:
        apply(*args)
        raise Killed

    monkeypatch.setattr("cds.alerts.worker.effects.apply", killed)
    with pytest.raises(Killed):
        site.work()
    monkeypatch.undo()
    site.clock.advance(minutes=2)
    site.work()
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert {row.state for row in site.rows()} == {"done"}


def test_a_resource_that_is_refused_does_not_keep_back_the_others(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(deliver=["flag", "task", "communication"])))
    file(site, 1)
    site.fhir.refused.add("Task")
    site.work()
    assert (len(site.fhir.of("Flag")), len(site.fhir.of("Communication"))) == (1, 1)
    (row,) = site.rows(state="dead")
    assert (row.kind, row.problem) == ("effect", "refused-422")
    assert {row.state for row in site.rows(kind="patient")} == {"done"}


def test_a_worker_that_dies_between_two_resources_leaves_the_second_to_another(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(alert_settings(north(deliver=["flag", "task"])))
    file(site, 1)
    apply = effects.apply

    class Killed(BaseException):
        """As if by a signal: nothing after it runs."""

    def killed_at_the_second(work: Any, remote: Any) -> None:
        if work.body["kind"] == "task":
            raise Killed
        apply(work, remote)

    monkeypatch.setattr("cds.alerts.worker.effects.apply", killed_at_the_second)
    with pytest.raises(Killed):
        site.work()
    monkeypatch.undo()
    assert site.tasks() == []
    site.clock.advance(minutes=2)
    site.work()
    assert (len(site.fhir.of("Flag")), len(site.tasks())) == (1, 1)
    assert {row.state for row in site.rows()} == {"done"}


def test_a_slow_server_gets_the_rest_later_rather_than_twice(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(alert_settings(north(deliver=["flag", "task"])))
    file(site, 1)
    seconds = iter(range(0, 10_000, 40))  # every look at the clock is 40 s later
    worker = replace(site.alerts.worker, monotonic=lambda: next(seconds))
    while not site.rows(kind="effect"):
        assert worker.step()
    assert (len(site.fhir.of("Flag")), len(site.tasks())) == (0, 0)
    site.work()  # nobody had to wait for a lease to end
    assert (len(site.fhir.of("Flag")), len(site.tasks())) == (1, 1)


def test_an_alert_that_is_out_of_date_before_it_is_sent_is_not_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = site.fhir._write
    monkeypatch.setattr(site.fhir, "_write", lambda *_args: (503, {}, None))
    file(site, 1)
    site.work()
    site.fhir.put(level(420, status="amended"))
    site.notify(backport(KIND, (2, "Observation/level-1")))
    site.work()
    monkeypatch.setattr(site.fhir, "_write", write)
    work_for(site, 2)
    (task,) = site.fhir.of("Task")
    assert "420 ng/mL" in task["description"]


def test_data_that_cannot_be_read_are_waited_for_but_not_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = site.fhir._get

    def without_dispenses(path: str, query: Any) -> Any:
        if path == "MedicationDispense":
            return 500, {}, {"resourceType": "OperationOutcome"}
        return get(path, query)

    monkeypatch.setattr(site.fhir, "_get", without_dispenses)
    file(site, 1)
    site.work()
    assert site.tasks() == []
    work_for(site, 1)
    assert len(site.tasks()) == 1


def test_a_patient_who_cannot_be_read_is_waited_for(site: Site) -> None:
    patient = site.fhir.resources.pop("Patient/p1")
    file(site, 1)
    work_for(site, 5)
    assert site.tasks() == []
    site.fhir.resources["Patient/p1"] = patient
    work_for(site, 2)
    assert len(site.tasks()) == 1


def test_polling_finds_levels_of_a_server_that_says_nothing(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(poll_minutes=10)))
    site.alerts.watchman.look()
    site.work()
    site.clock.advance(minutes=9)
    site.fhir.put(level(320))
    site.alerts.watchman.look()
    assert site.work() == 0
    site.clock.advance(minutes=2)
    site.alerts.watchman.look()
    site.work()
    assert len(site.tasks()) == 1


def test_polling_goes_on_where_it_was_and_finds_nothing_twice(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(poll_minutes=10)))
    for number in range(3):
        site.fhir.put(level(320, name=f"level-{number}", days_ago=9.0 - number))
        site.clock.advance(minutes=11)
        site.alerts.watchman.look()
        site.work()
    assert len(site.services.store.recent_decisions()) == 3
    assert set(site.fhir.identifiers("Task").values()) == {1}


def test_a_silent_subscription_is_asked_after_and_requested_again(site: Site) -> None:
    site.notify(backport("handshake"))
    site.fhir.put({"resourceType": "Subscription", "id": "s1", "status": "error", "channel": {}})
    site.fhir.put(level(320))
    site.clock.advance(minutes=16)
    site.alerts.watchman.look()
    site.work()
    subscription = site.fhir.resources["Subscription/s1"]
    assert subscription["status"] == "requested"
    assert subscription["channel"]["header"] == ["Authorization: Bearer a-secret-nobody-guesses"]
    assert len(site.tasks()) == 1


def test_the_webhook_is_called_with_a_signature_and_a_key(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydantic import SecretStr

    from cds.alerts.settings import Webhook

    hook = Webhook(url="https://pager.example.org/tdm", secret=SecretStr("s"))
    site = make_site(alert_settings(north(deliver=(), webhook=hook)))
    calls: list[Any] = []

    def post(url: str, *, content: bytes, headers: dict[str, str], timeout: float) -> Any:
        import httpx

        calls.append((url, content, headers))
        return httpx.Response(503 if len(calls) == 1 else 200)

    monkeypatch.setattr(site.alerts.http, "post", post)
    file(site, 1)
    work_for(site, 1)
    assert len(calls) == 2
    url, content, headers = calls[1]
    assert url == "https://pager.example.org/tdm"
    assert headers["X-Tdm-Signature"] == effects.signature("s", content)
    assert calls[0][2]["Idempotency-Key"] == headers["Idempotency-Key"]
    assert b"320 ng/mL" in content


def test_a_ledger_that_cannot_be_written_delays_the_alert_and_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cds.store import DatabaseError, Store

    def locked(*_args: object) -> None:
        raise DatabaseError("the database failed: OperationalError")

    monkeypatch.setattr(Store, "record", locked)
    file(site, 1)
    site.work()
    assert site.inbox() == []
    monkeypatch.undo()
    work_for(site, 1)
    assert len(site.tasks()) == 1


def test_a_server_that_calls_every_version_the_first_is_still_heard(site: Site) -> None:
    file(site, 1)
    site.work()
    site.clock.advance(minutes=1)
    stored = site.fhir.put(level(420, status="amended"))
    stored["meta"]["versionId"] = "1"
    site.notify(backport(KIND, (2, "Observation/level-1")))
    site.work()
    (task,) = site.tasks()
    assert "420 ng/mL" in task["description"]


def test_an_unusable_result_among_others_is_put_aside_alone(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(poll_minutes=10)))
    patient_on_imatinib(site.fhir, "p2")
    site.fhir.put(level(320, name="lost", subject={}))
    site.fhir.put(level(320))
    site.alerts.watchman.look()
    site.work()
    assert len(site.tasks()) == 1
    assert [row.problem for row in site.rows(state="dead")] == ["subject-missing"]
    site.clock.advance(minutes=11)
    site.fhir.put(level(330, name="level-2", patient="p2"))
    site.alerts.watchman.look()
    site.work()
    assert len(site.tasks()) == 2
    assert len(site.rows(state="dead")) == 1


def test_an_unusable_result_in_a_notification_does_not_hide_the_others(site: Site) -> None:
    site.fhir.put(level(320, name="lost", subject={}))
    site.fhir.put(level(320))
    body = backport(KIND, (1, "Observation/lost"))
    event = body["entry"][0]["resource"]["parameter"][-1]
    other = {"name": "focus", "valueReference": {"reference": "Observation/level-1"}}
    event["part"].append(other)
    assert site.notify(body) == 200
    site.work()
    assert len(site.tasks()) == 1
    assert [row.problem for row in site.rows(state="dead")] == ["subject-missing"]


def test_a_clock_set_forward_takes_nothing_out_of_hands_that_work(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fhir.conditional = False
    file(site, 1)
    apply = effects.apply

    def interrupted(*args: Any) -> None:
        monkeypatch.undo()
        site.clock.set(hours=5)
        assert site.work() == 0, "another thread looks for work meanwhile"
        apply(*args)

    monkeypatch.setattr("cds.alerts.worker.effects.apply", interrupted)
    site.work()
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert {row.state for row in site.rows()} == {"done"}


@pytest.mark.parametrize("hours", [-5.0, 5.0])
def test_work_of_a_dead_worker_is_taken_over_though_the_clock_was_set(
    site: Site, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    file(site, 1)

    class Killed(BaseException):
        """As if by a signal: nothing after it runs."""

    def killed(*_args: Any) -> None:
        raise Killed

    monkeypatch.setattr("cds.alerts.worker.effects.apply", killed)
    with pytest.raises(Killed):
        site.work()
    monkeypatch.undo()
    site.clock.set(hours=hours)
    assert site.work() == 0
    site.clock.advance(minutes=2)
    site.work()
    assert {row.state for row in site.rows()} == {"done"}


def test_a_disk_that_is_full_while_working_loses_nothing_and_repeats_nothing(site: Site) -> None:
    """SQLite refuses to grow the file, at whatever point of the work that happens."""
    from sqlalchemy import event

    from cds.store import DatabaseError

    engine = site.alerts.worker.queue.database.engine
    room = 0

    def limit(connection: Any, _record: object, _proxy: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + room}")

    event.listen(engine, "checkout", limit)
    for number in range(1, 30):
        patient_on_imatinib(site.fhir, f"q{number}")
        file(site, number, name=f"level-{number}", patient=f"q{number}")
    failed = 0
    for _ in range(60):
        try:
            site.work()
        except DatabaseError:
            failed += 1
        site.clock.advance(minutes=2)
    assert failed or any(row.problem == "database" for row in site.rows(limit=1000))
    room = 100_000
    work_for(site, 3)
    assert {task["for"]["reference"] for task in site.tasks()} == {
        f"Patient/q{number}" for number in range(1, 30)
    }
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert {row.state for row in site.rows(limit=1000)} == {"done"}
