"""Bring each resource (or webhook) of an alert to the state we want it in, once.

An effect is a row of work whose body says what should stand at the server: the resource, or its
withdrawal. Doing it looks first, so that doing it twice changes nothing the second time.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx
from sqlalchemy import Connection, select

from cds.alerts.inbox import Alert, Change, Place
from cds.alerts.queue import Kind, Queue, Work
from cds.alerts.remote import Refused, Remote
from cds.alerts.resources import (
    RESOURCE_TYPES,
    Message,
    identifier,
    resource_for,
    withdrawn,
)
from cds.alerts.settings import FhirServer
from cds.alerts.tables import work
from cds.clinical.finding import Severity
from cds.fhir.client import FetchError
from cds.store.jsontext import encode

WEBHOOK: Final = "webhook"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:imatinib-tdm:alert")
_KINDS: Final = (*RESOURCE_TYPES, WEBHOOK)
_TIMEOUT_S: Final = 10.0


def effect_key(server: str, patient_key: str, place: Place, episode: int, kind: str) -> str:
    """The identity of an effect: the same wherever and however often it is worked out."""
    parts = (server, patient_key, place.matter, place.subject, str(episode), kind)
    return str(uuid.uuid5(_NAMESPACE, "\x00".join(parts)))


def put(
    connection: Connection,
    queue: Queue,
    server: FhirServer,
    patient_key: str,
    changes: Sequence[Change],
    messages: Mapping[Place, Message],
    now: datetime,
) -> list[str]:
    """Queue the effects of the changes, in the transaction that records the changes; their keys."""
    keys: list[str] = []
    for change in changes:
        if change.alert is not None:
            message = messages[change.place]
            keys += _raise(connection, queue, server, patient_key, change, message, now)
        else:
            keys += _withdraw(connection, queue, server, patient_key, change, now)
    return keys


def apply(work: Work, remote: Remote) -> None:
    """Do it. Raises FetchError (try again) or Refused (an operator's)."""
    body = work.body
    if body["kind"] == WEBHOOK:
        _call_webhook(body, work.key, remote)
        return
    kind = RESOURCE_TYPES[body["kind"]]
    if body["wanted"] == "active":
        # A server that says it looks for itself is believed once: whatever made the first attempt
        # fail, the next one looks too.
        looks = kind in remote.capabilities().conditional_create and work.attempts == 0
        if looks or remote.find(kind, identifier(work.key)) is None:
            remote.create(body["resource"], identifier(work.key))
        return
    there = remote.find(kind, identifier(work.key))
    changed = withdrawn(there, body["reason"]) if there is not None else None
    if changed is not None:
        remote.update(changed)


def _raise(
    connection: Connection,
    queue: Queue,
    server: FhirServer,
    patient_key: str,
    change: Change,
    message: Message,
    now: datetime,
) -> list[str]:
    alert = change.alert
    if alert is None or Severity[alert.indicator.upper()] < server.least_severity:
        return []
    bodies: dict[str, dict[str, Any]] = {}
    for kind in server.deliver:
        key = effect_key(server.id, patient_key, change.place, change.episode, kind)
        resource = resource_for(kind, message, key)
        if resource is not None:
            bodies[key] = {"kind": kind, "wanted": "active", "resource": resource}
    if server.webhook is not None:
        key = effect_key(server.id, patient_key, change.place, change.episode, WEBHOOK)
        bodies[key] = {
            "kind": WEBHOOK,
            "wanted": "active",
            "payload": _payload(alert, message, key),
        }
    for key, body in bodies.items():
        queue.bump(connection, Kind.EFFECT, server.id, key, body, now)
    return list(bodies)


def _withdraw(
    connection: Connection,
    queue: Queue,
    server: FhirServer,
    patient_key: str,
    change: Change,
    now: datetime,
) -> list[str]:
    """Withdraw what this episode delivered, whatever is configured to be delivered now."""
    keys = {
        effect_key(server.id, patient_key, change.place, change.episode, kind): kind
        for kind in _KINDS
    }
    found = select(work.c.key).where(
        work.c.kind == Kind.EFFECT.value, work.c.server == server.id, work.c.key.in_(keys)
    )
    delivered = sorted(connection.execute(found).scalars())
    reason = change.reason.value if change.reason else "withdrawn"
    for key in delivered:
        body: dict[str, Any] = {"kind": keys[key], "wanted": "withdrawn", "reason": reason}
        if keys[key] == WEBHOOK:
            body["payload"] = {"id": key, "state": "withdrawn", "reason": reason}
        queue.bump(connection, Kind.EFFECT, server.id, key, body, now)
    return delivered


def _payload(alert: Alert, message: Message, key: str) -> dict[str, Any]:
    return {
        "id": key,
        "state": "active",
        "card": alert.uuid,
        "indicator": alert.indicator,
        "summary": alert.card["summary"],
        "detail": alert.card.get("detail"),
        "patient": f"Patient/{message.patient}",
        "observations": list(message.observations),
        "at": message.at.isoformat(),
    }


def _call_webhook(body: Mapping[str, Any], key: str, remote: Remote) -> None:
    """Post the payload; the receiver knows repetitions by the `Idempotency-Key`."""
    webhook = remote.server.webhook
    if webhook is None or webhook.secret is None:
        raise Refused("webhook-not-configured")
    content = encode(body["payload"])
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{key}/{body['wanted']}",
        "X-Tdm-Signature": signature(webhook.secret.get_secret_value(), content),
    }
    try:
        answer = remote.http.post(webhook.url, content=content, headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError:
        raise FetchError("unreachable", "the webhook could not be reached") from None
    if not answer.is_success:
        raise FetchError(f"status-{answer.status_code}", "the webhook did not accept the alert")


def signature(secret: str, content: bytes) -> str:
    """HMAC-SHA256 of the body, by which the webhook's receiver knows us."""
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
