"""SMART Backend Services: a signed assertion, a token kept until it expires."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cds.alerts.settings import BackendClient
from cds.alerts.tokens import TokenSource
from cds.fhir.client import FetchError
from tests.alerts.build import FakeClock

TOKEN_URL = "https://auth.example.org/token"


class Authority:
    """A token server that keeps the forms it was sent."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answer: tuple[int, Any] = (200, {"access_token": "token", "expires_in": 300})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        self.forms.append({name: values[0] for name, values in form.items()})
        status, body = self.answer
        if status == 200 and isinstance(body, dict) and body.get("access_token") == "token":
            body = {**body, "access_token": f"token-{len(self.forms)}"}
        if isinstance(body, bytes):
            return httpx.Response(status, content=body)
        return httpx.Response(status, json=body)


@pytest.fixture
def authority() -> Authority:
    return Authority()


def source(
    authority: Authority, clock: FakeClock, tmp_path: Path, algorithm: Any = "ES384"
) -> tuple[TokenSource, Any]:
    key: Any = (
        ec.generate_private_key(ec.SECP384R1())
        if algorithm == "ES384"
        else rsa.generate_private_key(65537, 2048)
    )
    file = tmp_path / "key.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    client = BackendClient(
        client_id="tdm", token_url=TOKEN_URL, key_file=file, key_id="k1", algorithm=algorithm
    )
    http = httpx.Client(transport=httpx.MockTransport(authority))
    return TokenSource(client, http, clock.now), key.public_key()


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_the_assertion_is_what_the_specification_asks_for(
    authority: Authority, clock: FakeClock, tmp_path: Path, algorithm: str
) -> None:
    tokens, public = source(authority, clock, tmp_path, algorithm)
    assert tokens.token() == "token-1"
    (form,) = authority.forms
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"].endswith(":jwt-bearer")
    assertion = form["client_assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": algorithm, "kid": "k1", "typ": "JWT"}
    claims = jwt.decode(
        assertion,
        public,
        algorithms=[algorithm],
        audience=TOKEN_URL,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == claims["sub"] == "tdm"
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert claims["jti"]


def test_a_token_is_kept_until_shortly_before_it_expires(
    authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    tokens, _ = source(authority, clock, tmp_path)
    seen = []
    for _ in range(5):
        seen.append(tokens.token())
        clock.advance(seconds=100)
    assert seen == ["token-1"] * 3 + ["token-2"] * 2


def test_each_assertion_has_an_id_of_its_own(
    authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    tokens, _ = source(authority, clock, tmp_path)
    tokens.forget(tokens.token())
    tokens.token()
    read = [
        jwt.decode(form["client_assertion"], options={"verify_signature": False})["jti"]
        for form in authority.forms
    ]
    assert len(set(read)) == 2


def test_a_clock_that_is_set_back_does_not_keep_a_token_alive(
    authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    tokens, _ = source(authority, clock, tmp_path)
    tokens.token()
    clock.advance(days=-400)
    assert tokens.token() == "token-2"


@pytest.mark.parametrize(
    "answer",
    [
        (400, {}),
        (500, {}),
        (200, []),
        (200, {"access_token": 7}),
        (200, {}),
        (200, {"access_token": "t\r\nX-Other: 1"}),
        (200, {"access_token": "tök"}),
        (200, {"access_token": "t", "more": "x" * 100_000}),
        (200, b"[" * 50_000),
    ],
)
def test_no_token_is_a_passing_failure(
    authority: Authority, clock: FakeClock, tmp_path: Path, answer: tuple[int, Any]
) -> None:
    tokens, _ = source(authority, clock, tmp_path)
    authority.answer = answer
    with pytest.raises(FetchError) as failed:
        tokens.token()
    assert failed.value.reason == "not-authorised"


def test_a_missing_key_file_is_a_passing_failure(
    authority: Authority, clock: FakeClock, tmp_path: Path
) -> None:
    tokens, _ = source(authority, clock, tmp_path)
    (tmp_path / "key.pem").unlink()
    with pytest.raises(FetchError):
        tokens.token()
