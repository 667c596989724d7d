"""An EHR's FHIR server that lives in this process and can fail in many ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.web.fakes import FakeClock
from tests.web.patients import LEVEL_CODE, prefetch

BASE = "http://127.0.0.1:9090/r4"

_KEY_OF = {
    "Patient": "patient",
    "MedicationRequest": "medications",
    "MedicationStatement": "statements",
    "MedicationAdministration": "administrations",
    "MedicationDispense": "dispenses",
    "Condition": "conditions",
    "Procedure": "procedures",
    "AllergyIntolerance": "allergies",
}


@dataclass
class FakeEhr:
    """Answers what the story patient has; `fail` may answer or raise instead."""

    data: dict[str, Any] = field(default_factory=prefetch)
    fail: Callable[[httpx.Request], httpx.Response | None] | None = None
    asked: list[httpx.Request] = field(default_factory=list)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.fail:
            failed = self.fail(request)
            if failed is not None:
                return failed
        found = self.data.get(self._key(request))
        if found is None:
            found = {"resourceType": "Bundle", "type": "searchset", "total": 0}
        return answer(found)

    @staticmethod
    def _key(request: httpx.Request) -> str:
        kind = request.url.path.removeprefix("/r4/").split("/")[0]
        if kind != "Observation":
            return _KEY_OF[kind]
        code = parse_qs(request.url.query.decode())["code"][0]
        if LEVEL_CODE in code:
            return "levels"
        return "genetics" if "69548-6" in code else "labs"


def answer(body: Any, status: int = 200) -> httpx.Response:
    """An answer that arrives as a stream, as over a network."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, content=iter([raw]))


def status(code: int) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: answer({"resourceType": "OperationOutcome"}, code)


def html(_request: httpx.Request) -> httpx.Response:
    return answer(b"<html>Tomcat</html>")


def outcome(_request: httpx.Request) -> httpx.Response:
    return answer({"resourceType": "OperationOutcome", "issue": []})


def huge(_request: httpx.Request) -> httpx.Response:
    return answer(b"[" + b" " * (10 * 1024 * 1024) + b"]")


def redirect(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(302, headers={"Location": "http://169.254.169.254/latest"})


def reset(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection reset", request=request)


def timeout(clock: FakeClock) -> Callable[[httpx.Request], httpx.Response]:
    def fail(request: httpx.Request) -> httpx.Response:
        clock.pass_time(5)
        raise httpx.ReadTimeout("no answer", request=request)

    return fail


def drip(clock: FakeClock) -> Callable[[httpx.Request], httpx.Response]:
    """A server that sends a byte now and then and never ends."""

    class Drip(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                clock.pass_time(0.2)
                yield b" "

    return lambda _request: httpx.Response(200, stream=Drip())
