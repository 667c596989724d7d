"""Headers that every answer carries."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, request

from cds.settings import Settings

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    # JSON needs nothing from anywhere; pages for people set their own policy.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_YEAR_S = 31_536_000
_READ_ON = 64 * 1024
"""Bytes of a refused body that the server reads to its end, to go on with the connection."""


def register(app: Flask, settings: Settings) -> None:
    """Add the security headers; a view may set its own value first."""
    secure = settings.public_base_url.startswith("https://")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            if name not in response.headers:
                response.headers.add(name, value)  # `setdefault` would look for it again
        if secure:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_S}")
        return response

    @app.after_request
    def close_before_the_rest(response: Response) -> Response:
        # What is left of a body stands where the next request is looked for.
        refused = response.status_code >= HTTPStatus.BAD_REQUEST
        too_long = response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if too_long or (refused and (request.content_length or 0) >= _READ_ON):
            response.headers["Connection"] = "close"
        return response

    @app.after_request
    def close_unsent_file(response: Response) -> Response:
        # For 304 the server never takes the body, and so never closes the file behind it.
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            response.close()
        return response
