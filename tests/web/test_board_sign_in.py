"""Who sees the safety board where people sign in from an EHR."""

from __future__ import annotations

import csv
import io
import re

import pytest

from cds.store import Count, Counted, FeedbackEntry, Kind, Panel, PanelRule
from tests.store.build import card_row, entry, finding
from tests.web.fakes import NOW
from tests.web.smart import BASE

RULE = "trough.cml-below-target"
PATHS = ("/board", f"/board/rules/{RULE}", "/board/figures.csv", "/board/weeks.csv",
         "/rules/changes", "/rules/history")  # fmt: skip


@pytest.fixture
def site(hospital):
    """A hospital in which two clients each have one answered card."""
    made = hospital(worklist_users=["Practitioner/pharmacist"])
    made.evaluation("p-1")
    (north,) = {row["client"] for row in made.services.store.recent_decisions()}
    counted = Counted(Panel.of([PanelRule(RULE, 1, "active")]), (Count(Kind.FIRED, RULE, 1),))
    for client, number in ((north, 1), ("south", 2)):
        uuid = f"{number:08d}-0000-4000-8000-000000000000"
        shown = card_row(uuid=uuid, findings=(finding(RULE, revision=1),))
        store = made.services.store
        store.record(entry(at=NOW, client=client, cards=(shown,), counted=counted))
        answer = FeedbackEntry(uuid, "overridden", NOW, comment=f"a word from client {number}")
        store.add_feedback(client, "tdm-orders", [answer], NOW)
    return made


def test_whoever_is_named_sees_the_figures_of_their_own_client_only(site):
    journey = site.journey()
    journey.sign_in(user="Practitioner/pharmacist")
    assert [journey.get(path).status_code for path in PATHS] == [200] * len(PATHS)
    file = journey.get("/board/figures.csv").text
    (row,) = (row for row in csv.DictReader(io.StringIO(file)) if row["overridden"] != "0")
    assert (row["rule"], row["overridden"]) == (RULE, "1")
    page = journey.get("/board").text
    code = re.search(r'name="form_code" value="([^"]+)"', page)[1]
    read = journey.browser.post("/board/comments", data={"form_code": code}, base_url=BASE)
    assert "a word from client 1" in read.text
    assert "a word from client 2" not in read.text


def test_a_launch_for_one_patient_shows_no_figures_of_all(site):
    journey = site.journey()
    journey.sign_in("p-1")
    answers = [journey.get(path) for path in PATHS]
    assert {answer.status_code for answer in answers} == {403}
    assert "worklist_users" in answers[0].text
    rule = journey.get(f"/rules/{RULE}")
    assert rule.status_code == 200
    assert "What it did in the last" not in rule.text


def test_strangers_see_nothing(site):
    journey = site.journey()
    for path in PATHS:
        assert journey.get(path).status_code in (401, 403)
    assert journey.browser.post(
        "/board/comments", data={"q": "word"}, base_url=BASE
    ).status_code in (401, 403)
