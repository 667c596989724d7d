"""Verify the JWT of a CDS client (https://cds-hooks.hl7.org/2.0/#trusting-cds-clients).

In the order of the CDS Hooks best practices: issuer, audience, times, tenant, signature, and last
the token's id, so that a token with a bad signature cannot use up the id of a good one. Why a token
was rejected is counted, never told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from cds.settings import ClientSettings
from cds.web.auth.keys import KeySource

ALGORITHMS = ("ES384", "RS384")
_LEEWAY = timedelta(seconds=60)
_LONGEST_LIFE = timedelta(hours=1)
_LARGEST_TOKEN = 8 * 1024
_LONGEST_ID = 255

UseOnce = Callable[[str, str, datetime], bool]


class RejectedToken(Exception):  # noqa: N818 - an answer to a stranger, not a defect
    """The token does not prove a registered client; `reason` is from a closed set."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client of the settings with its keys."""

    settings: ClientSettings
    keys: KeySource


class TokenVerifier:
    """Verifies tokens against the registered clients."""

    def __init__(self, clients: Collection[RegisteredClient], use_once: UseOnce) -> None:
        self._by_issuer = {client.settings.issuer: client for client in clients}
        self._use_once = use_once

    def verify(
        self, token: str, audiences: Collection[str], now: datetime, monotonic: float
    ) -> ClientSettings:
        """Return the client that signed `token` for one of `audiences`, or raise RejectedToken."""
        header, claims = _unverified(token)
        algorithm, kid = _signature_terms(header)
        client = self._by_issuer.get(_text(claims, "iss"))
        if client is None:
            raise RejectedToken("issuer")
        settings = client.settings
        # `jku` may only repeat what is registered: keys are never fetched from where a token says.
        if "jku" in header and header["jku"] not in {settings.jwks_url, *settings.allowed_jku}:
            raise RejectedToken("jku")
        _check_audience(claims, {*audiences, *settings.audiences})
        expires = _check_times(claims, now)
        if settings.tenants and claims.get("tenant") not in settings.tenants:
            raise RejectedToken("tenant")
        _check_signature(token, client.keys, algorithm, kid, monotonic)
        token_id = _text(claims, "jti")
        if not token_id or len(token_id) > _LONGEST_ID:
            raise RejectedToken("jti")
        if not self._use_once(settings.id, token_id, expires + 2 * _LEEWAY):
            raise RejectedToken("replay")
        return settings


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if len(token) > _LARGEST_TOKEN:
        raise RejectedToken("size")
    try:
        decoded = jwt.decode_complete(token, options={"verify_signature": False})
    except (PyJWTError, ValueError, RecursionError):
        raise RejectedToken("format") from None
    return decoded["header"], decoded["payload"]


def _signature_terms(header: Mapping[str, Any]) -> tuple[str, str]:
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if algorithm not in ALGORITHMS:
        raise RejectedToken("algorithm")
    if not isinstance(kind, str) or kind.upper() != "JWT" or "crit" in header:
        raise RejectedToken("header")
    if not isinstance(kid, str) or not kid:
        raise RejectedToken("kid")
    return algorithm, kid


def _check_audience(claims: Mapping[str, Any], accepted: Collection[str]) -> None:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(name, str) and name.rstrip("/") in accepted for name in named):
        raise RejectedToken("audience")


def _check_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    expires = _time(claims, "exp")
    issued = _time(claims, "iat")
    if expires + _LEEWAY <= now:
        raise RejectedToken("expired")
    if issued - _LEEWAY > now or expires <= issued:
        raise RejectedToken("issued")
    if expires - issued > _LONGEST_LIFE:
        raise RejectedToken("lifetime")
    if "nbf" in claims and _time(claims, "nbf") - _LEEWAY > now:
        raise RejectedToken("not-before")
    return expires


def _check_signature(
    token: str, keys: KeySource, algorithm: str, kid: str, monotonic: float
) -> None:
    key = keys.find(kid, algorithm, monotonic)
    if key is None:
        raise RejectedToken("key")
    # Times and audience were checked above against our own clock.
    try:
        jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            options={
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
                "verify_iss": False,
                "verify_jti": False,
                "verify_sub": False,
            },
        )
    except (PyJWTError, ValueError):
        raise RejectedToken("signature") from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RejectedToken("time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise RejectedToken("time") from None
