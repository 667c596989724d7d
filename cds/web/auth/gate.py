"""Decide for each request who is calling and whether it may go on."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from flask import Request

from cds.services.call import Caller
from cds.settings import ClientSettings, Settings
from cds.telemetry import Metrics
from cds.web.auth.ratelimit import RateLimits
from cds.web.auth.tokens import RejectedToken, TokenVerifier
from cds.web.errors import Issue, Refusal, refuse

LOOPBACK_CLIENT = "loopback"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Gate:
    """Names the caller of a request, or refuses it."""

    def __init__(
        self,
        settings: Settings,
        verifier: TokenVerifier | None,
        limits: RateLimits,
        metrics: Metrics,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._verifier = verifier
        self._limits = limits
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic

    @property
    def open_loopback(self) -> bool:
        """Whether calls are answered without a token (no client is registered)."""
        return self._verifier is None

    def admit(self, request: Request, *endpoints: str) -> Caller:
        """Return who calls `endpoints` (paths under the public base that may be the audience)."""
        caller = self._identify(request, endpoints)
        wait = self._limits.wait_for(caller.id, self._monotonic())
        if wait > 0:
            refusal = refuse(429, "rate", "Too many requests; try again later.")
            refusal.headers["Retry-After"] = str(max(1, round(wait)))
            raise refusal
        return caller

    def _identify(self, request: Request, endpoints: tuple[str, ...]) -> Caller:
        if self._verifier is None:
            refuse_strangers_to_loopback(request)
            return self._loopback_caller()
        audiences = [f"{self._settings.public_base_url}{path}" for path in endpoints]
        try:
            client = self._verifier.verify(
                _bearer_token(request), audiences, self._now(), self._monotonic()
            )
        except RejectedToken as rejected:
            self._metrics.rejected.labels(f"token-{rejected.reason}").inc()
            raise bare_401() from None
        return self._registered_caller(client)

    def _registered_caller(self, client: ClientSettings) -> Caller:
        return Caller(
            id=client.id,
            fhir_base=client.fhir_base,
            lenient=client.reading == "lenient",
            jurisdiction=client.jurisdiction or self._settings.jurisdiction,
            time_zone=client.time_zone or self._settings.time_zone,
            body_bytes=client.limits.body_bytes,
        )

    def _loopback_caller(self) -> Caller:
        return Caller(
            id=LOOPBACK_CLIENT,
            fhir_base=None,
            lenient=self._settings.loopback_reading == "lenient",
            jurisdiction=self._settings.jurisdiction,
            time_zone=self._settings.time_zone,
            body_bytes=self._settings.loopback_limits.body_bytes,
            open_loopback=True,
        )


def _bearer_token(request: Request) -> str:
    """The token of the Authorization header; empty when there is none, which no check passes."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def bare_401() -> Refusal:
    """The one answer to every token that is not accepted: no reason is given."""
    return Refusal(401, "token", [Issue("login")], {"WWW-Authenticate": "Bearer"})


def refuse_strangers_to_loopback(request: Request) -> None:
    """Without tokens, answer only this machine, addressed as this machine.

    The Host check keeps a web page from reaching the service through a name of its own that it
    points at 127.0.0.1 (DNS rebinding).
    """
    if not is_loopback_address(request.remote_addr) or not is_loopback_host(request.host):
        raise refuse(403, "not-loopback", "Without registered clients only this machine is served.")


def is_loopback_address(address: str | None) -> bool:
    """Whether an IP address is this machine's loopback."""
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def is_loopback_host(host: str) -> bool:
    """Whether a Host header (name and port) addresses this machine."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name in _LOOPBACK_NAMES
