"""The address FHIR servers send notifications to: HTTP in, `Receiver` decides, HTTP out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected

from cds.alerts.receiver import BODY_LIMIT, Receiver, Reply
from cds.store.jsontext import encode


def blueprint(receiver: Receiver, now: Callable[[], datetime]) -> Blueprint:
    """The routes under `/subscriptions`."""
    routes = Blueprint("subscriptions", __name__)

    @routes.post("/subscriptions/<endpoint>")
    def notify(endpoint: str) -> Response:
        return _receive(endpoint, None)

    # Some servers also tell of deletions; reading the resource shows that it is gone.
    @routes.route("/subscriptions/<endpoint>/<kind>/<identity>", methods=["PUT", "POST", "DELETE"])
    def notify_resource(endpoint: str, kind: str, identity: str) -> Response:
        return _receive(endpoint, (kind, identity))

    @routes.post("/subscriptions/<endpoint>/<kind>")
    def notify_new(endpoint: str, kind: str) -> Response:
        # Some servers post to the type; the resource in the body says which one it is.
        return _receive(endpoint, None)

    def _receive(endpoint: str, resource: tuple[str, str] | None) -> Response:
        authorization = request.headers.get("Authorization", "")
        # The secret first: a stranger's body is not even read.
        if receiver.sender(endpoint, authorization) is None:
            return _response(Reply(401, "login"))
        if request.content_encoding not in (None, "", "identity"):
            return _response(Reply(415, "not-supported", "The body must not be compressed."))
        try:
            raw = request.stream.read(BODY_LIMIT + 1)
        except (ClientDisconnected, OSError):
            return _response(Reply(400, "invalid", "The body ended early."))
        if len(raw) > BODY_LIMIT:
            return _response(Reply(413, "too-long", "The body is too large."))
        return _response(
            receiver.receive(
                endpoint, authorization, request.mimetype, raw, now(), resource=resource
            )
        )

    return routes


def _response(reply: Reply) -> Response:
    if reply.status == 200:
        return Response(status=200)
    issue = {"severity": "error", "code": reply.code or "processing"}
    if reply.message:
        issue["diagnostics"] = reply.message
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    response = Response(encode(outcome), status=reply.status, content_type="application/fhir+json")
    if reply.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if reply.status == 503:
        response.headers["Retry-After"] = "10"
    return response
