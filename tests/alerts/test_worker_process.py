"""The worker as an operator starts it: a process of its own beside the server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds import content
from cds.rulebook.content import read_directory, revision_of
from cds.settings import Settings
from cds.store import Database
from cds.store.migrate import upgrade

ALERTS = """
servers:
  - id: north
    fhir_base: http://127.0.0.1:9
    endpoint: n0rth-endpoint-4711
    secret: not-used-here-at-all
"""

LONGEST_S = 180.0
"""An edit is accepted after all its tests ran; what takes longer fails instead of waiting."""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A rulebook of the hospital's own."""
    return Path(shutil.copytree(content.rules_dir(), tmp_path / "rules"))


@pytest.fixture
def worker(tmp_path: Path, rules: Path) -> Iterator[subprocess.Popen[str]]:
    """A running `imatinib-tdm worker`; its log comes over a pipe."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "alerts.yaml").write_text(ALERTS, encoding="utf-8")
    database = Database(Settings(data_dir=data).database)
    upgrade(database)
    database.close()
    environment = {
        **os.environ,
        "IMATINIB_TDM_DATA_DIR": str(data),
        "IMATINIB_TDM_RULES": str(rules),
    }
    command = [sys.executable, "-m", "cds.cli", "worker"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        hanging = threading.Timer(LONGEST_S, process.kill)
        hanging.start()
        yield process
        hanging.cancel()
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(timeout=30) == 0


def logged(process: subprocess.Popen[str], event: str) -> dict[str, str]:
    """Wait until the process says so in its log."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("{") and (found := json.loads(line))["event"] == event:
            return dict(found)
    raise AssertionError("the worker ended:\n" + "".join(said))


def test_a_worker_assesses_by_the_edited_rules_without_a_restart(
    worker: subprocess.Popen[str], rules: Path
) -> None:
    logged(worker, "alerts-working")
    table = next(rules.glob("tables/*.yaml"))

    table.write_text(table.read_text("utf-8") + "\n# reviewed by the hospital\n", "utf-8")

    assert logged(worker, "rulebook-serves")["revision"] == revision_of(read_directory(rules))
