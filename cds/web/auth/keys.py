"""The public keys of a client: inline, from a file, or from its registered address.

Only asymmetric signature keys are kept: those that suit ES384 or RS384 for calls of clients, and
what OpenID Connect uses besides for the id_token of a user. A key set from an address is
fetched from the registered address alone - never from one that a token names - and again when a
token names an unknown key, at most once a minute, so that rotation works and guessing does not turn
into requests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from cds.fhir.bounded import bounded_body
from cds.fhir.parse import Limits, load_json
from cds.settings import ClientSettings, SettingsError
from cds.telemetry import error_fields, log

_REFETCH_AFTER_S = 60.0
_STALE_AFTER_S = 3600.0
_FETCH_TIMEOUT_S = 0.8
_LARGEST_KEY_SET = 256 * 1024
_SHORTEST_RSA_KEY = 2048

Fetch = Callable[[str], Mapping[str, Any]]
Algorithms = Mapping[str, tuple[str, ...]]
"""Kind of key (RSA, or the name of a curve) -> what it may sign with, first the usual one."""

OF_CLIENTS: Algorithms = {"RSA": ("RS384",), "secp384r1": ("ES384",)}
OF_ID_TOKENS: Algorithms = {
    "RSA": ("RS256", "RS384"),
    "secp256r1": ("ES256",),
    "secp384r1": ("ES384",),
}


class KeySet:
    """Verification keys by key id, each usable for exactly one algorithm."""

    def __init__(self, jwks: Mapping[str, Any], algorithms: Algorithms = OF_CLIENTS) -> None:
        self._keys: dict[str, tuple[str, Any]] = {}
        keys = jwks.get("keys")
        for jwk in keys if isinstance(keys, list) else ():
            usable = _usable_key(jwk, algorithms)
            if usable:
                self._keys[jwk["kid"]] = usable

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str, algorithm: str) -> Any | None:
        """The public key for this id, when it is made for this algorithm."""
        found = self._keys.get(kid)
        return found[1] if found and found[0] == algorithm else None


@dataclass
class KeySource:
    """The key set of one client, refreshed from its address where it has one."""

    client: str
    keys: KeySet
    url: str | None = None
    fetch: Fetch | None = None
    fetched_at: float | None = None
    tried_at: float | None = None
    algorithms: Algorithms = field(default_factory=lambda: OF_CLIENTS)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def from_settings(cls, client: ClientSettings, fetch: Fetch) -> KeySource:
        """Build the source a client is registered with; a key set without a key is a mistake."""
        if client.jwks_url:
            return cls(client.id, KeySet({}), client.jwks_url, fetch)
        keys = KeySet(client.jwks or _read_key_file(client))
        if not keys:
            raise SettingsError(
                f"clients: {client.id}: the key set holds no usable public key; "
                "it needs a kid and an EC P-384 key (ES384) or an RSA key of 2048 bits (RS384)"
            )
        return cls(client.id, keys)

    def find(self, kid: str, algorithm: str, monotonic: float) -> Any | None:
        """Find a key; an unknown one causes one refetch a minute at most."""
        stale = self.fetched_at is None or monotonic - self.fetched_at > _STALE_AFTER_S
        found = self.keys.find(kid, algorithm)
        if self.fetch is None or self.url is None or (found is not None and not stale):
            return found
        self._refresh(self.url, self.fetch, monotonic)
        return self.keys.find(kid, algorithm)

    def _refresh(self, url: str, fetch: Fetch, monotonic: float) -> None:
        with self._lock:
            if self.tried_at is not None and monotonic - self.tried_at < _REFETCH_AFTER_S:
                return
            self.tried_at = monotonic
            try:
                keys = KeySet(fetch(url), self.algorithms)
            except (httpx.HTTPError, ValueError) as error:
                # The keys we have stay in force: an address that is down must not end all calls.
                log().warning("keys-not-fetched", client=self.client, **error_fields(error))
                return
            self.keys = keys
            self.fetched_at = monotonic
            log().info("keys-fetched", client=self.client, count=len(keys))


def fetch_keys(url: str) -> Mapping[str, Any]:
    """Fetch a key set from a registered address: no redirects, no proxy, bounded."""
    ends = time.monotonic() + _FETCH_TIMEOUT_S
    asked = {"Accept": "application/json", "Accept-Encoding": "identity"}
    with (
        httpx.Client(timeout=_FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
        client.stream("GET", url, headers=asked) as response,
    ):
        if response.status_code != 200:
            raise ValueError("the address did not answer 200")
        body = bounded_body(response, most_bytes=_LARGEST_KEY_SET, ends=ends)
    return _key_set(body)


def _key_set(raw: bytes) -> Mapping[str, Any]:
    """Read a key set. Raises ValueError, also for one that is nested beyond all sense."""
    value = load_json(raw, limits=Limits(bytes=_LARGEST_KEY_SET))
    if not isinstance(value, dict):
        raise ValueError("the key set is not an object")  # noqa: TRY004 - one kind for callers
    return value


def _read_key_file(client: ClientSettings) -> Mapping[str, Any]:
    if client.jwks_file is None:
        return {}
    try:
        return _key_set(client.jwks_file.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"clients: {client.id}: jwks_file {client.jwks_file} cannot be read: "
            f"{type(error).__name__}"
        ) from None


def _usable_key(jwk: Any, algorithms: Algorithms) -> tuple[str, Any] | None:
    """The algorithm and public key of a JWK, or None for what may not verify anything here."""
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        return None
    if jwk.get("use", "sig") != "sig":
        return None
    kind = _CURVES.get(str(jwk.get("crv"))) if jwk.get("kty") == "EC" else jwk.get("kty")
    allowed = algorithms.get(str(kind))
    if not allowed or jwk.get("alg", allowed[0]) not in allowed:
        return None
    algorithm = str(jwk.get("alg", allowed[0]))
    public = {name: value for name, value in jwk.items() if name not in _PRIVATE_PARTS}
    try:
        key = PyJWK(public, algorithm=algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name == kind:
        return algorithm, key
    if isinstance(key, RSAPublicKey) and key.key_size >= _SHORTEST_RSA_KEY:
        return algorithm, key
    return None


_CURVES = {"P-256": "secp256r1", "P-384": "secp384r1"}
_PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
