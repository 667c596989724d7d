"""What an edit would change, in the browser: the same as `imatinib-tdm rules diff`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cds import content
from cds.cli import main
from cds.report.rule_changes import notes
from cds.services import Services, build_services, open_store
from cds.services.clock import Clock
from cds.services.knowledge import LiveKnowledge
from cds.services.warmup import warm_up
from cds.settings import ClientSettings, Settings
from cds.store import Count, Counted, Kind, Panel, PanelRule
from cds.store.migrate import upgrade
from cds.web import create_app
from tests.report.conftest import NOW
from tests.report.test_pages import Page
from tests.store.build import entry
from tests.web.test_tokens import registration

RULE = "trough.cml-below-target"
EDITED = "trough/cml-below-target.yaml"


@pytest.fixture(scope="module")
def directories(tmp_path_factory) -> tuple[Path, Path]:
    """Rules that serve, and a draft in which one rule has become critical."""
    base = tmp_path_factory.mktemp("rulebooks")
    serving, draft = base / "rules", base / "draft"
    for copy in (serving, draft):
        shutil.copytree(content.rules_dir(), copy)
    file = draft / EDITED
    file.write_text(file.read_text().replace("severity: warning", "severity: critical"))
    return serving, draft


@pytest.fixture(scope="module")
def site(directories, tmp_path_factory) -> Iterator[Services]:
    serving, draft = directories
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), deadline_s=10, rules=serving, rules_draft=draft
    )
    store = open_store(settings)
    upgrade(store.database)
    # An edit is accepted only for a rule that is in effect.
    live = LiveKnowledge(settings, lambda: NOW + timedelta(days=30))
    services = build_services(settings, store=store, knowledge=live, clock=Clock(lambda: NOW))
    warm_up(services.knowledge, NOW)
    yield services
    services.close()


@pytest.fixture(scope="module")
def reader(site: Services) -> FlaskClient:
    client = create_app(site).test_client()
    client.environ_base["HTTP_ACCEPT"] = "text/html"
    return client


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_tells_what_the_command_tells(reader, directories):
    serving, draft = directories
    patients = content.examples_dir() / "patients"
    told = CliRunner().invoke(
        main, ["rules", "diff", str(serving), str(draft), "--patients", str(patients)]
    )
    assert told.exit_code == 0, told.output
    answer = reader.get("/rules/changes?new=draft")
    assert answer.status_code == 200
    read = plain(answer.text).replace("&#39;", "'")
    changed = [line for line in told.output.splitlines() if line.startswith("rule ")]
    assert f"rule {RULE}: severity: warning -> critical" in changed
    assert f"{len(changed)} changes" in read
    for line in changed:
        assert line.removeprefix(f"rule {RULE}: ").replace("->", "→") in read
    for line in told.output.splitlines():
        if line.startswith("    "):  # a finding as it would read
            assert line.strip() in read
    assert "cml low trough" in read
    assert Page(answer.text).active == []


def test_the_files_that_serve_differ_in_nothing(reader):
    assert "the same files" in reader.get("/rules/changes?new=files").text


def test_a_draft_that_cannot_be_read_is_told_with_its_place(reader, directories):
    file = directories[1] / EDITED
    sound = file.read_text()
    file.write_text(sound.replace("severity: critical", "severity: catastrophic"))
    try:
        read = plain(reader.get("/rules/changes?new=draft").text)
    finally:
        file.write_text(sound)
    assert "could not serve" in read
    assert EDITED in read


@pytest.mark.parametrize("query", ["new=0123abcd", "new=..%2F..%2Fetc", "old=none&new=files"])
def test_what_is_no_revision_here_is_refused(reader, query):
    assert reader.get(f"/rules/changes?{query}").status_code == 404


def test_an_edit_that_took_over_is_in_the_history_of_the_rulebook_and_of_its_rule(
    reader, site, directories
):
    first = site.knowledge.rulebook.revision
    file = directories[0] / EDITED
    sound = file.read_text()
    raised = int(re.search(r"(?m)^revision: (\d+)$", sound)[1]) + 1
    file.write_text(re.sub(r"(?m)^revision: \d+$", f"revision: {raised}", sound, count=1))
    for _ in range(2):  # an edit is taken when the directory has come to rest
        site.live.look()
    second = site.knowledge.rulebook.revision
    assert second != first
    link = f"/rules/changes?old={first}&amp;new={second}"
    assert link in reader.get("/rules/history").text
    assert link in reader.get(f"/rules/{RULE}").text
    assert link not in reader.get("/rules/trough.in-range").text
    read = plain(reader.get(link.replace("&amp;", "&")).text)
    assert f"revision: {raised - 1} → {raised}" in read
    file.write_text(sound)


def test_recorded_decisions_are_compared_only_when_asked_for(reader, site, stories):
    request = stories["cml-low-trough"].hooks[0].request
    service = next(s.id for s in site.catalogue if s.hook == request["hook"])
    assert reader.post(f"/cds-services/{service}", json=request).status_code == 200
    assert "Recorded decisions" not in reader.get("/rules/changes?new=draft").text
    read = plain(reader.get("/rules/changes?new=draft&recent=1").text)
    assert "1 of the newest 1 recorded decisions would have read differently" in read


def test_a_rule_that_is_tried_out_says_how_often_it_would_have_fired(reader, site):
    panel = Panel.of([PanelRule(RULE, 1, "shadow")])
    for count in ((Count(Kind.SHADOW, RULE, 1),), ()):
        site.store.record(entry(at=NOW, client="loopback", cards=(), counted=Counted(panel, count)))
    read = plain(reader.get(f"/rules/{RULE}").text)
    assert "would have fired in 1 while it was tried out" in read


def test_rules_are_found_by_source_and_by_the_words_of_a_citation(reader):
    rulebook_rules = reader.get("/rules?source=picard-2007").text
    assert RULE in rulebook_rules
    assert "interactions.antacid" not in rulebook_rules
    assert RULE in reader.get("/rules?q=picard").text


def test_where_clients_are_registered_changes_ask_for_a_sign_in_and_rules_stay_open(site):
    settings = site.settings.model_copy(
        update={"clients": (ClientSettings.model_validate(registration()),)}
    )
    closed = create_app(build_services(settings, store=site.store, knowledge=site.knowledge))
    client = closed.test_client()
    client.environ_base["HTTP_ACCEPT"] = "text/html"
    for path in ("/rules/changes", "/rules/history"):
        assert client.get(path).status_code in (401, 403)
    page = client.get(f"/rules/{RULE}")
    assert page.status_code == 200
    assert "What it did in the last" not in page.text


def test_html_in_the_log_of_reasons_stays_text():
    assert "<script>" not in notes("# T\n\n## One\n\n<script>alert(1)</script>")
