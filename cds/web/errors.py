"""Every refusal is an OperationOutcome that names the field; nothing internal is ever told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask, Response
from gunicorn.http.errors import NoMoreData, ParseException
from msgspec import Struct
from werkzeug.exceptions import HTTPException

from cds.store import ConstraintError, DatabaseError
from cds.store.jsontext import encode
from cds.telemetry import Metrics, error_fields, log


class Issue(Struct, frozen=True):
    """One thing that is wrong. `code` is a FHIR issue type; `field` a path into the request."""

    code: str
    message: str | None = None
    field: str | None = None


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a defect
    """An answer that is not 2xx; `reason` is from a closed set and only counted."""

    def __init__(
        self,
        status: int,
        reason: str,
        issues: Sequence[Issue],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.issues = tuple(issues)
        self.headers = dict(headers or {})


def refuse(status: int, reason: str, message: str, field: str | None = None) -> Refusal:
    """Build a refusal with one issue."""
    return Refusal(status, reason, [Issue(_ISSUE_TYPES.get(status, "processing"), message, field)])


def json_response(value: Any, status: int = 200) -> Response:
    """Build a JSON response; decimals keep their digits."""
    return Response(encode(value), status=status, content_type="application/json")


def outcome(refusal: Refusal) -> dict[str, Any]:
    """Build the OperationOutcome of a refusal."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(i) for i in refusal.issues]}


def outcome_response(refusal: Refusal) -> Response:
    """Build the response of a refusal."""
    response = json_response(outcome(refusal), refusal.status)
    response.headers.update(refusal.headers)
    return response


def register(app: Flask, metrics: Metrics) -> None:
    """Turn every exception of `app` into an OperationOutcome."""

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        metrics.rejected.labels(refusal.reason).inc()
        return outcome_response(refusal)

    @app.errorhandler(HTTPException)
    def refused_by_http(error: HTTPException) -> Response:
        if error.code is None or error.code < 400:
            return Response(status=error.code or 500, headers=error.get_headers())
        reason, message = _HTTP_MESSAGES.get(error.code, ("http", "The request was not accepted."))
        metrics.rejected.labels(reason).inc()
        refusal = refuse(error.code, reason, message, _HTTP_FIELDS.get(error.code))
        response = outcome_response(refusal)
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(NoMoreData)
    @app.errorhandler(ParseException)
    def cut_off(_error: Exception) -> Response:
        # The frame of the body is broken or ends early: the client's fault, found while reading.
        return refused(refuse(400, "cut-off", "The body ended early.", "body"))

    @app.errorhandler(DatabaseError)
    def not_kept(error: DatabaseError) -> Response:
        if isinstance(error, ConstraintError):
            return failed(error)
        log().error("database-failed", status=503, **error_fields(error))
        return refused(refuse(503, "database", "The database cannot be used now; try again."))

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        # The message may quote patient data, so only the type and the place are logged.
        log().error("request-failed", status=500, **error_fields(error))
        metrics.rejected.labels("internal").inc()
        return outcome_response(refuse(500, "internal", "The service failed; no advice was given."))


def _issue(issue: Issue) -> dict[str, Any]:
    written: dict[str, Any] = {"severity": "error", "code": issue.code}
    if issue.message:
        written["diagnostics"] = issue.message
    if issue.field:
        written["expression"] = [issue.field]
    return written


_ISSUE_TYPES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    412: "required",
    413: "too-long",
    414: "too-long",
    415: "not-supported",
    429: "throttled",
    431: "too-long",
    500: "exception",
    503: "transient",
    504: "timeout",
}
_HTTP_MESSAGES = {
    400: ("http", "The request was not accepted."),
    404: ("not-found", "There is nothing at this address."),
    405: ("method", "This address does not answer this method."),
    413: ("too-large", "The body is larger than this client may send."),
    415: ("media-type", "The body must be application/json."),
}
_HTTP_FIELDS = {404: "url", 405: "method", 413: "body", 415: "Content-Type"}
