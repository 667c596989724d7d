"""For those who run the service: alive, ready, metrics."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, request

from cds import __version__
from cds.services import Services
from cds.telemetry import log
from cds.web.auth import Gate
from cds.web.auth.gate import bare_401, is_loopback_address, is_loopback_host
from cds.web.errors import json_response

_LOOKS_APART_S = 1.0
"""Looking writes to the database, and anybody may ask."""
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def blueprint(services: Services, gate: Gate) -> Blueprint:
    """The routes for monitoring; none carries anything about a patient."""
    routes = Blueprint("ops", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return json_response({"status": "ok", "version": __version__})

    looked: float | None = None
    parts: list[str] = []

    @routes.get("/readyz")
    def readyz() -> Response:
        nonlocal looked, parts
        now = services.clock.monotonic()
        if looked is None or now - looked >= _LOOKS_APART_S:
            looked, problems = now, services.problems()
            parts = sorted(problems)
            # What is wrong stands in the log; strangers learn only which part it is.
            for part, why in problems.items():
                log().warning("not-ready", problem=f"{part}: {why}")
        if not parts:
            return json_response({"status": "ready"})
        return json_response({"status": "not-ready", "parts": parts}, 503)

    @routes.get("/metrics")
    def metrics() -> Response:
        if not _may_read_metrics():
            raise bare_401()
        return Response(services.metrics.render(), content_type="text/plain; version=0.0.4")

    def _may_read_metrics() -> bool:
        expected = services.settings.metrics_token
        if expected is None:
            direct = not any(name in request.headers for name in _FORWARDED)
            here = is_loopback_address(request.remote_addr) and is_loopback_host(request.host)
            return direct and here
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(sent.encode(), expected.get_secret_value().encode())

    return routes
