"""`imatinib-tdm demo --once`: a real server process, real HTTP, and an honest exit code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from cds.cli import main
from cds.content import examples_dir
from cds.demo import server
from cds.demo.fhir import alerts_file
from cds.demo.hospital import running_hospital
from cds.demo.server import StartError, free_port, is_free, running_service
from cds.demo.stories import load_stories

COMMAND = [sys.executable, "-c", "from cds.cli import main; main(prog_name='imatinib-tdm')"]


def demo(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the command from another directory, as an installed one would be."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [*COMMAND, "demo", *arguments],
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment,
        timeout=180,
        check=False,
    )


def test_the_demo_plays_every_story_over_http_and_ends_with_0(tmp_path: Path) -> None:
    done = demo("--once", directory=tmp_path)

    assert done.returncode == 0, done.stderr
    stories = load_stories(examples_dir())
    for story in stories:
        assert f"== {story.title}" in done.stdout
    asked = sum(len(story.hooks) for story in stories)
    assert done.stdout.endswith(
        f"\nStories: {len(stories)}. Requests: {asked}. As expected: {asked}.\n"
    )
    assert "\x1b[" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_not_as_expected_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds.demo.play.differences", lambda *_: ["missing: everything"])
    done = CliRunner().invoke(main, ["demo", "--once", "--story", "omeprazole-silent"])

    assert done.exit_code == 1
    assert "not as expected: missing: everything" in done.output
    assert "Stories: 1. Requests: 2. As expected: 0." in done.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_keeps_serving_until_it_is_told_to_stop_and_leaves_nothing_running(
    number: signal.Signals,
) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo", "--story", "omeprazole-silent", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        said: list[str] = []
        while not said or "imatinib-tdm assess" not in said[-1]:
            said.append(running.stdout.readline())
            assert said[-1], "it ended by itself"
        base_url = next(line for line in said if line.startswith("Still serving on ")).split()[3]
        assert httpx.get(f"{base_url}/cds-services").is_success
        request = next(line.split("-d @")[1].split()[0] for line in said if "-d @" in line)
        answer = httpx.post(
            f"{base_url}/cds-services/tdm-orders",
            content=Path(request).read_bytes(),
            headers={"Content-Type": "application/json"},
        )
        assert answer.json()["cards"], "the command it advises must show something"
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)

    assert (running.returncode, errors) == (0, "")
    assert f"  curl {base_url}/cds-services\n" in said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base_url}/cds-services")


def test_an_unknown_story_is_wrong_usage() -> None:
    done = CliRunner().invoke(main, ["demo", "--story", "nobody"])

    assert done.exit_code == 2
    assert "no story is called nobody" in done.output


def test_a_port_that_is_taken_is_said_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        done = CliRunner().invoke(main, ["demo", "--once", "--port", str(port)])

    assert done.exit_code == 2
    assert f"port {port} is taken" in done.output


def test_the_service_has_its_own_data_and_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMATINIB_TDM_SETTINGS", str(tmp_path / "a-sites-own.yaml"))
    with running_service(0) as service:
        log = service.log
        assert httpx.get(f"{service.base_url}/cds-services").is_success

    assert service.process.returncode is not None
    assert not log.exists()


def test_a_level_comes_back_as_a_task_by_the_subscription_and_is_corrected_and_withdrawn() -> None:
    stories = [s for s in load_stories(examples_dir()) if s.id == "cml-low-trough"]
    port, secret = free_port(), "a-secret-of-the-channel"
    alerts = alerts_file(f"http://127.0.0.1:{port}/fhir", secret)
    with (
        running_service(0, alerts=alerts) as service,
        running_hospital(stories, service.base_url, port, secret=secret) as hospital,
        httpx.Client(base_url=hospital, trust_env=False, timeout=60) as browser,
    ):
        chart = "/patients/cml-low-trough"

        def standing(said: str) -> str:
            """The level of the Task that stands, once it is the one that is waited for."""
            for _ in range(20_000):
                found = browser.get("/fhir/Task", params={"status": "requested"}).json()
                tasks = [entry["resource"]["description"] for entry in found["entry"]]
                if [said in task for task in tasks] == [True]:
                    return tasks[0]
            pytest.fail(f"no Task says {said}; those that stand: {tasks}")

        browser.post(f"{chart}/level", data={"ng_ml": "430", "hours": "24"})
        low = standing("430 ng/mL")
        assert low in browser.get(chart).text
        assert low in httpx.get(f"{service.base_url}/worklist", trust_env=False).text
        level = browser.get(chart).text.split('name="level" value="')[1].split('"')[0]
        browser.post(f"{chart}/amend", data={"level": level, "ng_ml": "520"})
        standing("520 ng/mL")
        browser.post(f"{chart}/withdraw", data={"level": level})
        standing("720 ng/mL")  # the patient's own level, from the story
        cancelled = browser.get("/fhir/Task", params={"status": "cancelled"}).json()
        assert cancelled["total"] == 2


def test_a_service_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_COMMAND", "raise SystemExit('no rulebook here')")
    with pytest.raises(StartError, match="no rulebook here"), running_service(0):
        pytest.fail("it started")
