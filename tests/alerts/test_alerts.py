"""A new level, from the notification to the worklist: once, for the state it ends in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cds.alerts.inbox import StoredInbox
from cds.services.worklist import Named, State, acts_on, entries, patient_of
from cds.store import Act
from tests.alerts.build import (
    LEVEL_CODE,
    alert_settings,
    backport,
    level,
    north,
    patient_on_imatinib,
    quantity,
    r5,
)
from tests.alerts.conftest import MakeSite, Site

KIND = "event-notification"


def file(site: Site, number: int, observation: dict[str, Any]) -> None:
    """File a level and notify of it."""
    site.fhir.put(observation)
    assert site.notify(backport(KIND, (number, f"Observation/{observation['id']}"))) == 200


def test_a_new_level_becomes_a_task_for_the_worklist(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    (task,) = site.tasks()
    assert task["for"] == {"reference": "Patient/p1"}
    assert task["focus"] == {"reference": "Observation/level-1"}
    assert "320 ng/mL" in task["description"]
    assert task["priority"] == "urgent"
    assert task["intent"] == "proposal"


def test_the_inbox_shows_the_card_of_the_task(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    (card,) = site.inbox()
    (task,) = site.tasks()
    assert card["summary"] == task["description"]
    assert card["uuid"] in task["note"][0]["text"]


@pytest.mark.parametrize(
    "body",
    [
        backport(KIND, (1, "Observation/level-1")),
        backport(KIND, (1, "http://localhost/fhir/Observation/level-1/_history/1")),
        backport(KIND, (1, "Observation/level-1"), resources=(level(320),)),
        r5((1, "Observation/level-1")),
        backport(KIND, total=1),
        level(320),
        None,
    ],
    ids=["id-only", "versioned-url", "full-resource", "r5", "empty-topic", "criteria", "poke"],
)
def test_every_shape_of_notification_leads_to_the_same_task(site: Site, body: Any) -> None:
    site.fhir.put(level(320))
    assert site.notify(body) == 200
    site.work()
    (task,) = site.tasks()
    assert "320 ng/mL" in task["description"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_criteria_rest_hook_may_address_the_resource(site: Site, method: str) -> None:
    stored = site.fhir.put(level(320))
    assert site.notify(stored, path="/Observation/level-1", method=method) == 200
    site.work()
    assert len(site.tasks()) == 1


def test_the_content_of_a_notification_is_never_believed(site: Site) -> None:
    site.fhir.put(level(1500))
    assert site.notify(level(10)) == 200
    site.work()
    assert not any("10 ng/mL" in card["summary"] for card in site.inbox())


def test_the_same_notification_twice_says_nothing_twice(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    assert site.notify(backport(KIND, (1, "Observation/level-1"))) == 200
    assert site.work() == 0
    assert len(site.fhir.of("Task")) == 1


def test_the_same_version_under_another_event_is_not_assessed_again(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    site.notify(backport(KIND, (2, "Observation/level-1")))
    site.work()
    assert [row.state for row in site.rows(kind="patient")] == ["done"]
    assert len(site.services.store.recent_decisions()) == 1


def test_several_levels_at_once_give_one_alert_for_the_state_they_end_in(site: Site) -> None:
    for number, value in enumerate((900.0, 500.0, 320.0), start=1):
        file(site, number, level(value, name=f"level-{number}", days_ago=10.0 - number))
    site.work()
    assert len(site.services.store.recent_decisions()) == 1
    assert set(site.fhir.identifiers("Task").values()) == {1}
    assert site.tasks("cancelled") == []
    assert "Observation/level-3" in [task["focus"]["reference"] for task in site.tasks()]


def test_an_unchanged_state_is_not_said_again(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    file(site, 2, level(320, issued="2026-11-23T08:59:00Z"))
    site.work()
    assert len(site.services.store.recent_decisions()) == 2
    assert len(site.fhir.of("Task")) == 1


def test_an_amended_level_supersedes_what_was_said(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    file(site, 2, level(420, status="amended"))
    site.work()
    (old,) = site.tasks("cancelled")
    (new,) = site.tasks()
    assert "320 ng/mL" in old["description"]
    assert "superseded" in old["statusReason"]["text"]
    assert "420 ng/mL" in new["description"]


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_a_withdrawn_level_withdraws_what_was_said(site: Site, status: str) -> None:
    file(site, 1, level(320))
    site.work()
    file(site, 2, level(320, status=status))
    site.work()
    assert site.tasks() == []
    assert len(site.tasks("cancelled")) == 1
    assert not any("320" in card["summary"] for card in site.inbox())


def test_a_deleted_level_withdraws_what_was_said(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    del site.fhir.resources["Observation/level-1"]
    site.notify(backport(KIND, (2, "Observation/level-1")))
    site.work()
    assert site.tasks() == []


def test_a_criteria_rest_hook_may_tell_of_a_deletion(site: Site) -> None:
    site.fhir.put(level(320))
    assert site.notify(path="/Observation/level-1", method="PUT") == 200
    site.work()
    del site.fhir.resources["Observation/level-1"]
    assert site.notify(path="/Observation/level-1", method="DELETE") == 200
    site.work()
    assert (len(site.tasks()), len(site.tasks("cancelled"))) == (0, 1)


def test_a_state_that_comes_back_is_said_again(site: Site) -> None:
    for number, value in enumerate((320, 420, 320), start=1):
        file(site, number, level(value))
        site.work()
    assert len(site.tasks("cancelled")) == 2
    (task,) = site.tasks()
    assert "320 ng/mL" in task["description"]


def test_a_task_that_somebody_took_up_is_left_alone(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    (task,) = site.tasks()
    site.fhir.put({**task, "status": "completed"})
    file(site, 2, level(420, status="amended"))
    site.work()
    assert len(site.tasks("completed")) == 1
    assert len(site.tasks()) == 1


def test_a_preliminary_level_waits_for_the_final_one(site: Site) -> None:
    file(site, 1, level(320, status="preliminary"))
    site.work()
    assert site.services.store.recent_decisions() == []
    file(site, 2, level(330))
    site.work()
    (task,) = site.tasks()
    assert "330 ng/mL" in task["description"]


def test_a_preliminary_level_may_be_assessed_and_is_marked(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(preliminary="mark")))
    file(site, 1, level(320, status="preliminary"))
    site.work()
    assert any("preliminary" in card.get("detail", "") for card in site.inbox())


def test_an_unreadable_unit_is_a_question_and_not_a_failure(site: Site) -> None:
    file(site, 1, level(320, valueQuantity=quantity(320, "furlong")))
    site.work()
    assert [row.state for row in site.rows()] == ["done"] * len(site.rows())
    (task,) = site.tasks()
    assert "furlong" in task["note"][0]["text"]


def test_a_result_that_is_no_level_of_the_drug_does_nothing(site: Site) -> None:
    sodium = {"coding": [{"system": "http://loinc.org", "code": "2951-2"}], "text": "Sodium"}
    file(site, 1, level(140, code=sodium))
    site.work()
    assert site.services.store.recent_decisions() == []
    assert site.fhir.of("Task") == []


def test_a_level_without_a_patient_is_put_before_an_operator(site: Site) -> None:
    file(site, 1, level(320, subject={}))
    site.work()
    (row,) = site.rows(state="dead")
    assert row.problem == "subject-missing"


def test_a_level_of_a_patient_elsewhere_is_put_before_an_operator(site: Site) -> None:
    file(site, 1, level(320, subject={"reference": "https://elsewhere.org/fhir/Patient/p1"}))
    site.work()
    assert [row.problem for row in site.rows(state="dead")] == ["subject-elsewhere"]


def test_a_diagnostic_report_leads_to_its_results(site: Site) -> None:
    site.fhir.put(level(320))
    site.fhir.put(
        {
            "resourceType": "DiagnosticReport",
            "id": "report",
            "result": [{"reference": "Observation/level-1"}],
        }
    )
    site.notify(backport(KIND, (1, "DiagnosticReport/report")))
    site.work()
    assert len(site.tasks()) == 1


def test_a_search_that_lags_behind_does_not_hide_the_new_level(site: Site) -> None:
    site.fhir.unsearchable.add("Observation/level-1")
    file(site, 1, level(320))
    site.work()
    (task,) = site.tasks()
    assert "320 ng/mL" in task["description"]


def test_two_patients_are_told_apart(site: Site) -> None:
    patient_on_imatinib(site.fhir, "p2")
    file(site, 1, level(320))
    file(site, 2, level(330, name="level-2", patient="p2"))
    site.work()
    said = {task["for"]["reference"]: task["description"] for task in site.tasks()}
    assert "320 ng/mL" in said["Patient/p1"]
    assert "330 ng/mL" in said["Patient/p2"]


def test_every_resource_that_is_switched_on_is_written_once(make_site: MakeSite) -> None:
    kinds = (
        "task",
        "detected-issue",
        "communication",
        "risk-assessment",
        "guidance-response",
        "flag",
    )
    site = make_site(alert_settings(north(deliver=kinds)))
    file(site, 1, level(320))
    site.work()
    for kind in (
        "Task",
        "DetectedIssue",
        "Communication",
        "RiskAssessment",
        "GuidanceResponse",
        "Flag",
    ):
        assert list(site.fhir.identifiers(kind).values()) == [1], kind
    (risk,) = site.fhir.of("RiskAssessment")
    assert 0.5 < risk["prediction"][0]["probabilityDecimal"] <= 1.0


def test_every_written_resource_is_valid_fhir(make_site: MakeSite) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    kinds = ("task", "detected-issue", "communication", "risk-assessment", "flag")
    site = make_site(
        alert_settings(north(deliver=(*kinds, "guidance-response"), owner="Organization/pharmacy"))
    )
    file(site, 1, level(320))
    site.work()
    file(site, 2, level(420, status="amended"))
    site.work()
    written = [resource for name, resource in site.fhir.resources.items() if "made-" in name]
    assert len(written) == 12
    for resource in written:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_milder_alerts_than_wanted_stay_in_the_inbox(make_site: MakeSite) -> None:
    site = make_site(alert_settings(north(least="critical")))
    file(site, 1, level(320))
    site.work()
    assert len(site.inbox()) == 1
    assert site.fhir.of("Task") == []


def test_the_ledger_keeps_the_decision_of_the_alert(site: Site) -> None:
    file(site, 1, level(320))
    site.work()
    (decision,) = site.services.store.recent_decisions()
    assert decision["hook"] == "new-level"
    assert decision["client"] == "north"
    stored = site.services.store.decision(str(decision["evaluation"]))
    assert stored is not None
    assert stored.body is not None
    assert stored.body["response"]["cards"][0]["uuid"] == site.inbox()[0]["uuid"]


def test_the_next_hook_shows_the_same_card(site: Site) -> None:
    from msgspec.structs import replace

    from cds.clinical.setting import Occasion
    from cds.services.decide import EvaluationInput, decide

    file(site, 1, level(320))
    site.work()
    (recent,) = site.services.store.recent_decisions()
    stored = site.services.store.decision(str(recent["evaluation"]))
    assert stored is not None
    assert stored.body is not None
    given = EvaluationInput.from_json(stored.body["input"])
    view = replace(given, setting=replace(given.setting, occasion=Occasion.PATIENT_VIEW))
    shown = decide(view, site.services.knowledge)
    assert site.inbox()[0]["uuid"] in [card.uuid for card in shown.cards.cards]


def test_what_a_clinician_answered_in_a_hook_is_not_raised_again(site: Site) -> None:
    from cds.store import FeedbackEntry

    file(site, 1, level(320))
    site.work()
    card = site.inbox()[0]["uuid"]
    answer = FeedbackEntry(card, "overridden", site.clock.now())
    site.services.store.add_feedback("north", "tdm-patient-view", [answer], site.clock.now())
    file(site, 2, level(320, issued="2026-11-23T08:59:00Z"))
    site.work()
    assert len(site.fhir.of("Task")) == 1
    assert len(site.tasks()) == 1


def test_a_level_by_a_local_code_that_names_the_drug_is_asked_about(site: Site) -> None:
    local = {"coding": [{"system": "urn:lab", "code": "IMA"}], "text": "Imatinib trough"}
    assert local["coding"] != [LEVEL_CODE]
    file(site, 1, level(320, code=local))
    site.work()
    assert any("looks like a level" in card.get("detail", "") for card in site.inbox())


def test_what_was_put_aside_on_the_worklist_speaks_again_when_the_state_changes(
    site: Site,
) -> None:
    store = site.services.store
    inbox = StoredInbox(site.alerts.queue.database, store.cipher)

    def listed() -> list[State]:
        alerts = inbox.standing("north")
        acts = acts_on(store, alerts, None)
        return [entry.state for entry in entries(alerts, acts, site.clock.now())]

    file(site, 1, level(320))
    site.work()
    (alert,) = inbox.standing("north")
    day = site.clock.now() + timedelta(days=7)
    store.record_act(Act(alert.episode, "snooze", site.clock.now(), "Practitioner/7", until=day))
    assert listed() == [State.SNOOZED]

    file(site, 2, level(320))
    site.work()
    assert listed() == [State.SNOOZED]  # the same state again is no news

    file(site, 3, level(260, status="amended"))
    site.work()
    assert listed() == [State.OPEN]
    (changed,) = inbox.standing("north")
    assert changed.episode.number == alert.episode.number + 1
    assert patient_of(store, changed) == Named("Patient p1", "1970-01-01")
