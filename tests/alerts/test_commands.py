"""The commands an operator uses, and the file that registers servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds.alerts.settings import load_alert_settings, read_alert_settings
from cds.cli import main
from cds.settings import Settings, SettingsError
from tests.alerts.build import BEARER, ENDPOINT, backport, level
from tests.alerts.conftest import MakeSite, Site

ALERTS = """
servers:
  - id: north
    fhir_base: https://fhir.example.org/r4/
    endpoint: n0rth-endpoint-4711
    secret_file: north.secret
    deliver: [task, flag]
    patient_identifier_system: urn:mrn
    backend:
      client_id: tdm
      token_url: https://auth.example.org/token
      key_file: north.pem
      key_id: k1
mllp: {server: north}
"""


@pytest.fixture
def broken(site: Site) -> Site:
    """A site with one piece of work that was given up."""
    site.fhir.put(level(320, subject={}))
    site.notify(backport("event-notification", (1, "Observation/level-1")))
    site.work()
    return site


def run(data_dir: Path, *arguments: str) -> Result:
    environment = {"IMATINIB_TDM_DATA_DIR": str(data_dir)}
    return CliRunner().invoke(main, arguments, env=environment)


def test_list_shows_what_was_given_up_and_fails_for_a_monitor(broken: Site, data_dir: Path) -> None:
    result = run(data_dir, "alerts", "list")
    assert result.exit_code == 1
    assert "dead" in result.output
    assert "subject-missing" in result.output


def test_list_says_when_all_is_well(site: Site, data_dir: Path) -> None:
    result = run(data_dir, "alerts", "list")
    assert (result.exit_code, result.output) == (0, "nothing waits and nothing failed\n")


def test_show_names_the_resource(broken: Site, data_dir: Path) -> None:
    (row,) = broken.rows(state="dead")
    result = run(data_dir, "alerts", "show", str(row.id))
    assert result.exit_code == 0
    assert "Observation/level-1" in result.output


@pytest.mark.parametrize("how", ["by number", "all"])
def test_retry_does_it_once_the_cause_is_mended(broken: Site, data_dir: Path, how: str) -> None:
    (row,) = broken.rows(state="dead")
    broken.fhir.put(level(320))
    result = run(data_dir, "alerts", "retry", str(row.id) if how == "by number" else "--dead")
    assert result.output == "1 to be tried again\n"
    broken.clock.advance(days=3650)  # the command used the real clock
    broken.work()
    assert broken.rows(state="dead") == []


def test_unknown_work_is_an_error(site: Site, data_dir: Path) -> None:
    assert run(data_dir, "alerts", "show", "99").exit_code == 1
    assert run(data_dir, "alerts", "retry", "99").exit_code == 1
    assert run(data_dir, "alerts", "retry").exit_code == 2


def test_the_inbox_lists_what_stands(site: Site, data_dir: Path) -> None:
    site.fhir.put(level(320))
    site.notify(backport("event-notification", (1, "Observation/level-1")))
    site.work()
    result = run(data_dir, "alerts", "inbox")
    assert result.exit_code == 0
    assert "320 ng/mL" in result.output


def test_a_worker_needs_a_registered_server(data_dir: Path) -> None:
    result = run(data_dir, "worker", "--once")
    assert result.exit_code == 2
    assert "alerts.yaml: no server is registered under `servers:`" in result.output


def test_subscribe_needs_a_registered_server(data_dir: Path) -> None:
    result = run(data_dir, "subscribe", "south")
    assert result.exit_code == 2
    assert "alerts.yaml: no server 'south' is registered under `servers:`" in result.output


def test_the_alerts_file_is_read_with_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(ALERTS, encoding="utf-8")
    (tmp_path / "north.secret").write_text("s3cret\n", encoding="utf-8")
    found = load_alert_settings(Settings(data_dir=tmp_path), {})
    (north,) = found.servers
    assert north.fhir_base == "https://fhir.example.org/r4"
    assert north.secret is not None
    assert north.secret.get_secret_value() == "s3cret"
    assert north.backend is not None
    assert north.backend.key_file == tmp_path / "north.pem"
    assert "s3cret" not in repr(found)


def test_without_a_file_nothing_is_received(tmp_path: Path) -> None:
    assert load_alert_settings(Settings(data_dir=tmp_path), {}).servers == ()


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("https://fhir.example.org/r4/", "http://fhir.example.org", "fhir_base"),
        ("https://auth.example.org/token", "http://auth.example.org", "token_url"),
        ("n0rth-endpoint-4711", "short", "endpoint"),
        ("secret_file: north.secret", "owner: x", "secret"),
        ("[task, flag]", "[carrier-pigeon]", "deliver"),
        ("mllp: {server: north}", "mllp: {server: south}", "south"),
        ("mllp: {server: north}", "mllp: {server: north, host: 0.0.0.0}", "host"),
        ("mllp: {server: north}", "give_up_hours: 1", "give_up_hours"),
        ("    patient_identifier_system: urn:mrn\n", "", "patient_identifier_system"),
        ("servers:", "servers: [", "alerts.yaml:[0-9]+: is not YAML$"),
        ("    deliver:", "    id: south\n    deliver:", "alerts.yaml:[0-9]+: a name stands twice"),
        ("servers:", "heartbeat_s: 2026-99-99\nservers:", "put it in quotes"),
        ("secret_file: north.secret", "secret: ''", "secret: must not be empty"),
        ("servers:", "colour: blue\nservers:", "colour: there is no such setting"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, wrong: str, right: str, said: str) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text(ALERTS.replace(wrong, right), encoding="utf-8")
    (tmp_path / "north.secret").write_text("s", encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        read_alert_settings(path)


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text(ALERTS, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"north\.secret"):
        read_alert_settings(path)


def test_an_application_receives_once_alerts_are_attached(
    make_site: MakeSite, data_dir: Path
) -> None:
    from cds.alerts import attach
    from cds.web import create_app

    site = make_site()
    (data_dir / "alerts.yaml").write_text(
        ALERTS.replace("[task, flag]", "[task]") + "embedded_worker: false\n", encoding="utf-8"
    )
    (data_dir / "north.secret").write_text(BEARER.removeprefix("Bearer "), encoding="utf-8")
    app = create_app(site.services)
    alerts = attach(app, site.services)
    assert alerts is not None
    address = f"/subscriptions/{ENDPOINT}"
    client = app.test_client()
    assert client.post(address, headers={"Authorization": BEARER}).status_code == 200
    assert client.post(address).status_code == 401
    assert client.get(address).status_code == 405
    alerts.close()


def test_without_an_alerts_file_nothing_is_attached(make_site: MakeSite) -> None:
    from flask import Flask

    from cds.alerts import attach

    app = Flask("plain")
    assert attach(app, make_site().services) is None
    assert app.test_client().post("/subscriptions/x").status_code == 404


def test_threads_work_off_what_arrives_and_end_when_told(site: Site) -> None:
    site.fhir.put(level(320))
    site.alerts.start()
    site.notify(backport("event-notification", (1, "Observation/level-1")))
    assert site.fhir.written.wait(60)
    site.alerts.stop()
    assert len(site.tasks()) == 1
