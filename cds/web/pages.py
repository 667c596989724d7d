"""What every page for people shares: templates, one style sheet, and a policy without scripts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, render_template, request

from cds.report import words
from cds.web.errors import Refusal, outcome_response

# Nothing is loaded from elsewhere, no script runs, and styles come from the one file.
_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HTML = "text/html"
_DATA = ("application/json", "application/fhir+json")
_TEXT = ("text/plain", "text/markdown")


def page(template: str, status: int = 200, /, **values: Any) -> Response:
    """Render a page; every value is escaped by the template engine."""
    response = Response(
        render_template(template, **values, words=words, visitor=g.get("visitor")),
        status=status,
        content_type="text/html; charset=utf-8",
    )
    response.headers["Content-Security-Policy"] = _POLICY
    # Not no-referrer, under which browsers do not say either where a form was sent from.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    return response


def wants_data() -> bool:
    """Whether the caller asks for JSON rather than for a page."""
    return _best(_DATA) in _DATA


def wants_text() -> bool:
    """Whether the caller asks for plain text rather than for a page."""
    return _best(_TEXT) in _TEXT


def _best(others: tuple[str, ...]) -> str:
    return request.accept_mimetypes.best_match((_HTML, *others), default=_HTML)


def refuse_in_words(routes: Blueprint) -> None:
    """Let refusals of these routes be pages for people and stay data for programs."""

    @routes.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        if wants_data():
            return outcome_response(refusal)
        said = [issue.message for issue in refusal.issues if issue.message]
        response = page("refusal.html", refusal.status, status=refusal.status, said=said)
        response.headers.update(refusal.headers)
        return response
