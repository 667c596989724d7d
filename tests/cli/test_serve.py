"""The real server as a person starts it: it answers, survives a killed worker, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.patients import concerned_request
from tests.web.requests import ORDERS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, Path]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = tmp_path_factory.mktemp("serve")
    log = directory / "log"
    environment = {**os.environ, "IMATINIB_TDM_DATA_DIR": str(directory / "data")}
    command = [sys.executable, "-m", "cds.cli", "serve", "--port", str(port)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)
    base = f"http://127.0.0.1:{port}"
    _wait_until_ready(base, process, log)
    yield base, process.pid, log
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0


def _wait_until_ready(base: str, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{base}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            continue
    raise AssertionError("the server did not become ready")


def _workers(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in listed.split()]


def test_it_says_that_it_answers_without_a_token(server):
    _, _, log = server

    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]

    assert "open-loopback" in {event["event"] for event in events}


def test_it_answers_a_hook_and_links_point_at_its_own_port(server):
    base, _, _ = server

    response = httpx.post(f"{base}{ORDERS}", json=concerned_request(), timeout=20)

    assert response.status_code == 200
    links = [link["url"] for card in response.json()["cards"] for link in card.get("links", [])]
    assert links
    assert all(link.startswith(base) for link in links)


def test_metrics_are_summed_over_the_workers(server):
    base, _, _ = server
    empty = concerned_request(prefetch={})

    for _ in range(20):
        assert httpx.post(f"{base}{ORDERS}", json=empty, timeout=20).status_code == 412

    counted = httpx.get(f"{base}/metrics").text
    assert 'tdm_rejected_total{reason="data-missing"} 20.0' in counted


def test_a_body_over_2_mib_is_413_over_the_wire_too(server):
    base, _, _ = server

    def chunks() -> Iterator[bytes]:
        yield b'{"hook":"'
        for _ in range(40):
            yield b"x" * 65536
        yield b'"}'

    response = httpx.post(
        f"{base}{ORDERS}",
        content=chunks(),
        headers={"Content-Type": "application/json"},
        timeout=20,
    )

    assert response.status_code == 413
    assert response.json()["resourceType"] == "OperationOutcome"


def test_a_body_whose_frame_is_broken_is_the_clients_mistake(server):
    base, _, _ = server
    host, port = base.removeprefix("http://").split(":")
    head = f"POST {ORDERS} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"

    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode())
        answered = client.recv(200)

    assert answered.startswith(b"HTTP/1.1 400 ")


def test_a_killed_worker_is_replaced_and_the_service_goes_on(server):
    base, pid, _ = server
    (victim, *_) = _workers(pid)

    os.kill(victim, signal.SIGKILL)

    until = time.monotonic() + 30
    while victim in _workers(pid) or len(_workers(pid)) < 2:
        assert time.monotonic() < until
    for _ in range(5):
        assert httpx.get(f"{base}/cds-services", timeout=20).status_code == 200
