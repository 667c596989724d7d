"""The worklist: who sees which alert, what becomes of it, and that nothing is forgotten."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds.alerts.inbox import Alert, Change, Place, StoredInbox, write
from cds.alerts.tables import create_tables
from cds.services import Services
from cds.services.worklist import Named, named
from cds.store import Act
from cds.telemetry import configure_logging
from cds.web import create_app
from tests.store.build import entry
from tests.web.fakes import FakeClock
from tests.web.smart import HTML

LEVEL = Place("exposure")


class Ward:
    """A service whose inbox tests fill as the alerts do."""

    def __init__(self, services: Services, clock: FakeClock) -> None:
        self.services, self.clock = services, clock
        create_tables(services.store.database)
        services.inbox = StoredInbox(services.store.database, services.store.cipher)
        self.episodes: dict[Any, int] = {}

    def say(
        self, summary: str, severity: str = "warning", *, patient: str = "p-1",
        client: str = "north", place: Place = LEVEL, name: str = "Ada",
    ) -> str:  # fmt: skip
        """Raise an alert, or say in another state what was said in this place; its evaluation."""
        store, now = self.services.store, self.clock.now
        person = {"name": [{"family": name, "given": ["Test"]}], "birthDate": "1970-01-01"}
        given = {"patientId": patient, "resources": {"patient": person}}
        made = entry(client=client, patient=patient, at=now, cards=(), body={"input": given})
        store.record(made)
        key = (client, patient, place)
        self.episodes[key] = self.episodes.get(key, 0) + 1
        card = {"uuid": f"card-{self.episodes[key]}", "indicator": severity, "summary": summary}
        self._write([Change(place, self.episodes[key], Alert(place, card))], key, made.evaluation)
        return made.evaluation

    def withdraw(self, patient: str = "p-1", client: str = "north") -> None:
        """What was said no longer holds."""
        key = (client, patient, LEVEL)
        self._write([Change(LEVEL, self.episodes[key])], key, "0" * 36)

    def _write(self, changes: list[Change], key: Any, evaluation: str) -> None:
        store = self.services.store
        client, patient, _ = key
        with store.database.writing() as connection:
            patient_key = store.cipher.patient_key(client, patient)
            write(connection, store.cipher, client, patient_key, changes, evaluation,
                  self.clock.now)  # fmt: skip


@pytest.fixture
def ward(make_services: Callable[..., Services], clock: FakeClock) -> Ward:
    return Ward(make_services(time_zone="Europe/Zurich"), clock)


class Here:
    """Somebody who looks at the worklist and fills its forms in."""

    def __init__(self, browser: FlaskClient, base: str = "http://127.0.0.1:8000") -> None:
        self.browser, self.base = browser, base

    def look(self) -> str:
        answer = self.browser.get("/worklist", base_url=self.base, headers={"Accept": HTML})
        assert answer.status_code == 200, answer.text
        return answer.text

    def section(self, name: str) -> str:
        """One part of the list; empty when the page has none."""
        found = re.search(rf'<h2 id="{name}">.*?</section>', self.look(), re.DOTALL)
        return found[0] if found else ""

    def form(self, about: str) -> dict[str, str]:
        """The hidden fields of the forms of an alert."""
        article = next(a for a in self.look().split("<article")[1:] if about in a)
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', article))

    def send(self, form: dict[str, str], act: str, **fields: str) -> Any:
        return self.browser.post(
            "/worklist", base_url=self.base, data={**form, "act": act, **fields},
            headers={"Accept": HTML},
        )  # fmt: skip

    def do(self, about: str, act: str, **fields: str) -> Any:
        return self.send(self.form(about), act, **fields)


@pytest.fixture
def here(ward: Ward) -> Here:
    return Here(create_app(ward.services).test_client())


def test_the_most_urgent_comes_first_and_among_equals_the_oldest(ward: Ward, here: Here):
    ward.say("mild", "info", patient="p-1")
    ward.say("older warning", patient="p-2")
    ward.clock.pass_time(3 * 3600)
    ward.say("newer warning", patient="p-3")
    ward.say("urgent", "critical", patient="p-4")

    text = here.section("open")

    order = [text.index(word) for word in ("urgent", "older warning", "newer warning", "mild")]
    assert order == sorted(order)
    assert "3 h" in text
    assert 'Ada, Test, <span class="whole">born 1970-01-01</span>' in text


def test_an_alert_leads_to_its_report(ward: Ward, here: Here):
    evaluation = ward.say("low trough")
    assert f'href="/evaluations/{evaluation}"' in here.look()


def test_acknowledging_says_who_and_when_and_is_kept(ward: Ward, here: Here):
    ward.say("low trough")
    answer = here.do("low trough", "acknowledge", comment="called the ward <b>")

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/worklist?done=acknowledge#a-")
    assert "low trough" not in here.section("open")
    done = here.section("acknowledged")
    assert "by this machine" in done
    assert "2026-11-23 10:30" in done  # in the zone of the site
    assert "called the ward &lt;b&gt;" in done
    kept = ward.services.store.acts("north")
    assert [(act.kind, act.user, act.comment) for act in kept] == [
        ("acknowledge", "loopback", "called the ward <b>")
    ]


def test_a_snoozed_alert_comes_back_on_the_day_in_the_zone_of_the_site(ward: Ward, here: Here):
    ward.say("low trough")
    assert here.do("low trough", "snooze", until="2026-11-25").status_code == 303

    assert "Comes back on 2026-11-25" in here.section("snoozed")
    ward.clock.pass_time(timedelta(hours=37, minutes=29).total_seconds())  # 23:59 in Zurich
    assert "low trough" in here.section("snoozed")
    ward.clock.pass_time(60)
    assert "low trough" in here.section("open")


def test_a_changed_state_speaks_again_whatever_was_snoozed_or_acknowledged(ward: Ward, here: Here):
    ward.say("low trough")
    ward.say("a drug interacts", place=Place("interaction"))
    here.do("low trough", "snooze", until="2026-11-29")
    here.do("a drug interacts", "acknowledge")
    assert "Nothing is open" in here.section("open")

    ward.say("lower trough")

    text = here.section("open")
    assert "lower trough" in text
    assert "earlier state" in text
    assert "a drug interacts" not in text


def test_what_is_put_back_is_open_and_what_is_withdrawn_is_gone(ward: Ward, here: Here):
    ward.say("low trough")
    here.do("low trough", "acknowledge")
    here.do("low trough", "reopen")
    assert "low trough" in here.section("open")

    ward.withdraw()
    assert "low trough" not in here.look()


def test_a_comment_changes_nothing_else(ward: Ward, here: Here):
    ward.say("low trough")
    here.do("low trough", "snooze", until="2026-11-25")
    here.do("low trough", "comment", comment="patient is away")

    assert "patient is away" in here.section("snoozed")


def test_a_critical_alert_is_not_snoozed(ward: Ward, here: Here):
    ward.say("stop", "critical")
    assert "is not snoozed" in here.section("open")
    answer = here.do("stop", "snooze", until="2026-11-25")

    assert answer.status_code == 400
    assert "cannot be snoozed" in answer.text
    assert ward.services.store.acts("north") == []


@pytest.mark.parametrize(
    ("severity", "day"),
    [("warning", "2026-11-23"), ("warning", "2026-12-01"), ("info", "2026-12-08"), ("info", ""),
     ("info", "9999-12-31"), ("info", "tomorrow"), ("info", "<b>")],
)  # fmt: skip
def test_a_day_that_may_not_be_chosen_is_refused_in_words(
    ward: Ward, here: Here, severity: str, day: str
):
    ward.say("low trough", severity)
    answer = here.do("low trough", "snooze", until=day)

    assert answer.status_code == 400
    assert "Choose a day from 2026-11-24 to" in answer.text


@pytest.mark.parametrize(("severity", "day"), [("warning", "2026-11-30"), ("info", "2026-12-07")])
def test_the_longest_snooze_is_that_of_an_answered_card(ward: Ward, here: Here, severity, day):
    ward.say("low trough", severity)
    assert here.do("low trough", "snooze", until=day).status_code == 303


@pytest.mark.parametrize(
    ("act", "comment", "status"),
    [("comment", "  ", 400), ("comment", "x" * 1001, 400), ("delete", "x", 400), ("", "x", 400)],
)
def test_a_form_that_makes_no_sense_is_refused(ward: Ward, here: Here, act, comment, status):
    ward.say("low trough")
    assert here.do("low trough", act, comment=comment).status_code == status
    assert ward.services.store.acts("north") == []


def test_whoever_answers_an_alert_that_has_changed_is_told_to_look_again(ward: Ward, here: Here):
    ward.say("low trough")
    form = here.form("low trough")
    ward.say("lower trough")

    answer = here.send(form, "acknowledge")

    assert answer.status_code == 409
    assert "has changed" in answer.text
    assert "lower trough" in here.section("open")


def test_a_form_from_another_site_does_nothing(ward: Ward, here: Here):
    ward.say("low trough")
    form = here.form("low trough")

    assert here.send(form | {"form_code": "0" * 64}, "acknowledge").status_code == 403
    for origin in ("https://evil.example.org", "null"):
        answer = here.browser.post(
            "/worklist", base_url=here.base, data={**form, "act": "acknowledge"},
            headers={"Origin": origin},
        )  # fmt: skip
        assert answer.status_code == 403
    assert ward.services.store.acts("north") == []


def test_a_form_of_any_length_is_not_taken(client: FlaskClient):
    form = {"form_code": "0" * 64, "file": (io.BytesIO(b"x" * 100_000), "file")}

    answer = client.post("/worklist", data=form, content_type="multipart/form-data")

    assert answer.status_code == 413


def test_strangers_see_no_worklist(ward: Ward, here: Here):
    ward.say("low trough")
    for stranger in ({"REMOTE_ADDR": "192.0.2.7"}, {"HTTP_HOST": "evil.example.org"}):
        answer = here.browser.get("/worklist", environ_overrides=stranger)
        assert answer.status_code == 403


def test_without_alerts_the_page_says_how_to_get_them(client: FlaskClient):
    assert "Nobody tells this service" in Here(client).look()


def test_the_page_has_no_script_no_inline_style_and_one_name_for_each_thing(ward: Ward, here: Here):
    ward.say("low trough")
    ward.say("other", patient="p-2")
    text = here.look()

    assert not re.search(r"<script|<style| style=| on\w+=", text)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    labelled = set(re.findall(r'<label for="([^"]+)"', text))
    inputs = re.findall(r'<(?:textarea|input) id="([^"]+)"', text)
    assert set(inputs) == labelled
    assert "p-1" not in text  # neither the forms nor the addresses name a patient by id


@pytest.mark.parametrize(
    ("resource", "name", "born"),
    [
        ({"name": [{"family": "Muster", "given": ["Eva", "M"]}]}, "Muster, Eva M", None),
        ({"name": [{"text": "Eva Muster"}], "birthDate": "1970-02"}, "Eva Muster", "1970-02"),
        ({"name": []}, "Patient 7", None),
        ({"name": "x", "birthDate": 7}, "Patient 7", None),
        ({"name": [{"family": 7, "given": [None, "A"]}]}, "A", None),
        (None, "Patient 7", None),
    ],
)
def test_people_are_named_as_far_as_the_record_names_them(
    resource: Any, name: str, born: str | None
):
    assert named(resource, "7") == Named(name, born)


# After a launch from the EHR


def signed_in(site, patient: str = "p-1", **opened: Any) -> Here:
    journey = site.journey()
    assert journey.sign_in(patient, **opened).status_code == 303
    return Here(journey.browser, "https://tdm.example.org")


@pytest.fixture
def busy(hospital, clock: FakeClock):
    """A hospital with alerts of two patients, and one of another client."""
    site = hospital(worklist_users=["Practitioner/pharmacist"])
    site.evaluation("p-1")
    site.evaluation("p-2")
    ward = Ward(site.services, clock)
    ward.say("alert of p one", name="Ada")
    ward.say("alert of p two", patient="p-2", name="Bob")
    ward.say("alert elsewhere", client="south", name="Cleo")
    return site


def test_a_launch_shows_the_alerts_of_its_patient_only(busy):
    text = signed_in(busy).look()

    assert "alert of p one" in text
    assert "1 more of other patients" in text
    for hidden in ("alert of p two", "Bob", "elsewhere", "Cleo"):
        assert hidden not in text


def test_whoever_the_client_names_sees_all_of_its_patients_and_nobody_elses(busy):
    text = signed_in(busy, user="Practitioner/pharmacist").look()

    assert "alert of p one" in text
    assert "Bob, Test" in text
    assert "elsewhere" not in text
    assert "more of other patients" not in text


def test_nobody_acts_on_an_alert_they_do_not_see(busy):
    pharmacist = signed_in(busy, user="Practitioner/pharmacist")
    doctor = signed_in(busy)
    own = doctor.form("alert of p one")
    other = pharmacist.form("alert of p two")

    answer = doctor.send(own | {"alert": other["alert"]}, "acknowledge")

    assert answer.status_code == 409
    assert doctor.send(own | {"form_code": other["form_code"]}, "acknowledge").status_code == 403
    assert busy.services.store.acts("north") == []


def test_what_one_did_the_other_sees_with_the_name(busy):
    signed_in(busy).do("alert of p one", "acknowledge", comment="dose raised")

    text = signed_in(busy, user="Practitioner/pharmacist").section("acknowledged")

    assert "by Practitioner/dr-demo" in text
    assert "dose raised" in text


def test_a_menu_without_a_patient_opens_the_worklist_for_whom_it_is_meant(busy):
    arrived = busy.journey().sign_in(None, user="Practitioner/pharmacist")
    assert arrived.headers["Location"] == "/worklist"


def test_without_a_sign_in_there_is_no_worklist(busy):
    journey = busy.journey()
    assert journey.get("/worklist").status_code == 403
    assert journey.post("/worklist", act="acknowledge").status_code == 403


def test_names_and_comments_stand_in_no_log_and_only_encrypted_in_the_tables(
    ward: Ward, here: Here, monkeypatch
):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(json_lines=True)
    ward.say("canary-summary", patient="canary-id", name="canary-name")
    here.do("canary-summary", "acknowledge", comment="canary-comment")
    here.look()

    with ward.services.store.database.reading() as connection:
        dump = "\n".join(connection.connection.iterdump())
    assert "alert-acknowledge" in stream.getvalue()
    assert "canary" not in stream.getvalue() + dump


def test_acts_are_values_of_one_episode(ward: Ward, here: Here):
    ward.say("low trough")
    here.do("low trough", "acknowledge")
    [act] = ward.services.store.acts("north")
    [alert] = ward.services.inbox.standing("north")  # type: ignore[union-attr]

    assert isinstance(act, Act)
    assert act.episode == alert.episode
