"""The command line: help, exit codes, and errors that name the cure."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cds.cli import main

OWN = ("audit", "db", "doctor", "feedback", "replay", "serve")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IMATINIB_TDM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("IMATINIB_TDM_SETTINGS", raising=False)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return invoke


def _every_command(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        yield " ".join((*path, name))
        if isinstance(found, click.Group):
            yield from _every_command(found, (*path, name))


@pytest.mark.parametrize("name", list(_every_command()))
def test_every_command_explains_itself_with_examples_and_exit_codes(run, name: str):
    result = run(*name.split(), "--help")

    assert result.exit_code == 0
    assert "Example" in result.output
    assert "Exit codes" in result.output


def test_the_overview_lists_every_command_with_one_line(run):
    lines = run("--help").output.splitlines()

    for name in OWN:
        assert any(line.strip().startswith(f"{name} ") for line in lines)


def test_a_misspelt_command_is_corrected(run):
    result = run("serv")

    assert result.exit_code == 2
    assert "Did you mean 'serve'?" in result.output


def test_the_overview_imports_neither_web_server_nor_numerics():
    code = (
        "import sys; from click.testing import CliRunner; from cds.cli import main; "
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0; "
        "print([m for m in ('flask', 'scipy', 'sqlalchemy', 'durable') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_database_is_prepared_checked_and_cleaned(run):
    assert run("db", "check").exit_code == 1
    assert "db upgrade" in run("db", "check").output
    assert run("db", "upgrade").exit_code == 0
    assert "already" in run("db", "upgrade").output
    assert run("db", "check").exit_code == 0
    assert "removed 0 expired tokens" in run("db", "purge").output


def test_a_database_is_backed_up_once_under_a_name(run, tmp_path: Path):
    run("db", "upgrade")

    first = run("db", "backup", str(tmp_path / "copy.sqlite3"))
    again = run("db", "backup", str(tmp_path / "copy.sqlite3"))

    assert first.exit_code == 0
    assert "checked" in first.output
    assert again.exit_code == 1
    assert "not overwritten" in again.output


def test_settings_that_are_wrong_end_with_2_and_name_the_field(run, tmp_path: Path):
    path = tmp_path / "site.yaml"
    path.write_text("jurisdiction: nowhere")

    for command in (("db", "check"), ("serve",), ("feedback", "figures")):
        result = run(*command, "--settings", str(path))
        assert result.exit_code == 2
        assert "jurisdiction" in result.output


def test_serving_beyond_this_machine_without_clients_is_refused_with_the_cure(run):
    result = run("serve", "--host", "0.0.0.0")

    assert result.exit_code == 2
    assert "no client is registered" in result.output
    assert "clients:" in result.output


def test_a_shared_database_without_a_key_is_refused_with_the_cure(
    run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("IMATINIB_TDM_DATABASE_URL", "postgresql://127.0.0.1:1/none")

    result = run("serve")

    assert result.exit_code == 2
    assert "openssl rand" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ("replay", "00000000-0000-0000-0000-000000000000"),
        ("db", "purge"),
        ("feedback", "export"),
        ("feedback", "figures"),
        ("audit", "export"),
    ],
)
def test_a_database_that_was_never_prepared_is_named_with_the_cure(run, command: tuple[str, ...]):
    result = run(*command)

    assert result.exit_code == 1
    assert "is empty" in result.output
    assert "run `imatinib-tdm db upgrade`" in result.output


def test_a_data_directory_that_cannot_be_made_is_named(run, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("IMATINIB_TDM_DATA_DIR", str(tmp_path / "file" / "data"))

    for command in (("serve",), ("db", "check"), ("feedback", "export")):
        result = run(*command)
        assert result.exit_code == 2
        assert f"{tmp_path / 'file' / 'data'} cannot be made" in result.output


def test_an_address_that_is_taken_is_said_at_once(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))

    assert result.exit_code == 2
    assert f"127.0.0.1 port {port} cannot be listened on" in result.output
    assert "--port" in result.output


def test_a_server_that_is_not_registered_is_named_with_the_file(run, tmp_path: Path):
    run("db", "upgrade")

    for command in (("subscribe",), ("subscribe", "north"), ("worker", "--once")):
        result = run(*command)
        assert result.exit_code == 2
        assert f"{tmp_path / 'data' / 'alerts.yaml'}: no server" in result.output
        assert "`servers:`" in result.output


def test_alerts_of_a_site_that_was_never_started_are_not_said_to_be_well(run):
    result = run("alerts", "list")

    assert result.exit_code == 1
    assert "is empty" in result.output


def test_nothing_to_show_is_said(run):
    assert run("rules", "history").output == "nothing has served yet\n"
    run("db", "upgrade")
    assert run("alerts", "inbox").output == "no alert stands\n"


def test_a_picture_that_cannot_be_written_is_named(run, tmp_path: Path):
    patient = Path(__file__).parents[2] / "fhir_examples" / "patients" / "cml-low-trough.json"
    place = tmp_path / "none" / "level.svg"

    result = run("assess", str(patient), "--plot", str(place))

    assert result.exit_code == 2
    assert f"{place} cannot be written" in result.output


def test_a_moment_without_a_zone_is_answered_with_one_that_works(run, tmp_path: Path):
    patient = Path(__file__).parents[2] / "fhir_examples" / "patients" / "cml-low-trough.json"
    refused = run("assess", str(patient), "--now", "2026-11-20")
    proposed = refused.output.strip().rsplit(" ", 1)[1]

    assert refused.exit_code == 2
    assert run("assess", str(patient), "--now", proposed).exit_code == 0


def test_feedback_is_exported_as_json_lines(run):
    run("db", "upgrade")
    _add_feedback()

    exported = run("feedback", "export")
    figures = run("feedback", "figures", "--json")

    assert exported.exit_code == 0
    (line,) = exported.output.splitlines()
    assert json.loads(line)["outcome"] == "overridden"
    (counted,) = json.loads(figures.output)
    assert counted["rule"] == "trough.cml-below-target"
    assert (counted["shown"], counted["accepted"], counted["overridden"]) == (1, 0, 1)
    assert sum(reason["count"] for reason in counted["reasons"]) == 1


def test_decisions_are_exported_as_valid_audit_events(run):
    from fhir.resources.R4B.auditevent import AuditEvent

    run("db", "upgrade")
    _add_feedback()

    exported = run("audit", "export", "--since", "2026-01-01")
    later = run("audit", "export", "--since", "2099-01-01")

    (line,) = exported.output.splitlines()
    event = AuditEvent.model_validate(json.loads(line))
    assert event.entity[0].what.reference == "Patient/p-1"
    assert event.agent[2].who.reference == "Practitioner/7"
    assert later.output == ""


def test_replaying_an_unknown_evaluation_ends_with_1(run):
    run("db", "upgrade")

    result = run("replay", "00000000-0000-0000-0000-000000000000")

    assert result.exit_code == 1
    assert "there is no evaluation" in result.output


def _add_feedback() -> None:
    from cds.services import open_store
    from cds.settings import load_settings
    from tests.store.build import NOW, answer, entry

    store = open_store(load_settings())
    store.record(entry())
    store.add_feedback("north", "tdm-orders", [answer()], NOW)
    store.database.close()
