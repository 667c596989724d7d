"""Access tokens by SMART Backend Services: a signed assertion for a token, kept until it expires.

https://hl7.org/fhir/smart-app-launch/backend-services.html: client_credentials with a
private_key_jwt of at most five minutes; there are no refresh tokens.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import jwt

from cds.alerts.settings import BackendClient
from cds.fhir.client import FetchError

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFE: Final = timedelta(minutes=4)
_EARLY: Final = timedelta(seconds=60)
_DEFAULT_LIFE_S: Final = 300
_LARGEST_ANSWER: Final = 64 * 1024


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
        try:
            answer = self.http.post(self.client.token_url, data=form)
        except httpx.HTTPError:
            raise FetchError("unreachable", "the token server could not be reached") from None
        if answer.status_code != httpx.codes.OK or len(answer.content) > _LARGEST_ANSWER:
            raise FetchError("not-authorised", "the token server gave no token")
        return _read_token(answer, now)

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


def _read_token(answer: httpx.Response, now: datetime) -> tuple[str, datetime]:
    try:
        values: Any = answer.json()
    except ValueError:
        values = None
    token = values.get("access_token") if isinstance(values, dict) else None
    if not isinstance(token, str) or not token:
        raise FetchError("not-authorised", "the token server's answer holds no token")
    life = values.get("expires_in")
    seconds = life if isinstance(life, int) and 0 < life < 86_400 else _DEFAULT_LIFE_S
    # A short-lived token is used for half its life, so that it is cached at all.
    early = min(_EARLY, timedelta(seconds=seconds / 2))
    return token, now + timedelta(seconds=seconds) - early
