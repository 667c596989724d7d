"""The FHIR client: where it may go, what it accepts, and that it always comes back in time."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cds.fhir.client import (
    FetchError,
    FetchLimits,
    FhirClient,
    ForbiddenBaseError,
    allowed_base,
    same_origin,
)
from tests.fhir import fake_ehr as fake
from tests.fhir.factories import PATIENT, level

_REGISTERED = "https://ehr.example.org/fhir/r4"

_HOSTILE = [
    "http://ehr.example.org/fhir/r4",
    "https://ehr.example.org/fhir/r4/../admin",
    "https://ehr.example.org/fhir/r4x",
    "https://ehr.example.org/fhir",
    "https://ehr.example.org/FHIR/r4",
    "https://EHR.example.org/fhir/r4",
    "https://ehr.example.org:8443/fhir/r4",
    "https://ehr.example.org:443/fhir/r4",
    "https://ehr.example.org/fhir/r4?x=1",
    "https://ehr.example.org/fhir/r4#x",
    "https://ehr.example.org/fhir/r4//",
    "https://ehr.example.org@evil.example/fhir/r4",
    "https://evil.example/https://ehr.example.org/fhir/r4",
    "https://user:secret@ehr.example.org/fhir/r4",
    "https://ehr.example.org.evil.example/fhir/r4",
    "https://ehr.example.org\\@evil.example/fhir/r4",
    "https://ehr.example.org%2eevil.example/fhir/r4",
    "https://ehr.example.org\t/fhir/r4",
    "https://ehr.example.org\r\nHost: evil/fhir/r4",
    " https://ehr.example.org/fhir/r4",
    "https:ehr.example.org/fhir/r4",
    "//ehr.example.org/fhir/r4",
    "https://169.254.169.254/latest/meta-data",
    "http://169.254.169.254/latest/meta-data",
    "http://metadata.google.internal/",
    "http://10.0.0.1/fhir",
    "http://192.168.1.1/fhir",
    "http://[fd00::1]/fhir",
    "http://[::ffff:10.0.0.1]/fhir",
    "http://0x7f000001/fhir",
    "http://2130706433/fhir",
    "http://0177.0.0.1/fhir",
    "http://127.1/fhir",
    "http://0.0.0.0/fhir",
    "http://127.0.0.1.nip.io/fhir",
    "http://localhost.evil.example/fhir",
    "http://user@localhost/fhir",
    "http://localhost:99999/fhir",
    "http://localhost:0/fhir",
    "http://loсalhost/fhir",
    "file:///etc/passwd",
    "gopher://localhost:6379/_INFO",
    "ftp://localhost/fhir",
    "",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("base", _HOSTILE)
def test_a_hostile_base_is_refused_before_any_connection(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket, "getaddrinfo", _forbidden)
    monkeypatch.setattr(socket.socket, "connect", _forbidden)
    for loopback in (False, True):
        with pytest.raises(ForbiddenBaseError):
            allowed_base(base, [_REGISTERED], loopback=loopback)


@pytest.mark.parametrize("base", [_REGISTERED, _REGISTERED + "/"])
def test_the_registered_base_is_allowed_with_or_without_a_slash(base: str) -> None:
    assert allowed_base(base, [_REGISTERED + "/"]) == _REGISTERED


@pytest.mark.parametrize(
    "base", ["http://localhost:8080/fhir", "http://127.0.0.1/fhir", "http://[::1]:9000/fhir"]
)
def test_loopback_is_allowed_only_to_a_service_that_is_itself_on_loopback(base: str) -> None:
    assert allowed_base(base, [], loopback=True) == base
    with pytest.raises(ForbiddenBaseError):
        allowed_base(base, [base])


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://ehr.example.org/other?page=2", True),
        ("https://ehr.example.org:443/fhir", True),
        ("http://ehr.example.org/fhir", False),
        ("https://ehr.example.org:8443/fhir", False),
        ("https://evil.example/fhir", False),
        ("https://user@ehr.example.org/fhir", False),
        ("https://ehr.example.org:bad/fhir", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    assert same_origin(url, _REGISTERED) is same


@pytest.fixture
def ehr() -> Iterator[fake.FakeEhr]:
    """A server that answers as told."""
    with fake.fake_ehr() as running:
        yield running


def _client(base: str, seconds: float = 1.5, **options: Any) -> FhirClient:
    return FhirClient(base, time.monotonic() + seconds, **options)


def test_a_resource_is_fetched_with_the_token_of_the_call(ehr: fake.FakeEhr) -> None:
    ehr.answers["Patient"] = fake.resource(PATIENT)
    with _client(ehr.base, token="secret-token") as client:
        assert client.get("Patient/p") == PATIENT
    ((path, headers),) = ehr.requests
    assert path == "Patient/p"
    assert headers["Authorization"] == "Bearer secret-token"
    assert headers["Accept-Encoding"] == "identity"


def test_neither_token_nor_patient_stands_in_an_error_or_in_the_repr(ehr: fake.FakeEhr) -> None:
    with _client(ehr.base, token="secret-token") as client:
        assert "secret-token" not in repr(client)
        with pytest.raises(FetchError) as caught:
            client.get("Patient/p-4711")
    shown = f"{caught.value!r} {caught.value.message} {caught.value.__cause__!r}"
    assert "secret-token" not in shown
    assert "p-4711" not in shown


_BOMB = gzip.compress(b" " * 50_000_000)
_FAULTS = {
    "redirect": (fake.raw(b"", 302, Location="http://169.254.169.254/"), "redirect"),
    "not-modified": (fake.raw(b"", 304), "redirect"),
    "unauthorised": (fake.raw(b"", 401), "not-authorised"),
    "forbidden": (fake.raw(b"", 403), "not-authorised"),
    "not-found": (fake.not_found, "not-found"),
    "busy": (fake.raw(b"", 429), "busy"),
    "failing": (fake.raw(b"<h1>Tomcat</h1>", 500), "server-error"),
    "teapot": (fake.raw(b"", 418), "server-error"),
    "created": (fake.raw(b"{}", 201), "server-error"),
    "html": (fake.raw(b"<html>login</html>"), "not-json"),
    "empty": (fake.raw(b""), "not-json"),
    "not-utf8": (fake.raw(b'{"resourceType": "\xff"}'), "not-json"),
    "twice": (fake.raw(b'{"resourceType": "Patient", "id": "a", "id": "b"}'), "not-json"),
    "array": (fake.raw(b"[]"), "not-fhir"),
    "no-type": (fake.raw(b'{"resourceType": 5}'), "not-fhir"),
    "outcome": (fake.raw(b'{"resourceType": "OperationOutcome"}'), "operation-outcome"),
    "too-large": (fake.raw(b" " * 10_000_000), "too-large"),
    "gzip-bomb": (fake.raw(_BOMB, Content_Encoding="gzip"), "compressed"),
    "reset": (fake.reset, "unreachable"),
    "silent": (fake.silent, "timeout"),
    "drip": (fake.drip, "deadline"),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_every_fault_is_an_error_in_time(fault: str, ehr: fake.FakeEhr) -> None:
    answer, reason = _FAULTS[fault]
    ehr.answers["Patient"] = answer
    slow = fault in {"silent", "drip"}
    started = time.monotonic()
    with _client(ehr.base, 0.3 if slow else 10.0) as client, pytest.raises(FetchError) as caught:
        client.get("Patient/p")
    assert caught.value.reason in ({"timeout", "deadline"} if slow else {reason})
    if slow:
        assert time.monotonic() - started < 1.5


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with _client(f"http://127.0.0.1:{port}") as client, pytest.raises(FetchError) as caught:
        client.get("Patient/p")
    assert caught.value.reason == "unreachable"


def test_after_the_deadline_nobody_is_asked(ehr: fake.FakeEhr) -> None:
    with _client(ehr.base, 0.0) as client, pytest.raises(FetchError) as caught:
        client.get("Patient/p")
    assert caught.value.reason == "deadline"
    assert ehr.requests == []


def test_a_closed_client_fails_politely(ehr: fake.FakeEhr) -> None:
    client = _client(ehr.base)
    client.close()
    with pytest.raises(FetchError):
        client.get("Patient/p")


def test_the_proxies_of_the_machine_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://evil.example:3128")
    seen: list[httpx.Request] = []

    def _answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=PATIENT)

    with _client(_REGISTERED, transport=httpx.MockTransport(_answer)) as client:
        client.get("Patient/p")
    assert [str(request.url) for request in seen] == [f"{_REGISTERED}/Patient/p"]


# --- pages ---


def _pages(ehr: fake.FakeEhr, *urls: str | None) -> dict[str, Any]:
    """A first page, and an answer for each further one."""
    for number, url in enumerate(urls[1:], start=2):
        ehr.answers[f"Observation?page={number}"] = fake.searchset(
            level(id=f"l{number}"), next_url=url
        )
    return fake.bundle(level(id="l1"), next_url=urls[0])


def test_all_pages_are_followed(ehr: fake.FakeEhr) -> None:
    first = _pages(ehr, f"{ehr.base}/Observation?page=2", f"{ehr.base}/Observation?page=3", None)
    with _client(ehr.base) as client:
        found = [page["entry"][0]["resource"]["id"] for page in client.following_pages(first)]
    assert found == ["l2", "l3"]


def test_a_relative_next_link_is_under_the_base(ehr: fake.FakeEhr) -> None:
    first = _pages(ehr, "Observation?page=2", None)
    with _client(ehr.base) as client:
        assert len(list(client.following_pages(first))) == 1


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/x", "https://evil.example/?page=2", "//evil.example/x", "file:///x"],
)
def test_a_page_on_another_server_is_never_asked_for(url: str, ehr: fake.FakeEhr) -> None:
    with _client(ehr.base) as client, pytest.raises(FetchError) as caught:
        list(client.following_pages(fake.bundle(next_url=url)))
    assert caught.value.reason == "foreign-page"
    assert ehr.requests == []


def test_pages_that_refer_to_each_other_end(ehr: fake.FakeEhr) -> None:
    two = f"{ehr.base}/Observation?page=2"
    first = _pages(ehr, two, two)
    with _client(ehr.base) as client, pytest.raises(FetchError) as caught:
        list(client.following_pages(first))
    assert caught.value.reason == "page-loop"


def test_endless_pages_end(ehr: fake.FakeEhr) -> None:
    urls = [f"{ehr.base}/Observation?page={number}" for number in range(2, 10)]
    limits = FetchLimits(pages=3)
    with _client(ehr.base, limits=limits) as client, pytest.raises(FetchError) as caught:
        list(client.following_pages(_pages(ehr, *urls)))
    assert caught.value.reason == "too-many-pages"
    assert len(ehr.requests) == 3


@pytest.mark.parametrize("link", [None, "x", [5], [{"relation": "next"}], [{"relation": "self"}]])
def test_a_bundle_without_a_next_page_has_none(link: Any, ehr: fake.FakeEhr) -> None:
    with _client(ehr.base) as client:
        assert list(client.following_pages({"resourceType": "Bundle", "link": link})) == []


def test_an_answer_within_limits_is_read_as_it_was_sent(ehr: fake.FakeEhr) -> None:
    ehr.answers["Observation"] = fake.raw(json.dumps(level()).encode())
    with _client(ehr.base) as client:
        assert client.get("Observation/l1") == level()
