"""A service of one's own for the demo: a child process on loopback with data of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

_HOST = "127.0.0.1"
_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 10.0
_ASK_EVERY_S = 0.1
_COMMAND = "from cds.cli import main; main(prog_name='imatinib-tdm')"


class StartError(RuntimeError):
    """The service ended or stayed silent; the message carries the end of its log."""


class RunningService(Struct, frozen=True):
    """A service that answers."""

    base_url: str
    log: Path
    process: subprocess.Popen[bytes]
    settings: Path

    def wait(self) -> int:
        """Serve until stopped."""
        return self.process.wait()


@contextmanager
def running_service(
    port: int,
    *,
    clients: tuple[Mapping[str, Any], ...] = (),
    alerts: Mapping[str, Any] | None = None,
) -> Iterator[RunningService]:
    """Run `imatinib-tdm serve` until the block ends; port 0 takes a free one.

    `clients` are registered in its settings, `alerts` is its alerts file.
    The data directory is thrown away afterwards, so that playing leaves no trace among real data.
    """
    port = port or free_port()
    base_url = f"http://{_HOST}:{port}"
    with tempfile.TemporaryDirectory(prefix="tdm-demo-") as directory:
        log = Path(directory) / "service.log"
        settings = _write_settings(Path(directory), base_url, clients)
        if alerts is not None:
            (Path(directory) / "alerts.yaml").write_text(json.dumps(alerts), encoding="utf-8")
        command = [sys.executable, "-c", _COMMAND, "serve", "--host", _HOST, "--port", str(port)]
        command += ["--settings", str(settings)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, env=_environment(), stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_it_answers(process, base_url, log)
            yield RunningService(base_url, log, process, settings)
        finally:
            _stop(process)


def is_free(port: int) -> bool:
    """Whether nobody listens on the loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((_HOST, port)) != 0


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _write_settings(directory: Path, base_url: str, clients: tuple[Mapping[str, Any], ...]) -> Path:
    """Settings of the demo: data of its own, and patience on a busy laptop. JSON is YAML."""
    path = directory / "demo.yaml"
    settings = {
        "site": "demo",
        "data_dir": str(directory),
        "public_base_url": base_url,
        "deadline_s": 5,
        "server": {"workers": 1, "threads": 4},
        "clients": list(clients),
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def _environment() -> dict[str, str]:
    """The environment without a site's own settings: the demo must not meet real clients."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("IMATINIB_TDM_")}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _wait_until_it_answers(process: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
    ends = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise StartError(f"the service ended while starting:\n{_tail(log)}")
        try:
            if httpx.get(f"{base_url}/readyz", timeout=5.0).is_success:
                return
        except httpx.TransportError:
            time.sleep(_ASK_EVERY_S)
    raise StartError(f"the service did not answer on {base_url}:\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
