"""The safety board: figures that agree with the command line, signals, comments, files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cds.cli import main
from cds.demo.history import CLIENT, invent_history, invented_weeks
from cds.report import board as view
from cds.services import Services, build_services, open_store
from cds.services.clock import Clock
from cds.settings import ClientSettings, Settings
from cds.store import Count, Counted, FeedbackEntry, Kind, Panel, PanelRule, Store, Window
from cds.store.migrate import upgrade
from cds.web import create_app
from tests.report.test_pages import Page
from tests.store.build import CARD, card_row, entry, finding
from tests.web.tokens import registration

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
RULE = "trough.cml-below-target"
REASON = ("http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes", "need-more-info")
PANEL = Panel.of([PanelRule(RULE, 1, "active"), PanelRule("trough.in-range", 1, "active")])


@pytest.fixture
def site(tmp_path, knowledge) -> Iterator[Services]:
    """A service whose ledger holds half a year: the rule fires in a fifth, then never again."""
    settings = Settings(data_dir=tmp_path, deadline_s=10)
    store = open_store(settings)
    upgrade(store.database)
    _fill(store)
    yield build_services(settings, store=store, knowledge=knowledge, clock=Clock(lambda: NOW))
    store.database.close()


def _fill(store: Store) -> None:
    decisions = []
    for week in range(30):
        for number in range(20):
            fires = week < 24 and number % 5 == 0
            counts = (Count(Kind.FIRED, RULE, 1),) if fires else ()
            uuid = f"{week:08d}-0000-4000-8000-{number:012d}"
            cards = (card_row(uuid=uuid, findings=(finding(RULE, revision=1),)),)
            decisions.append(
                entry(
                    at=NOW - timedelta(weeks=29 - week, minutes=number),
                    client="north",
                    counted=Counted(PANEL, counts),
                    cards=cards if fires else (),
                )
            )
    store.record_all(decisions)
    for week, (outcome, comment) in enumerate(
        [("overridden", "Mrs Test comes back on Monday"), ("accepted", None)], start=10
    ):
        overridden = outcome == "overridden"
        answer = FeedbackEntry(
            card=f"{week:08d}-0000-4000-8000-{0:012d}",
            outcome=outcome,
            outcome_at=NOW,
            suggestions=() if overridden else (CARD,),
            reason_system=REASON[0] if overridden else None,
            reason_code=REASON[1] if overridden else None,
            comment=comment,
        )
        store.add_feedback("north", "tdm-orders", [answer], NOW)


@pytest.fixture
def reader(site: Services) -> FlaskClient:
    client = create_app(site).test_client()
    client.environ_base["HTTP_ACCEPT"] = "text/html"
    return client


def test_the_board_and_the_command_line_tell_the_same_figures(reader, site, monkeypatch):
    monkeypatch.setenv("IMATINIB_TDM_DATA_DIR", str(site.settings.data_dir))
    shown = view.window(26, NOW.date())
    told = CliRunner().invoke(
        main, ["feedback", "figures", "--json", "--since", shown.first.isoformat()]
    )
    assert told.exit_code == 0, told.output
    by_command = {(r["rule"], r["revision"]): r for r in json.loads(told.output)}
    file = reader.get("/board/figures.csv?weeks=26").text
    by_board = {(r["rule"], int(r["revision"])): r for r in csv.DictReader(io.StringIO(file))}
    assert by_command.keys() == by_board.keys() != set()
    for key, row in by_command.items():
        for name in ("evaluated", "fired", "undecided", "shown", "accepted", "overridden"):
            assert row[name] == int(by_board[key][name])
    counted = by_command[RULE, 1]
    assert (counted["evaluated"], counted["fired"], counted["shown"]) == (520, 80, 80)
    assert (counted["accepted"], counted["overridden"]) == (1, 1)


def test_a_rule_that_fell_silent_stands_out(reader):
    text = reader.get("/board").text
    assert "has not fired since the week of" in text
    assert "0 of 120 decisions" in text
    assert "Low trough in CML with an unsatisfactory response, doses taken" in text


def test_a_board_without_decisions_says_so(browser):
    text = browser.get("/board?weeks=4").text
    assert "What stands out" in text
    assert "Split by age or sex: not shown" in text


@pytest.mark.parametrize("path", ["/board", f"/board/rules/{RULE}", "/board?weeks=52&group=trough"])
def test_pages_carry_no_script_no_inline_style_and_load_only_their_own(reader, path):
    answer = reader.get(path)
    assert answer.status_code == 200
    read = Page(answer.text)
    assert read.active == []
    assert len(read.ids) == len(set(read.ids))
    assert all(a.startswith(("/", "#")) for a in read.addresses)


def test_a_rule_has_figures_by_revision_reasons_and_a_control_chart(reader):
    text = reader.get(f"/board/rules/{RULE}").text
    for words in ("Will monitor", "not answered", "The weeks as numbers", "Look at this"):
        assert words in text
    picture = reader.get(f"/board/rules/{RULE}/fired.svg")
    assert picture.mimetype == "image/svg+xml"
    assert "what chance explains" in picture.text
    assert "fired, per 100 asked" in picture.text
    assert "style=" not in picture.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/board?weeks=3", 400), ("/board?weeks=x", 400), ("/board/rules/none.such", 404),
     ("/board/rules/none.such/fired.svg", 404), (f"/board/rules/{RULE}/undecided.svg", 404)],
)  # fmt: skip
def test_what_is_not_there_is_refused_in_words(reader, path, status):
    answer = reader.get(path)
    assert answer.status_code == status
    assert "Not shown" in answer.text


@pytest.fixture
def ask(reader):
    """Send the form of the page."""
    code = re.search(r'name="form_code" value="([^"]+)"', reader.get("/board").text)

    def send(**fields: str):
        return reader.post("/board/comments", data={"form_code": code[1], **fields})

    return send


def test_comments_are_found_by_their_words_and_never_by_address(reader, ask):
    found = ask(q="monday MRS", weeks="26")
    assert "Mrs Test comes back on Monday" in found.text
    assert "1 of 1 comments hold these words" in found.text
    assert "0 of 1" in ask(q="tuesday").text
    assert "0 of 1" in ask(rule="trough.in-range").text
    assert reader.get("/board/comments?q=monday").status_code == 405


def test_comments_stand_on_no_other_page_and_in_no_file(reader):
    for path in ("/board", f"/board/rules/{RULE}", "/board/figures.csv", "/board/weeks.csv"):
        assert "Mrs Test" not in reader.get(path).text


def test_a_form_of_a_foreign_page_reads_no_comments(reader):
    answer = reader.post(
        "/board/comments", data={"q": ""}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert reader.post("/board/comments", data={"q": ""}).status_code == 403


def test_where_clients_are_registered_the_board_asks_for_a_sign_in(site, knowledge):
    settings = site.settings.model_copy(
        update={"clients": (ClientSettings.model_validate(registration()),)}
    )
    closed = create_app(build_services(settings, store=site.store, knowledge=knowledge))
    for path in ("/board", f"/board/rules/{RULE}", "/board/figures.csv", "/board/weeks.csv"):
        assert closed.test_client().get(path).status_code in (401, 403)
    assert closed.test_client().post("/board/comments").status_code in (401, 403)


def test_weeks_are_exported_as_the_charts_count_them(reader):
    rows = list(csv.DictReader(io.StringIO(reader.get("/board/weeks.csv?weeks=26").text)))
    assert sum(int(row["fired"]) for row in rows if row["rule"] == RULE) == 80
    assert rows[0]["week_begins"] == view.window(26, NOW.date()).first.isoformat()


def test_text_of_the_record_becomes_no_formula_in_a_spreadsheet(site):
    site.store.record(
        entry(at=NOW, client="north", cards=(card_row(findings=(finding("=cmd()"),)),))
    )
    shown = view.window(4, NOW.date())
    rulebook = site.knowledge.rulebook
    laid_out = view.board(site.store.figures(shown), [], shown, rulebook)
    assert "'=cmd()" in view.as_csv(laid_out)


def test_an_invented_past_is_named_as_such_and_the_same_for_the_same_seed(site, evaluation):
    patterns = [e for e in site.store.bare_decisions() if e.counted.panel]
    one, two = (list(invented_weeks(patterns, [REASON], NOW, seed=3)) for _ in range(2))
    assert one == two
    assert all(d.client == CLIENT and d.body is None for week in one for d in week.decisions)
    count = invent_history(site.store, [REASON], NOW)
    text = create_app(site).test_client().get("/board", headers={"Accept": "text/html"}).text
    assert "Invented past." in text
    assert count > 1000


def test_numbers_are_counted_once_per_decision_in_the_totals(site):
    shown = Window.always()
    figures = site.store.figures(shown)
    totals = view.board(figures, [], shown, site.knowledge.rulebook).totals
    assert totals.fired == 96
    assert totals.evaluated == 2 * 600
