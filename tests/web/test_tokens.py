"""Only a token of a registered client, for this endpoint, for the first time, gets in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
import pytest
from flask.testing import FlaskClient

from cds.services import Services
from cds.settings import ClientSettings, SettingsError
from cds.web import create_app
from cds.web.auth import KeySet, KeySource, fetch_keys
from tests.fhir import fake_ehr as fake
from tests.web.fakes import FakeClock, FakeDesk
from tests.web.requests import ORDERS, hook_request
from tests.web.tokens import (
    BASE,
    JWKS_URL,
    claims,
    ec_key,
    header,
    jwks,
    registration,
    rsa_key,
    sign,
    sign_raw,
)

BARE = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login"}]}


@pytest.fixture
def app_with(make_services: Callable[..., Services], desk: FakeDesk) -> Callable[..., FlaskClient]:
    def make(*clients: dict[str, Any], fetch: Any = None, **settings: Any) -> FlaskClient:
        registered = tuple(ClientSettings.model_validate(c) for c in clients or [registration()])
        services = make_services(desk=desk, clients=registered, public_base_url=BASE, **settings)
        return create_app(services, **({"fetch": fetch} if fetch else {})).test_client()

    return make


def call(client: FlaskClient, token: str | None, url: str = ORDERS) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return client.post(url, json=hook_request(), headers=headers)


@pytest.mark.parametrize("key", [ec_key(), rsa_key()], ids=["ES384", "RS384"])
def test_a_good_token_of_either_algorithm_is_accepted(app_with, desk: FakeDesk, key):
    response = call(app_with(), sign(key, claims(ORDERS)))

    assert response.status_code == 200
    assert desk.calls[0][1].id == "north"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["https://elsewhere.example.org", f"{BASE}{ORDERS}"]},
        {"aud": f"{BASE}{ORDERS}/"},
        {"nbf": 1763890000, "sub": "epic"},
        {"tenant": "any"},
    ],
    ids=["one-of-several-audiences", "trailing-slash", "epic-nbf-and-sub", "tenant-not-limited"],
)
def test_variants_that_real_clients_send_are_accepted(app_with, changes):
    assert call(app_with(), sign(ec_key(), claims(ORDERS, **changes))).status_code == 200


def test_an_alias_of_the_audience_is_accepted_when_it_is_registered(app_with):
    client = app_with(registration(audiences=["https://tdm.hospital.example/hooks"]))

    token = sign(ec_key(), claims(ORDERS, aud="https://tdm.hospital.example/hooks"))

    assert call(client, token).status_code == 200


def test_discovery_and_feedback_have_their_own_audience(app_with):
    client = app_with()
    for_call = sign(ec_key(), claims(ORDERS))
    for_discovery = sign(ec_key(), claims("/cds-services"))
    for_feedback = sign(ec_key(), claims(f"{ORDERS}/feedback"))

    def discover(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return client.get("/cds-services", headers=headers).status_code

    assert discover(for_call) == 401
    assert discover(for_discovery) == 200
    feedback = client.post(
        f"{ORDERS}/feedback",
        json={"feedback": []},
        headers={"Authorization": f"Bearer {for_feedback}"},
    )
    assert feedback.status_code == 200


def _at(offset: int) -> int:
    return claims(ORDERS)["iat"] + offset


def bad_tokens() -> Mapping[str, str | None]:
    """25 tokens that must not get in, each for one reason."""
    good = claims(ORDERS)
    ec, rsa = ec_key(), rsa_key()
    stranger = ec_key("stranger")
    signed = sign(ec, good)
    head, payload, signature = signed.split(".")
    other_payload = sign(ec, claims(ORDERS, iss="https://other.example.org")).split(".")[1]
    return {
        "no token": None,
        "empty": "",
        "not a token": "abc",
        "two parts": f"{head}.{payload}",
        "algorithm none": sign_raw("none", None, header(ec, alg="none"), good),
        "algorithm none with a signature": sign_raw("none", None, header(ec, alg="none"), good)
        + signature,
        "symmetric with the public key": sign_raw(
            "HS384", b"x" * 48, header(rsa, alg="HS384"), good
        ),
        "ES256": sign_raw("ES384", ec.private, header(ec, alg="ES256"), good),
        "RS256": sign_raw("RS256", rsa.private, header(rsa, alg="RS256"), good),
        "RSA named for the EC key": sign_raw("RS384", rsa.private, header(ec), good),
        "signature cut": signed[:-6],
        "signature of another payload": f"{head}.{other_payload}.{signature}",
        "signed by a stranger under a known kid": sign_raw(
            "ES384", stranger.private, header(ec), good
        ),
        "unknown kid": sign(stranger, good),
        "no kid": sign(ec, good, kid=...),
        "other typ": sign(ec, good, typ="at+jwt"),
        "key inside the header": sign(stranger, good, kid=ec.kid, jwk=stranger.public_jwk),
        "jku that is not registered": sign(ec, good, jku="https://evil.example.org/jwks"),
        "jku that is a list": sign(ec, good, jku=[]),
        "critical extension": sign(ec, good, crit=["b64"], b64=True),
        "unknown issuer": sign(ec, claims(ORDERS, iss="https://other.example.org")),
        "no issuer": sign(ec, claims(ORDERS, iss=...)),
        "audience of another service": sign(ec, claims("/cds-services/other")),
        "audience of discovery": sign(ec, claims("/cds-services")),
        "no audience": sign(ec, claims(ORDERS, aud=...)),
        "expired": sign(ec, claims(ORDERS, iat=_at(-700), exp=_at(-400))),
        "no expiry": sign(ec, claims(ORDERS, exp=...)),
        "issued in the future": sign(ec, claims(ORDERS, iat=_at(600), exp=_at(900))),
        "no issue time": sign(ec, claims(ORDERS, iat=...)),
        "not yet valid": sign(ec, claims(ORDERS, nbf=_at(600))),
        "valid for a year": sign(ec, claims(ORDERS, exp=_at(365 * 86400))),
        "expiry as text": sign(ec, claims(ORDERS, exp="tomorrow")),
        "expiry beyond all time": sign(ec, claims(ORDERS, exp=10**40)),
        "expiry beyond all numbers": sign(ec, claims(ORDERS, exp=10**400)),
        "expiry that is no number": sign(ec, claims(ORDERS, exp=float("nan"))),
        "expiry at the end of time": sign(ec, claims(ORDERS, exp=253402300799)),
        "issued at the beginning of time": sign(ec, claims(ORDERS, iat=-62135596800)),
        "not before the beginning of time": sign(ec, claims(ORDERS, nbf=-62135596800)),
        "no token id": sign(ec, claims(ORDERS, jti=...)),
        "token id of 300 characters": sign(ec, claims(ORDERS, jti="x" * 300)),
        "a token of 9 kB": sign(ec, claims(ORDERS, padding="x" * 9000)),
    }


def test_every_bad_token_gets_the_same_bare_401(app_with, desk: FakeDesk):
    client = app_with()
    tokens = bad_tokens()
    assert len(tokens) >= 25

    answers = {name: call(client, token) for name, token in tokens.items()}

    assert {name: r.status_code for name, r in answers.items()} == dict.fromkeys(tokens, 401)
    assert [name for name, r in answers.items() if r.get_json() != BARE] == []
    assert len({r.get_data() for r in answers.values()}) == 1
    assert len({tuple(sorted(r.headers.items())) for r in answers.values()}) == 1
    assert desk.calls == []


def test_a_token_is_accepted_once_even_by_another_worker(app_with):
    one, other = app_with(), app_with()
    token = sign(ec_key(), claims(ORDERS))

    assert call(one, token).status_code == 200
    assert call(one, token).status_code == 401
    assert call(other, token).status_code == 401


def test_a_forged_token_does_not_use_up_the_id_of_a_good_one(app_with):
    client = app_with()
    payload = claims(ORDERS)
    forged = sign_raw("ES384", ec_key("stranger").private, header(ec_key()), payload)

    assert call(client, forged).status_code == 401
    assert call(client, sign(ec_key(), payload)).status_code == 200


def test_a_tenant_that_is_not_allowed_is_refused(app_with):
    client = app_with(registration(tenants=["clinic-a"]))

    assert call(client, sign(ec_key(), claims(ORDERS, tenant="clinic-a"))).status_code == 200
    assert call(client, sign(ec_key(), claims(ORDERS, tenant="clinic-b"))).status_code == 401
    assert call(client, sign(ec_key(), claims(ORDERS))).status_code == 401


def test_leeway_of_clocks_is_a_minute(app_with):
    client = app_with()
    just = sign(ec_key(), claims(ORDERS, iat=_at(-350), exp=_at(-50)))
    over = sign(ec_key(), claims(ORDERS, iat=_at(-361), exp=_at(-61)))

    assert call(client, just).status_code == 200
    assert call(client, over).status_code == 401


class KeyServer:
    """Counts fetches of a key set that can be exchanged."""

    def __init__(self, *keys: Any) -> None:
        self.keys = keys
        self.fetched: list[str] = []
        self.down = False

    def __call__(self, url: str) -> Mapping[str, Any]:
        self.fetched.append(url)
        if self.down:
            raise httpx.ConnectError("down")
        return jwks(*self.keys)


def by_url() -> dict[str, Any]:
    return registration(jwks=None, jwks_url=JWKS_URL)


def test_keys_come_from_the_registered_address_only(app_with):
    server = KeyServer(ec_key())
    client = app_with(by_url(), fetch=server)

    assert call(client, sign(ec_key(), claims(ORDERS), jku=JWKS_URL)).status_code == 200
    assert (
        call(client, sign(ec_key(), claims(ORDERS), jku="http://169.254.169.254/")).status_code
        == 401
    )
    assert server.fetched == [JWKS_URL]


def test_a_rotated_key_is_fetched_once_and_guessing_kids_fetches_no_more(
    app_with, clock: FakeClock
):
    server = KeyServer(ec_key("old"))
    client = app_with(by_url(), fetch=server)
    assert call(client, sign(ec_key("old"), claims(ORDERS))).status_code == 200
    server.keys = (ec_key("new"),)
    clock.pass_time(61)

    statuses = [call(client, sign(ec_key("new"), claims(ORDERS, clock.now))).status_code]
    for guess in range(20):
        token = sign(ec_key("stranger"), claims(ORDERS, clock.now), kid=f"guess-{guess}")
        statuses.append(call(client, token).status_code)

    assert statuses == [200] + [401] * 20
    assert len(server.fetched) == 2
    assert call(client, sign(ec_key("old"), claims(ORDERS, clock.now))).status_code == 401


def test_an_unknown_kid_within_a_minute_of_the_last_fetch_is_401_without_a_fetch(app_with):
    server = KeyServer(ec_key("old"))
    client = app_with(by_url(), fetch=server)
    call(client, sign(ec_key("old"), claims(ORDERS)))
    server.keys = (ec_key("new"),)

    assert call(client, sign(ec_key("new"), claims(ORDERS))).status_code == 401
    assert len(server.fetched) == 1


def test_known_keys_stay_in_force_while_the_address_is_down(app_with, clock: FakeClock):
    server = KeyServer(ec_key())
    client = app_with(by_url(), fetch=server)
    assert call(client, sign(ec_key(), claims(ORDERS))).status_code == 200
    server.down = True
    clock.pass_time(2 * 3600)

    assert call(client, sign(ec_key(), claims(ORDERS, clock.now))).status_code == 200
    assert len(server.fetched) == 2


@pytest.mark.parametrize(
    "answer",
    [
        fake.drip,
        fake.raw(b"[" * 100_000),
        fake.raw(b"[]"),
        fake.raw(b"{", 200),
        fake.raw(b"{}", 200, Content_Encoding="gzip"),
        fake.raw(b"{}", 500),
    ],
    ids=["drip", "deep", "list", "cut", "compressed", "failing"],
)
def test_an_address_of_keys_that_misbehaves_is_a_failure_in_time(answer: fake.Answer):
    with fake.fake_ehr() as server:
        server.answers["jwks"] = answer
        source = KeySource("north", KeySet({}), f"{server.base}/jwks", fetch_keys)

        assert source.find("k", "ES384", 0.0) is None  # it returns at all
        assert source.fetched_at is None


def test_a_client_without_a_usable_key_is_a_mistake_in_the_settings(app_with):
    weak = rsa_key("weak", 1024)
    symmetric = {"kty": "oct", "kid": "s", "k": "c2VjcmV0"}

    with pytest.raises(SettingsError, match="north"):
        app_with(registration(jwks={"keys": [weak.public_jwk, symmetric, "text", {}]}))


def test_two_clients_have_their_own_keys(app_with, desk: FakeDesk):
    south = registration(id="south", issuer="https://south.example.org", jwks=jwks(ec_key("south")))
    client = app_with(registration(), south)

    good = sign(ec_key("south"), claims(ORDERS, iss="https://south.example.org"))
    crossed = sign(ec_key(), claims(ORDERS, iss="https://south.example.org"))

    assert call(client, good).status_code == 200
    assert desk.calls[-1][1].id == "south"
    assert call(client, crossed).status_code == 401


def test_the_helper_signs_as_the_library_does():
    payload = claims(ORDERS)
    token = sign(ec_key(), payload)

    decoded = jwt.decode(
        token,
        ec_key().private.public_key(),
        algorithms=["ES384"],
        options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
    )
    assert decoded == payload
