"""A running server with two workers, asked without pause, and which worker gave which answer."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 180
"""How long a condition is waited for on a busy machine; on a quiet one it holds within two."""

PACE_S = 0.25
"""Between two requests of one asker: often enough to notice, seldom enough to leave a core."""


@dataclass(frozen=True)
class Heard:
    """One answer: by which worker, when it was asked for, and what it said."""

    worker: int
    asked: float
    status: int
    revision: str
    summary: str


@dataclass
class Running:
    """The server, and everything it has answered."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    settings: Path
    request: bytes
    rule: str
    heard: list[Heard] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def workers(self) -> set[int]:
        """The processes that answer."""
        parent = self.process.pid
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return {int(pid) for pid in listed.split()}

    def ask(self) -> Heard:
        """Send the order-sign request over a connection of its own."""
        asked = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/cds-services/tdm-orders", self.request, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            worker = self._worker_of(connection.sock)
        finally:
            connection.close()
        if answer.status != 200:
            self.failures.append(f"{answer.status} after {time.monotonic() - asked:.1f} s: {said}")
        return Heard(worker, asked, answer.status, *self._card(said))

    def _card(self, said: dict[str, Any]) -> tuple[str, str]:
        for card in said.get("cards", ()):
            extension: dict[str, Any] = next(iter(card["extension"].values()))
            if self.rule in {rule["id"] for rule in extension["rules"]}:
                return extension["rulebookRevision"], card["summary"]
        return "", f"no card of {self.rule}"

    def _worker_of(self, sock: socket.socket) -> int:
        """The process at the other end, as the kernel knows it."""
        here, there = sock.getsockname()[1], sock.getpeername()[1]
        inodes = {
            row[9]
            for row in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
            if row[1].endswith(f":{there:04X}") and row[2].endswith(f":{here:04X}")
        }
        for pid in self.workers:
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    link = str(entry.readlink())
                except FileNotFoundError:
                    continue
                if link.removeprefix("socket:[").removesuffix("]") in inodes:
                    return pid
        raise AssertionError("no worker holds the other end")

    def get(self, path: str) -> str:
        """A text of the server, from whichever worker."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", path, headers={"Accept": "text/plain"})
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def keep_asking(self, stop: threading.Event) -> None:
        """Ask until told to stop; an answer that does not come is a failure."""
        while not stop.wait(PACE_S):
            try:
                heard = self.ask()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                continue
            with self.news:
                self.heard.append(heard)
                self.news.notify_all()

    def everywhere(self, what: Callable[[Heard], bool], *, times: int = 1) -> float:
        """Wait until every worker has answered so, as its last words; seconds that took."""
        begun = time.monotonic()

        def holds() -> bool:
            for worker in self.workers:
                last = [h for h in self.heard if h.worker == worker and h.asked >= begun][-times:]
                if len(last) < times or not all(what(h) for h in last):
                    return False
            return True

        with self.news:
            assert self.news.wait_for(holds, PATIENCE_S), (self.heard[-8:], self.log.read_text())
        return time.monotonic() - begun

    def until(self, what: Callable[[], bool]) -> None:
        """Wait for something that is not an answer, looking again after each answer."""
        end = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < end, self.log.read_text()
            with self.news:
                self.news.wait(1)

    def command(self, *words: str) -> tuple[int, str]:
        """`imatinib-tdm rules ...` as a person types it beside the server."""
        done = subprocess.run(
            [sys.executable, "-m", "cds.cli", "rules", *words, "--settings", str(self.settings)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@contextmanager
def serving(directory: Path, rules: Path, request: dict[str, Any], rule: str) -> Iterator[Running]:
    """Start the server on a rulebook directory, ask it all the time, stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = directory / "site.yaml"
    settings.write_text(
        f"rules: {rules}\ndata_dir: {directory / 'data'}\ndeadline_s: 10\n"
        "server: {workers: 2, threads: 2}\n"
    )
    log = directory / "log"
    command = [sys.executable, "-m", "cds.cli", "serve", "--port", str(port)]
    with log.open("w") as errors:
        process = subprocess.Popen([*command, "--settings", str(settings)], stderr=errors)
    running = Running(port, process, log, settings, json.dumps(request).encode(), rule)
    stop = threading.Event()
    asking = [threading.Thread(target=running.keep_asking, args=(stop,)) for _ in range(2)]
    try:
        _wait_until_ready(running)
        for thread in asking:
            thread.start()
        yield running
    finally:
        stop.set()
        for thread in asking:
            if thread.ident is not None:
                thread.join()
        process.send_signal(signal.SIGTERM)
        ended = process.wait(timeout=PATIENCE_S)
    assert ended == 0, log.read_text()


def _wait_until_ready(running: Running) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        assert running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < until, running.log.read_text()
        try:
            if '"ready"' in running.get("/readyz") and len(running.workers) == 2:
                return
        except OSError:
            with running.news:  # nobody is told that a server has come up: look again soon
                running.news.wait(0.2)
