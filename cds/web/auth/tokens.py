"""Verify the JWT of a CDS client (https://cds-hooks.hl7.org/2.0/#trusting-cds-clients).

In the order of the CDS Hooks best practices: issuer, audience, times, tenant, signature, and last
the token's id, so that a token with a bad signature cannot use up the id of a good one. Why a token
was rejected is counted, never told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.exceptions import PyJWTError
from msgspec import Struct

from cds.settings import ClientSettings
from cds.web.auth.keys import KeySource

ALGORITHMS = ("ES384", "RS384")
_LEEWAY = timedelta(seconds=60)
_LONGEST_LIFE = timedelta(hours=1)
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Between them leeway can be added and taken away."""
_LARGEST_TOKEN = 8 * 1024
_LONGEST_ID = 255

UseOnce = Callable[[str, str, datetime], bool]


class RejectedToken(Exception):  # noqa: N818 - an answer to a stranger, not a defect
    """The token does not prove a registered client; `reason` is from a closed set."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RegisteredClient(Struct, frozen=True):
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
        header, claims = unverified(token)
        algorithm, kid = signature_terms(header)
        client = self._by_issuer.get(text(claims, "iss"))
        if client is None:
            raise RejectedToken("issuer")
        settings = client.settings
        # `jku` may only repeat what is registered: keys are never fetched from where a token says.
        if "jku" in header and header["jku"] not in (settings.jwks_url, *settings.allowed_jku):
            raise RejectedToken("jku")
        _check_audience(claims, {*audiences, *settings.audiences})
        expires = check_times(claims, now)
        if settings.tenants and claims.get("tenant") not in settings.tenants:
            raise RejectedToken("tenant")
        check_signature(token, client.keys, algorithm, kid, monotonic)
        token_id = text(claims, "jti")
        if not token_id or len(token_id) > _LONGEST_ID:
            raise RejectedToken("jti")
        if not self._use_once(settings.id, token_id, expires + 2 * _LEEWAY):
            raise RejectedToken("replay")
        return settings


def unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims of a token, of which nothing is proven yet."""
    if len(token) > _LARGEST_TOKEN:
        raise RejectedToken("size")
    try:
        decoded = jwt.decode_complete(token, options={"verify_signature": False})
    except (PyJWTError, ValueError, RecursionError):
        raise RejectedToken("format") from None
    return decoded["header"], decoded["payload"]


def signature_terms(
    header: Mapping[str, Any], algorithms: Collection[str] = ALGORITHMS, *, typed: bool = True
) -> tuple[str, str]:
    """Algorithm and key id; a `typed` token must say that it is a JWT."""
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise RejectedToken("algorithm")
    kind = header.get("typ", None if typed else "JWT")
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


def check_times(
    claims: Mapping[str, Any], now: datetime, longest: timedelta = _LONGEST_LIFE
) -> datetime:
    """When the token expires, by our own clock."""
    expires = _time(claims, "exp")
    issued = _time(claims, "iat")
    if expires + _LEEWAY <= now:
        raise RejectedToken("expired")
    if issued - _LEEWAY > now or expires <= issued:
        raise RejectedToken("issued")
    if expires - issued > longest:
        raise RejectedToken("lifetime")
    if "nbf" in claims and _time(claims, "nbf") - _LEEWAY > now:
        raise RejectedToken("not-before")
    return expires


def check_signature(
    token: str, keys: KeySource, algorithm: str, kid: str, monotonic: float
) -> None:
    """Verify the signature alone; audience and times are checked against our own clock."""
    key = keys.find(kid, algorithm, monotonic)
    if key is None:
        raise RejectedToken("key")
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


def text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that should be text; empty when it is none."""
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RejectedToken("time")
    try:
        at = datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):  # NaN and infinity too
        raise RejectedToken("time") from None
    if not _EARLIEST < at < _LATEST:
        raise RejectedToken("time")
    return at
