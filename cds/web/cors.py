"""Cross-origin calls: browsers of allowed origins only (https://cds-hooks.hl7.org/2.0/#cors)."""

from __future__ import annotations

import re

from flask import Flask, Response, request

from cds.settings import Settings
from cds.web.errors import refuse

_LOOPBACK_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_METHODS = "GET, POST, OPTIONS"
_HEADERS = "Authorization, Content-Type"
_REMEMBER_S = "600"


def register(app: Flask, settings: Settings, *, open_loopback: bool) -> None:
    """Answer preflights without a token, and name the allowed origin on every answer."""

    def allowed(origin: str | None) -> bool:
        if not origin:
            return False
        if open_loopback and _LOOPBACK_ORIGIN.fullmatch(origin):
            return True
        return origin in settings.cors_origins

    @app.before_request
    def preflight() -> Response | None:
        origin = request.headers.get("Origin")
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": _METHODS})
        # Without tokens, the origin is all that tells a foreign web page from the user's own.
        if open_loopback and origin and request.method == "POST" and not allowed(origin):
            raise refuse(403, "origin", "This origin is not served.", "Origin")
        return None

    @app.after_request
    def name_origin(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if allowed(origin):
            response.headers["Access-Control-Allow-Origin"] = origin or ""
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = _METHODS
                response.headers["Access-Control-Allow-Headers"] = _HEADERS
                response.headers["Access-Control-Max-Age"] = _REMEMBER_S
        return response
