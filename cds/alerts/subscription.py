"""Ask a FHIR server to tell us of new levels, and keep it telling.

Where the server offers the US Core patient-data-feed topic (Subscriptions R5 Backport IG) that is
asked for, with id-only notifications; elsewhere a plain R4 criteria Subscription on the level codes
of the rulebook, without payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from cds.alerts.capabilities import FEED
from cds.alerts.remote import Remote
from cds.alerts.settings import FhirServer
from cds.clinical.terminology import Drug
from cds.fhir.client import FetchError

_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_PROFILE: Final = f"{_BACKPORT}/backport-subscription"
LIFE: Final = timedelta(days=30)
RENEW_BEFORE: Final = timedelta(days=7)


class Subscribed(Struct, frozen=True):
    """What became of subscribing."""

    id: str | None
    topic: bool
    renewed: bool
    until: datetime


def subscribe(
    remote: Remote,
    drug: Drug,
    public_base: str,
    now: datetime,
    *,
    heartbeat_s: int = 300,
    topic: bool | None = None,
) -> Subscribed:
    """Create our Subscription or renew the one that is there. Raises FetchError or Refused.

    `topic` None means: ask the server's capabilities.
    """
    address = f"{public_base}/subscriptions/{remote.server.endpoint}"
    by_topic = remote.read_capabilities().feed if topic is None else topic
    with remote.reading() as client:
        existing = _ours(client.get(f"Subscription?url={quote(address, safe='')}"), address)
    until = now + LIFE
    build = topic_subscription if by_topic else criteria_subscription
    wanted = build(remote.server, drug, address, until, heartbeat_s)
    if existing is None:
        identity = remote.create(wanted)
    else:
        identity = str(existing["id"])
        # The version is taken over, so that the update is conditional on it.
        meta = {**existing.get("meta", {}), **wanted.get("meta", {})}
        remote.update({**wanted, "id": identity, "meta": meta})
    return Subscribed(identity, by_topic, existing is not None, until)


def request_again(remote: Remote, subscription: Mapping[str, Any], now: datetime) -> None:
    """Ask the server to send again after it had stopped, and for longer."""
    changed = {name: value for name, value in subscription.items() if name != "error"}
    changed |= {"status": "requested", "end": _instant(now + LIFE)}
    # Servers hide the secret when a Subscription is read; writing back what was read would lose it.
    channel = dict(changed.get("channel") or {})
    changed["channel"] = channel | {"header": [_header(remote.server)]}
    remote.update(changed)


def topic_subscription(
    server: FhirServer, drug: Drug, address: str, until: datetime, heartbeat_s: int
) -> dict[str, Any]:
    """A topic-based Subscription in its R4 form."""
    codes = _codes(drug)
    criteria = f"Observation?category=laboratory&code={codes}"
    subscription = _common(server, address, until)
    return subscription | {
        "meta": {"profile": [_PROFILE]},
        "criteria": FEED,
        "_criteria": {
            "extension": [{"url": f"{_BACKPORT}/backport-filter-criteria", "valueString": criteria}]
        },
        "channel": subscription["channel"]
        | {
            "extension": [
                {
                    "url": f"{_BACKPORT}/backport-heartbeat-period",
                    "valueUnsignedInt": heartbeat_s,
                },
                {"url": f"{_BACKPORT}/backport-timeout", "valueUnsignedInt": 10},
            ],
            "payload": "application/fhir+json",
            "_payload": {
                "extension": [
                    {"url": f"{_BACKPORT}/backport-payload-content", "valueCode": "id-only"}
                ]
            },
        },
    }


def criteria_subscription(
    server: FhirServer, drug: Drug, address: str, until: datetime, heartbeat_s: int
) -> dict[str, Any]:
    """A plain R4 Subscription: the server says that something changed, and we ask what."""
    del heartbeat_s  # plain R4 knows no heartbeat
    return _common(server, address, until) | {"criteria": f"Observation?code={_codes(drug)}"}


def _common(server: FhirServer, address: str, until: datetime) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": f"Alerts on new {server.id} drug levels",
        "end": _instant(until),
        "channel": {"type": "rest-hook", "endpoint": address, "header": [_header(server)]},
    }


def _header(server: FhirServer) -> str:
    if server.secret is None:
        raise FetchError("no-secret", "the server of the settings has no secret")
    return f"Authorization: Bearer {server.secret.get_secret_value()}"


def _codes(drug: Drug) -> str:
    return ",".join(sorted(f"{code.system}|{code.code}" for code in drug.level_codes))


def _ours(bundle: Mapping[str, Any], address: str) -> dict[str, Any] | None:
    for entry in bundle.get("entry") or []:
        found = entry.get("resource") if isinstance(entry, dict) else None
        channel = found.get("channel") if isinstance(found, dict) else None
        if isinstance(channel, dict) and channel.get("endpoint") == address:
            return found
    return None


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
