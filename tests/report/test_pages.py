"""The pages over HTTP: who may see them, what they carry, and how they refuse."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from cds.services import build_services, open_store
from cds.settings import ClientSettings, Settings
from cds.store.migrate import upgrade
from cds.web import create_app
from tests.report.conftest import evaluation_of, example
from tests.web.tokens import registration

UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Page(HTMLParser):
    """Addresses, ids and suspicious attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.active: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "srcset", "href", "action"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "style" or name.startswith("on") or tag in ("script", "style", "iframe"):
                self.active.append(f"{tag} {name}")


@pytest.fixture
def page(browser, evaluation):
    def get(name: str, query: str = "") -> str:
        answer = browser.get(f"/evaluations/{evaluation(name)}{query}")
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "text/html"
        return answer.text

    return get


@pytest.mark.parametrize(
    "name",
    ["cml-low-trough", "child-body-surface", "duplicate-orders", "inducer-stopped", "neutropenia",
     "rifampicin-order.order-sign", "level-unit-unreadable", "at-target-silent"],
)  # fmt: skip
def test_every_story_has_a_report_without_scripts_or_inline_styles(page, name):
    read = Page(page(name))
    assert read.active == []
    assert len(read.ids) == len(set(read.ids))
    inside = [a for a in read.addresses if not a.startswith("#")]
    loaded = [a for a in inside if not a.startswith(("/", "https://"))]
    assert loaded == []


def test_a_page_forbids_scripts_and_loads_nothing_from_elsewhere(browser, evaluation):
    answer = browser.get(f"/evaluations/{evaluation('cml-low-trough')}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_report_says_what_it_rests_on(page):
    text = page("cml-low-trough")
    for words in ("widmer-2006", "trough.cml-below-target", "No person has signed this report",
                  "not verified at the source", "level-salt-named"):  # fmt: skip
        assert words in text
    assert "ex-anders" not in re.sub(r"MedicationRequest/\S+|Observation/\S+", "", text)


def test_every_picture_and_file_of_a_report_is_there(browser, page):
    read = Page(page("cml-low-trough"))
    wanted = [a for a in read.addresses if ".svg" in a or a.endswith((".json", ".csv"))]
    assert len([a for a in wanted if "/evaluations/" in a]) == 11
    for address in wanted:
        with browser.get(address) as answer:
            assert answer.status_code == 200, address


def test_a_what_if_is_marked_changes_the_numbers_and_is_not_stored(page, services):
    before = len(services.store.recent_decisions(1000))
    text = page("cml-low-trough", "?dose=600&every=24&leave-out=1&reason=assay&sample=4")
    assert "not the patient's record, and not stored" in text.replace("&#39;", "'")
    assert "the assay or the specimen is doubtful" in text
    assert "As recorded" in text
    assert len(services.store.recent_decisions(1000)) == before
    assert "not stored" not in page("cml-low-trough")


@pytest.mark.parametrize(
    "query", ["dose=0", "leave-out=99", "sample=-1", "reason=%3Cb%3E", "dose=x"]
)
def test_a_question_that_makes_no_sense_is_refused_in_words(browser, evaluation, query):
    answer = browser.get(f"/evaluations/{evaluation('cml-low-trough')}?{query}")
    assert answer.status_code == 400
    assert answer.mimetype == "text/html"


def test_programs_get_the_recorded_decision_as_json(browser, evaluation):
    address = f"/evaluations/{evaluation('cml-low-trough')}"
    answer = browser.get(address, headers={"Accept": "application/json"})
    assert answer.get_json()["decision"]["exposure"]["model_id"] == "widmer-2006"


@pytest.mark.parametrize("path", [UNKNOWN, "x", f"{UNKNOWN}/level.svg", f"{UNKNOWN}/report.csv"])
def test_what_is_not_there_is_a_page_of_404(browser, path):
    answer = browser.get(f"/evaluations/{path}")
    assert answer.status_code == 404
    assert "There is no such evaluation" in answer.text


def test_a_picture_that_does_not_exist_is_404(browser, evaluation):
    assert browser.get(f"/evaluations/{evaluation('cml-low-trough')}/x.svg").status_code == 404
    assert browser.get(f"/evaluations/{evaluation('neutropenia')}/course.svg").status_code == 404


def test_strangers_and_foreign_names_see_no_report(browser, evaluation):
    address = f"/evaluations/{evaluation('cml-low-trough')}"
    assert browser.get(address, headers={"Host": "evil.example.org"}).status_code == 403
    stranger = {"REMOTE_ADDR": "192.0.2.7"}
    for path in ("", "/level.svg", "/report.json", "/diagnostic-report.json"):
        assert browser.get(address + path, environ_base=stranger).status_code == 403
    assert browser.get("/rules", environ_base=stranger).status_code == 403


def test_where_clients_are_registered_no_report_is_shown_without_sign_in(tmp_path, knowledge):
    client = ClientSettings.model_validate(registration())
    settings = Settings(data_dir=tmp_path, clients=(client,))
    store = open_store(settings)
    upgrade(store.database)
    app = create_app(build_services(settings, store=store, knowledge=knowledge))
    for path in ("", "/level.svg", "/report.csv", "/diagnostic-report.json"):
        assert app.test_client().get(f"/evaluations/{UNKNOWN}{path}").status_code == 403
    store.database.close()


def test_content_past_its_retention_is_not_shown_even_right_after(
    browser, evaluation, services, monkeypatch
):
    known = evaluation("cml-low-trough")
    assert browser.get(f"/evaluations/{known}").status_code == 200
    forgotten = replace(services.store.decision(known), body=None)
    monkeypatch.setattr(services.store, "decision", lambda _: forgotten)
    answer = browser.get(f"/evaluations/{known}")
    assert answer.status_code == 410
    assert "past its retention" in answer.text


def test_a_decision_that_comes_out_differently_now_says_so(
    browser, evaluation, services, monkeypatch
):
    known = evaluation("gist-gastrectomy")
    stored = services.store.decision(known)
    body = {**stored.body, "response": {"cards": []}}
    monkeypatch.setattr(services.store, "decision", lambda _: replace(stored, body=body))
    assert "Recomputed differently" in browser.get(f"/evaluations/{known}").text


def test_markup_in_the_record_stays_text(browser, services, stories):
    request = json.loads(json.dumps(example(stories, "rifampicin-order").request))
    order = request["context"]["draftOrders"]["entry"][0]["resource"]
    order["medicationCodeableConcept"]["text"] = '<img src=x onerror="alert(1)">'
    request["hookInstance"] = "7b7c6d7e-2f0f-4f7c-9a53-3b7f0a0a6a01"
    browser.post("/cds-services/tdm-orders", json=request)
    known = evaluation_of(services, request["hookInstance"])
    text = browser.get(f"/evaluations/{known}").text
    assert "<img src=x" not in text
    assert Page(text).active == []


def test_the_rules_are_found_by_words_group_and_status(browser):
    text = browser.get("/rules?q=rifampicin").text
    assert 'href="/rules/interactions.inducer-stopped"' in text
    assert "trough.in-range" not in text
    assert "no rule has been signed by a clinician yet" in text


def test_search_words_are_escaped(browser):
    text = browser.get("/rules?q=%22%3E%3Cscript%3E").text
    assert "<script" not in text
    assert "0 rules found" in text


def test_a_rule_page_says_that_nobody_has_signed_it(browser):
    text = browser.get("/rules/trough.cml-below-target").text
    assert "No clinician has approved this rule yet" in text
    assert "rules/trough/cml-below-target.yaml" in text
    assert "undecided: level.trough_ng_ml" in text


def test_programs_get_rules_as_text(browser):
    answer = browser.get("/rules/trough.cml-below-target", headers={"Accept": "text/plain"})
    assert answer.mimetype == "text/plain"
    assert browser.get("/rules/trough.cml-below-target.md").mimetype == "text/plain"
    assert browser.get("/rules", headers={"Accept": "text/plain"}).mimetype == "text/plain"


def test_a_rule_that_is_not_there_is_a_page_of_404(browser):
    answer = browser.get("/rules/no.such-rule")
    assert answer.status_code == 404
    assert "There is no rule with this id" in answer.text
