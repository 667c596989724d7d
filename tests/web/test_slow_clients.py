"""A client that drags out its request, or vanishes, does not keep a thread for ever."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cds.settings import Settings
from cds.web import worker as of_the_server
from cds.web.server import _server
from cds.web.worker import RECEIVE_WITHIN_S, SEND_WITHIN_S, Worker


@dataclass(eq=False)
class Connection:
    sock: socket.socket


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


def _looked_after(
    ours: socket.socket, monkeypatch: pytest.MonkeyPatch, *, begun: float, now: float
) -> None:
    """One turn of the worker's loop over a request that was begun then."""
    worker = Worker.__new__(Worker)
    worker.pending_conns = deque()
    worker._begun = {Connection(ours): begun}
    monkeypatch.setattr(of_the_server.time, "monotonic", lambda: now)
    worker.murder_pending()


def test_a_request_that_stays_incomplete_is_over_and_can_still_be_answered(pair, monkeypatch):
    ours, theirs = pair

    _looked_after(ours, monkeypatch, begun=100, now=100 + RECEIVE_WITHIN_S + 1)

    assert ours.recv(10) == b""
    ours.sendall(b"400")
    assert theirs.recv(10) == b"400"


def test_a_request_in_time_is_left_alone(pair, monkeypatch):
    ours, theirs = pair
    theirs.sendall(b"rest")

    _looked_after(ours, monkeypatch, begun=100, now=100 + RECEIVE_WITHIN_S - 1)

    assert ours.recv(10) == b"rest"


def test_an_answer_that_is_never_taken_is_given_up(pair, monkeypatch):
    ours, _theirs = pair

    _looked_after(ours, monkeypatch, begun=100, now=100 + SEND_WITHIN_S + 1)

    with pytest.raises(BrokenPipeError):
        ours.sendall(b"answer")


def test_a_connection_that_has_ended_meanwhile_is_no_failure(pair, monkeypatch):
    ours, _theirs = pair
    ours.close()

    _looked_after(ours, monkeypatch, begun=100, now=100 + SEND_WITHIN_S + 1)


def test_the_server_runs_with_these_workers():
    assert _server(Settings(), None, "127.0.0.1", 0, None).cfg.worker_class is Worker
