"""The authorization server of one registered EHR, as SMART App Launch describes it.

https://hl7.org/fhir/smart-app-launch/ (2.2): discovery at the registered FHIR base, authorization
code with PKCE, and an id_token that says who signed in. Calls go to the registered base, and to
endpoints on its origin or on one the settings name - never to where a request says. Answers are
bounded in time and size, redirects are not followed, and nothing of an answer stands in an error.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
from msgspec import Struct

from cds.fhir.bounded import BodyError, bounded_body
from cds.fhir.client import FetchError, FetchLimits, FhirClient, same_origin
from cds.fhir.parse import JsonError, Limits, load_json
from cds.settings import ClientSettings, SmartSettings
from cds.web.auth.keys import OF_ID_TOKENS, Fetch, KeySet, KeySource
from cds.web.auth.tokens import (
    RejectedToken,
    check_signature,
    check_times,
    signature_terms,
    text,
    unverified,
)

_PATIENCE_S = 5.0
_LARGEST_ANSWER = 256 * 1024
_REMEMBER_S = 600.0
_REMEMBER_FAILURE_S = 5.0
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFE = timedelta(minutes=4)
_LONGEST_ID_TOKEN = timedelta(hours=24)
_ID_ALGORITHMS = frozenset(name for names in OF_ID_TOKENS.values() for name in names)
_PERSON = re.compile(r"([A-Za-z]+)/([A-Za-z0-9.\-]{1,200})")
_PATIENT = re.compile(r"(?:Patient/)?([A-Za-z0-9.\-]{1,255})")


class SignInFailed(Exception):  # noqa: N818 - an answer to the browser, not a defect
    """The EHR did not prove who signs in; `reason` is from a closed set and tells no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Endpoints(Struct, frozen=True):
    """What the EHR says of itself."""

    issuer: str
    authorize: str
    token: str
    keys: str


class SignedIn(Struct, frozen=True):
    """Who signed in, and what the EHR had opened."""

    user: str
    patient: str | None
    app_context: str | None


@dataclass
class Ehr:
    """Signs users in by way of one registered EHR."""

    client: ClientSettings
    smart: SmartSettings
    fetch: Fetch
    transport: httpx.BaseTransport | None = None
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    _endpoints: Endpoints | None = None
    _asked_at: float | None = None
    _keys: KeySource | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def base(self) -> str:
        """The registered FHIR base: the `iss` of a launch and the `aud` of the authorization."""
        return self.client.fhir_base or ""

    def endpoints(self) -> Endpoints:
        """What the EHR says of itself, asked at most every few minutes. Raises SignInFailed."""
        with self._lock:
            asked, now = self._asked_at, self.monotonic()
            age = _REMEMBER_S if asked is None else now - asked
            if self._endpoints is not None and age < _REMEMBER_S:
                return self._endpoints
            if self._endpoints is None and age < _REMEMBER_FAILURE_S:
                raise SignInFailed("ehr-unreachable")
            self._asked_at = now
            self._endpoints = None
            self._endpoints = self._discover()
            return self._endpoints

    def authorize_url(
        self, *, launch: str, state: str, nonce: str, verifier: str, back_to: str
    ) -> str:
        """Where the browser goes to be signed in."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.smart.client_id,
            "redirect_uri": back_to,
            "launch": launch,
            "scope": " ".join(self.smart.scopes),
            "state": state,
            "aud": self.base,
            "nonce": nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.endpoints().authorize}?{urlencode(asked)}"

    def sign_in(
        self, *, code: str, verifier: str, nonce: str, back_to: str, now: datetime
    ) -> SignedIn:
        """Exchange the code, and verify who signed in. Raises SignInFailed."""
        endpoints = self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back_to,
            "code_verifier": verifier,
        }
        answer = self._post(endpoints.token, form, now)
        claims = self._verified(text(answer, "id_token"), endpoints, nonce, now)
        return SignedIn(
            user=self._person(claims.get("fhirUser")),
            patient=_patient(answer.get("patient")),
            app_context=text(answer, "appContext") or None,
        )

    def _discover(self) -> Endpoints:
        limits = FetchLimits(bytes_per_response=_LARGEST_ANSWER, connect_s=_PATIENCE_S)
        deadline = time.monotonic() + _PATIENCE_S
        try:
            with FhirClient(self.base, deadline, limits=limits, transport=self.transport) as ehr:
                found = ehr.get_json(".well-known/smart-configuration")
        except FetchError:
            raise SignInFailed("ehr-unreachable") from None
        methods = found.get("code_challenge_methods_supported", ["S256"])
        if not isinstance(methods, list) or "S256" not in methods:
            raise SignInFailed("ehr-without-pkce")
        issuer = self.smart.issuer or text(found, "issuer") or self.base
        endpoints = Endpoints(
            issuer=issuer,
            authorize=self._allowed(text(found, "authorization_endpoint")),
            token=self._allowed(text(found, "token_endpoint")),
            keys=self._allowed(text(found, "jwks_uri")),
        )
        if self._keys is None or self._keys.url != endpoints.keys:
            self._keys = KeySource(
                self.client.id, KeySet({}), endpoints.keys, self.fetch, algorithms=OF_ID_TOKENS
            )
        return endpoints

    def _allowed(self, url: str) -> str:
        """An endpoint on the origin of the base, or on one that is registered."""
        parts = urlsplit(url)
        if parts.query or parts.fragment or not url.isascii() or any(c <= " " for c in url):
            raise SignInFailed("ehr-endpoint")
        if not any(same_origin(url, origin) for origin in (self.base, *self.smart.origins)):
            raise SignInFailed("ehr-endpoint")
        return url

    def _post(self, url: str, form: Mapping[str, str], now: datetime) -> dict[str, Any]:
        form, headers = self._with_proof(url, dict(form), now)
        try:
            raw = self._answer(url, form, headers)
            found = load_json(raw, limits=Limits(bytes=_LARGEST_ANSWER))
        except (httpx.HTTPError, httpx.InvalidURL):
            raise SignInFailed("ehr-unreachable") from None
        except (BodyError, JsonError):
            raise SignInFailed("ehr-answer") from None
        if not isinstance(found, dict):
            raise SignInFailed("ehr-answer")
        return found

    def _answer(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        ends = time.monotonic() + _PATIENCE_S
        with (
            httpx.Client(
                transport=self.transport,
                trust_env=False,
                follow_redirects=False,
                timeout=_PATIENCE_S,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            ) as http,
            http.stream("POST", url, data=dict(form), headers=dict(headers)) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise SignInFailed("code-refused")
            return bounded_body(response, most_bytes=_LARGEST_ANSWER, ends=ends)

    def _with_proof(
        self, url: str, form: dict[str, str], now: datetime
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The form and headers with what proves that it is us who ask."""
        smart = self.smart
        if smart.key_file is not None:
            assertion = self._assertion(url, now)
            return form | {"client_assertion_type": _ASSERTION, "client_assertion": assertion}, {}
        secret = _secret(smart)
        if secret is None:
            return form | {"client_id": smart.client_id}, {}
        pair = f"{quote(smart.client_id, safe='')}:{quote(secret, safe='')}"
        return form, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _assertion(self, url: str, now: datetime) -> str:
        smart = self.smart
        claims = {
            "iss": smart.client_id,
            "sub": smart.client_id,
            "aud": url,
            "iat": now,
            "exp": now + _ASSERTION_LIFE,
            "jti": self.new_id(),
        }
        try:
            key = smart.key_file.read_text(encoding="ascii") if smart.key_file else ""
            headers = {"kid": smart.key_id, "typ": "JWT"}
            return jwt.encode(claims, key, algorithm=smart.algorithm, headers=headers)
        except (OSError, ValueError, TypeError, jwt.PyJWTError):
            raise SignInFailed("own-key") from None

    def _verified(
        self, token: str, endpoints: Endpoints, nonce: str, now: datetime
    ) -> Mapping[str, Any]:
        """The claims of an id_token that this EHR signed for us, for this sign-in, just now."""
        if self._keys is None or not token:
            raise SignInFailed("id-token")
        try:
            header, claims = unverified(token)
            algorithm, kid = signature_terms(header, _ID_ALGORITHMS, typed=False)
            self._check_addressed(claims, endpoints.issuer, nonce)
            check_times(claims, now, _LONGEST_ID_TOKEN)
            check_signature(token, self._keys, algorithm, kid, self.monotonic())
        except RejectedToken:
            raise SignInFailed("id-token") from None
        return claims

    def _check_addressed(self, claims: Mapping[str, Any], issuer: str, nonce: str) -> None:
        """From this EHR, to us, in answer to this sign-in."""
        if text(claims, "iss") != issuer:
            raise RejectedToken("issuer")
        if not hmac.compare_digest(text(claims, "nonce").encode(), nonce.encode()):
            raise RejectedToken("nonce")
        audience, ours = claims.get("aud"), self.smart.client_id
        named = audience if isinstance(audience, list) else [audience]
        party = claims.get("azp", ours if len(named) == 1 else None)
        if ours not in named or party != ours:
            raise RejectedToken("audience")

    def _person(self, value: Any) -> str:
        """Who signed in, as a reference on this EHR's FHIR server; not the patient themself."""
        named = value.removeprefix(f"{self.base}/") if isinstance(value, str) else ""
        read = _PERSON.fullmatch(named)
        if read is None:
            raise SignInFailed("nobody")
        if read[1] not in ("Practitioner", "PractitionerRole"):
            raise SignInFailed("not-a-professional")
        return named


def _patient(value: Any) -> str | None:
    if value is None:
        return None
    read = _PATIENT.fullmatch(value) if isinstance(value, str) else None
    if read is None:
        raise SignInFailed("ehr-answer")
    return read[1]


def _secret(smart: SmartSettings) -> str | None:
    if smart.client_secret is not None:
        return smart.client_secret.get_secret_value()
    if smart.client_secret_file is None:
        return None
    try:
        return smart.client_secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SignInFailed("own-key") from None
