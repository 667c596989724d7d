"""What never becomes a request is refused like one, and quoted to nobody."""

from __future__ import annotations

import io
import json

import pytest

from cds.settings import Settings
from cds.telemetry import configure_logging
from cds.web.server import _server
from cds.web.server_log import ServerLog
from tests.web.requests import ORDERS
from tests.web.wire import Ask

CANARY = "Wilhelmina-Tell"
HEAD = f"POST {ORDERS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture
def captured() -> io.StringIO:
    file = io.StringIO()
    configure_logging(json_lines=True, file=file)
    return file


NO_HTTP = {
    "no request line": (400, f"{CANARY}\r\n\r\n"),
    "a method that is none": (400, f"get({CANARY}) / HTTP/1.1\r\n\r\n"),
    "a version that is none": (400, f"GET /{CANARY} HTTP/9.9\r\n\r\n"),
    "an address of 6000 characters": (414, f"GET /{CANARY}{'x' * 6000} HTTP/1.1\r\n\r\n"),
    "a header without a name": (400, f"{HEAD}{CANARY}\r\n\r\n"),
    "a hundred headers": (431, HEAD + f"X: {CANARY}\r\n" * 100 + "\r\n"),
    "two lengths": (400, f"{HEAD}Content-Length: 3\r\nContent-Length: 4\r\n\r\n{CANARY}"),
    "an expectation": (400, f"{HEAD}Expect: {CANARY}\r\nContent-Length: 2\r\n\r\n{{}}"),
    "a coding that is none": (400, f"{HEAD}Transfer-Encoding: {CANARY}\r\n\r\n"),
    "a chunk without a length": (400, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n{CANARY}\r\n"),
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_it_is_an_outcome_that_quotes_nothing(ask: Ask, captured: io.StringIO, name: str):
    status, request = NO_HTTP[name]

    answer, goes_on = ask(request.encode())

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"http/1.1 {status} ".encode())
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body)["resourcetype"] == "operationoutcome"
    assert not goes_on
    assert CANARY.lower() not in (answer.decode() + captured.getvalue()).lower()
    assert all(json.loads(line) for line in captured.getvalue().splitlines())


@pytest.mark.parametrize("name", ["PATH_INFO", "SCRIPT_NAME"])
def test_a_header_does_not_lead_a_request_elsewhere(ask: Ask, name: str):
    # A proxy that passes /cds-services alone would otherwise pass /metrics with it.
    request = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n{name}: /metrics\r\n\r\n"

    answer, _ = ask(request.encode())

    assert answer.startswith(b"http/1.1 200 ")
    assert b'"status":"ok"' in answer


def test_the_server_opens_no_socket_to_be_controlled_by():
    assert _server(Settings(), None, "127.0.0.1", 0, None).cfg.control_socket_disable


def test_words_of_the_server_are_lines_of_the_log_without_what_they_quote(captured: io.StringIO):
    server = ServerLog(_server(Settings(), None, "127.0.0.1", 0, None).cfg)

    server.info("Booting worker with pid: %s", 7)
    server.error("Worker (pid:%s) was sent %s!", 7, "SIGKILL")
    server.log("warning", "odd %s", CANARY)
    try:
        int(CANARY)
    except ValueError:
        server.exception("Error handling request %s", f"/evaluations/{CANARY}")

    lines = [json.loads(line) for line in captured.getvalue().splitlines()]
    assert [line["problem"] for line in lines] == [
        "Worker (pid:7) was sent SIGKILL!",
        "odd ...",
        "Error handling request ...",
    ]
    assert lines[-1]["error_type"] == "ValueError"
    assert CANARY not in captured.getvalue()
