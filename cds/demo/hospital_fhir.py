"""The FHIR R4 server of the demo hospital: read, search, write, and tell subscribers.

As much as is needed to be told of new levels and to put Tasks on a worklist: read, search by
patient, code, identifier or time of change, create (also `If-None-Exist`), update, a batch of
reads, and Subscriptions by criteria with empty notifications. All of it is about the charts that
the browser shows.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from flask import Blueprint, Response, jsonify, request

from cds.demo.compose import codes_of, resources_of
from cds.demo.hospital_desk import Hospital

_TELL_FOR_S = 60.0
_TELL_AGAIN_S = 0.5
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
_STATEMENT = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "kind": "instance",
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "rest": [
        {
            "mode": "server",
            "resource": [{"type": "Task", "conditionalCreate": True}],
            "interaction": [{"code": "batch"}],
        }
    ],
}


class Refusal(Exception):  # noqa: N818 - an answer
    """What cannot be done, as an HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Records:
    """All charts as one set of FHIR resources, and who wants to hear of changes."""

    hospital: Hospital
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.hospital.listeners.append(self.tell)

    def read(self, kind: str, identity: str) -> dict[str, Any]:
        """One resource."""
        for resource in self._all(kind):
            if resource.get("id") == identity:
                return resource
        raise Refusal(404)

    def search(self, kind: str, query: str) -> dict[str, Any]:
        """A searchset; what a parameter means that is not known here is not guessed."""
        wanted = {name: values[0] for name, values in parse_qs(query).items()}
        found = [one for one in self._all(kind) if _matches(one, wanted)]
        entries = [{"resource": one, "search": {"mode": "match"}} for one in found]
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(entries),
            "entry": entries,
        }

    def create(self, resource: dict[str, Any], condition: str = "") -> tuple[int, dict[str, Any]]:
        """Keep a new resource; the one that is there if it meets the condition."""
        with self._lock:
            there = self.search(resource["resourceType"], condition)["entry"] if condition else []
            if there:
                return 200, there[0]["resource"]
            return 201, self._keep({**resource, "id": uuid.uuid4().hex[:12]})

    def update(self, resource: dict[str, Any], expected: str = "") -> dict[str, Any]:
        """Keep the next version of a resource, if it is the one that was expected."""
        with self._lock:
            old = self.read(resource["resourceType"], resource["id"])
            version = old.get("meta", {}).get("versionId")
            if expected and expected != f'W/"{version}"':
                raise Refusal(412)
            return self._keep(resource)

    def batch(self, bundle: Mapping[str, Any]) -> dict[str, Any]:
        """The answers to a batch of reads and searches, in their order."""
        answers = []
        for entry in bundle.get("entry", ()):
            try:
                found = self._answer(entry["request"]["url"])
                answers.append({"response": {"status": "200 OK"}, "resource": found})
            except Refusal as refusal:
                answers.append({"response": {"status": str(refusal.status)}})
        return {"resourceType": "Bundle", "type": "batch-response", "entry": answers}

    def tell(self, resource: Mapping[str, Any]) -> None:
        """Tell whoever subscribed to resources like this one, until they say yes."""
        for subscription in list(self.subscriptions.values()):
            kind, _, query = str(subscription.get("criteria")).partition("?")
            wanted = {name: values[0] for name, values in parse_qs(query).items()}
            if resource["resourceType"] == kind and _matches(resource, wanted):
                threading.Thread(target=_notify, args=(subscription,), daemon=True).start()

    def _answer(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        kind, _, identity = parts.path.partition("/")
        return self.read(kind, identity) if identity else self.search(kind, parts.query)

    def _all(self, kind: str) -> Iterator[dict[str, Any]]:
        if kind == "Subscription":
            yield from list(self.subscriptions.values())
        for chart in list(self.hospital.charts.values()):
            yield from [one for one in resources_of(chart.bundle) if one["resourceType"] == kind]

    def _keep(self, resource: dict[str, Any]) -> dict[str, Any]:
        if resource["resourceType"] != "Subscription":
            return self.hospital.file(resource)
        if urlsplit(str(resource["channel"]["endpoint"])).hostname not in _HERE:
            raise Refusal(422)
        kept = {**resource, "status": "active"}
        self.subscriptions[kept["id"]] = kept
        return kept


def fhir_blueprint(
    records: Records, path: str = "fhir", before: Callable[[], None] | None = None
) -> Blueprint:
    """The routes of the server under a path; `before` may delay or refuse every request."""
    routes = Blueprint(path, __name__, url_prefix=f"/{path}")
    if before is not None:
        routes.before_request(before)

    @routes.errorhandler(Refusal)
    def refused(refusal: Refusal) -> tuple[Response, int]:
        issue = {"severity": "error", "code": "processing", "diagnostics": str(refusal)}
        return _fhir({"resourceType": "OperationOutcome", "issue": [issue]}), refusal.status

    @routes.errorhandler(KeyError)
    def malformed(_error: KeyError) -> tuple[Response, int]:
        return refused(Refusal(422))

    @routes.get("/metadata")
    def metadata() -> Response:
        return _fhir(_STATEMENT)

    @routes.get("/<kind>/<identity>")
    def read(kind: str, identity: str) -> Response:
        return _fhir(records.read(kind, identity))

    @routes.get("/<kind>")
    def search(kind: str) -> Response:
        return _fhir(records.search(kind, request.query_string.decode()))

    @routes.post("/<kind>")
    def create(kind: str) -> tuple[Response, int, dict[str, str]]:
        status, kept = records.create(_sent(kind), request.headers.get("If-None-Exist", ""))
        return _fhir(kept), status, {"Location": f"/{path}/{kind}/{kept['id']}"}

    @routes.put("/<kind>/<identity>")
    def update(kind: str, identity: str) -> Response:
        resource = _sent(kind)
        if resource.get("id") != identity:
            raise Refusal(400)
        return _fhir(records.update(resource, request.headers.get("If-Match", "")))

    @routes.post("", strict_slashes=False)
    def batch() -> Response:
        return _fhir(records.batch(_sent("Bundle")))

    return routes


def _sent(kind: str) -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict) or body.get("resourceType") != kind:
        raise Refusal(400)
    return body


def _fhir(resource: Mapping[str, Any]) -> Response:
    response = jsonify(resource)
    response.content_type = "application/fhir+json"
    return response


def _matches(resource: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(test(resource, wanted[name]) for name, test in _PARAMETERS.items() if name in wanted)


def _is_of(resource: Mapping[str, Any], patient: str) -> bool:
    subject = resource.get("subject") or resource.get("for") or resource.get("patient") or {}
    return str(subject.get("reference")) == f"Patient/{patient.removeprefix('Patient/')}"


def _is_coded(resource: Mapping[str, Any], codes: str) -> bool:
    return bool(codes_of(resource) & {tuple(code.split("|")) for code in codes.split(",")})


def _is_identified(resource: Mapping[str, Any], wanted: str) -> bool:
    listed = resource.get("identifier") or ()
    return any(f"{one.get('system')}|{one.get('value')}" == wanted for one in listed)


def _has_changed(resource: Mapping[str, Any], since: str) -> bool:
    at = resource.get("meta", {}).get("lastUpdated")
    since = since.removeprefix("ge").replace(" ", "+")
    return at is not None and datetime.fromisoformat(at) >= datetime.fromisoformat(since)


_PARAMETERS: dict[str, Callable[[Mapping[str, Any], str], bool]] = {
    "patient": _is_of,
    "code": _is_coded,
    "identifier": _is_identified,
    "_lastUpdated": _has_changed,
    "status": lambda resource, wanted: bool(resource.get("status") == wanted),
    "url": lambda resource, wanted: bool(resource.get("channel", {}).get("endpoint") == wanted),
}


def _notify(subscription: Mapping[str, Any]) -> None:
    """Send an empty notification until it is answered with 2xx, for a minute."""
    channel = subscription["channel"]
    pairs = [line.partition(":") for line in channel.get("header", ())]
    headers = {name.strip(): value.strip() for name, _, value in pairs}
    until = time.monotonic() + _TELL_FOR_S
    while time.monotonic() < until:
        try:
            if httpx.post(channel["endpoint"], headers=headers, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass  # the subscriber is not there (yet)
        time.sleep(_TELL_AGAIN_S)
