"""Access tokens by SMART Backend Services: a signed assertion for a token, kept until it expires.

https://hl7.org/fhir/smart-app-launch/backend-services.html: client_credentials with a
private_key_jwt of at most five minutes; there are no refresh tokens.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import jwt

from cds.alerts.settings import BackendClient
from cds.fhir.bounded import BodyError, bounded_body
from cds.fhir.client import FetchError
from cds.fhir.parse import JsonError, Limits, load_json

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFE: Final = timedelta(minutes=4)
_EARLY: Final = timedelta(seconds=60)
_DEFAULT_LIFE_S: Final = 300
_LARGEST_ANSWER: Final = 64 * 1024
_PATIENCE_S: Final = 10.0


@dataclass
class TokenSource:
    """Gives the current access token of one server; safe to use from several threads."""

    client: BackendClient
    http: httpx.Client
    now: Callable[[], datetime]
    new_id: Callable[[], str] = field(default=lambda: str(uuid.uuid4()))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _token: str | None = field(default=None, repr=False)
    _until: datetime | None = field(default=None, repr=False)

    def token(self) -> str:
        """The access token; FetchError if the server does not give one."""
        with self._lock:
            now = self.now()
            if self._token is None or self._until is None or not self._usable(now):
                self._token, self._until = self._fetch(now)
            return self._token

    def forget(self, token: str) -> None:
        """Do not use this token again: the server has refused it."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _usable(self, now: datetime) -> bool:
        # A token that seems to live longer than any does shows that the clock was set back.
        return self._until is not None and now < self._until < now + timedelta(days=1)

    def _fetch(self, now: datetime) -> tuple[str, datetime]:
        form = {
            "grant_type": "client_credentials",
            "scope": self.client.scope,
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._assertion(now),
        }
        ends = time.monotonic() + _PATIENCE_S
        asked = {"Accept": "application/json", "Accept-Encoding": "identity"}
        try:
            with self.http.stream(
                "POST", self.client.token_url, data=form, headers=asked
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise FetchError("not-authorised", "the token server gave no token")
                raw = bounded_body(answer, most_bytes=_LARGEST_ANSWER, ends=ends)
        except httpx.HTTPError:
            raise FetchError("unreachable", "the token server could not be reached") from None
        except BodyError:
            raise FetchError("not-authorised", "the token server's answer is no answer") from None
        return _read_token(raw, now)

    def _assertion(self, now: datetime) -> str:
        client = self.client
        try:
            key = client.key_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise FetchError("not-authorised", "the private key file cannot be read") from None
        claims = {
            "iss": client.client_id,
            "sub": client.client_id,
            "aud": client.token_url,
            "iat": now,
            "exp": now + _ASSERTION_LIFE,
            "jti": self.new_id(),
        }
        headers = {"kid": client.key_id, "typ": "JWT"}
        try:
            return jwt.encode(claims, key, algorithm=client.algorithm, headers=headers)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise FetchError("not-authorised", "the private key cannot sign") from None


def _read_token(raw: bytes, now: datetime) -> tuple[str, datetime]:
    try:
        found = load_json(raw, limits=Limits(bytes=_LARGEST_ANSWER))
    except JsonError:
        found = None
    values: Any = found if isinstance(found, dict) else {}
    token = values.get("access_token")
    # The token goes into a header: anything but visible ASCII could start another one.
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise FetchError("not-authorised", "the token server's answer holds no token")
    life = values.get("expires_in")
    seconds = life if isinstance(life, int) and 0 < life < 86_400 else _DEFAULT_LIFE_S
    # A short-lived token is used for half its life, so that it is cached at all.
    early = min(_EARLY, timedelta(seconds=seconds / 2))
    return token, now + timedelta(seconds=seconds) - early
