"""A new level, from the notification to the worklist."""

from __future__ import annotations

from tests.alerts.build import backport, level, r5
from tests.alerts.conftest import Site


def test_a_new_level_becomes_a_task_for_the_worklist(site: Site) -> None:
    site.fhir.put(level(320))
    assert site.notify(backport("event-notification", (1, "Observation/level-1"))) == 200
    site.work()
    (task,) = site.tasks()
    assert task["for"] == {"reference": "Patient/p1"}
    assert task["focus"] == {"reference": "Observation/level-1"}
    assert "320 ng/mL" in task["description"]
    assert task["priority"] == "urgent"


def test_the_r5_shape_says_the_same(site: Site) -> None:
    site.fhir.put(level(320))
    assert site.notify(r5((1, "Observation/level-1"))) == 200
    site.work()
    assert len(site.tasks()) == 1
