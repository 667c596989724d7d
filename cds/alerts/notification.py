"""The bodies FHIR servers send to say that something changed -> one value, or a refusal.

Read are: R4 topic-based subscriptions (Subscriptions R5 Backport IG: a history Bundle led by
Parameters, or by SubscriptionStatus in R4B), the R5 shape (a subscription-notification Bundle led
by SubscriptionStatus), and the plain R4 criteria rest-hook (an empty body, or the resource itself).
Nothing of the clinical content is used: every resource is read back from the registered server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

_REFERENCE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}/(?!\.{1,2}\Z)[A-Za-z0-9\-._]{1,255}", re.ASCII)
_MOST_EVENTS: Final = 1000
_MOST_FOCUSES: Final = 1000
_BUNDLES: Final = frozenset({"history", "subscription-notification"})
_LARGEST_NUMBER: Final = 2**31 - 1  # the column that keeps it


class Meaning(StrEnum):
    """What a notification is for."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    POKE = "poke"
    """Something changed, and we must ask what."""


class NotificationError(Exception):
    """A body that is no notification; `status` is 400 or 422, `message` quotes nothing of it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Event(Struct, frozen=True):
    """One event: its number in the subscription, and what it is about (`Type/id`)."""

    number: int | None
    focuses: tuple[str, ...] = ()


class Notification(Struct, frozen=True):
    """A notification as read; `total` is the number of events the subscription has had."""

    meaning: Meaning
    subscription: str = ""
    status: str | None = None
    total: int | None = None
    events: tuple[Event, ...] = ()


POKE: Final = Notification(Meaning.POKE)


def read_notification(body: Mapping[str, Any], base: str) -> Notification:
    """Read a notification body. `base` is the registered server: nothing else is ever followed."""
    kind = body.get("resourceType")
    if kind == "Bundle":
        return _topic_notification(body, base)
    if isinstance(kind, str) and isinstance(body.get("id"), str):
        return _criteria_notification(f"{kind}/{body['id']}")
    raise NotificationError(422, "The body is neither a notification Bundle nor a resource.")


def read_resource_address(kind: str, identity: str, body: Mapping[str, Any] | None) -> Notification:
    """Read a criteria notification that was sent to `{endpoint}/{type}/{id}`."""
    named = f"{kind}/{identity}"
    if body is not None and (
        body.get("resourceType") != kind or body.get("id", identity) != identity
    ):
        raise NotificationError(422, "The resource is not the one the address names.")
    return _criteria_notification(named)


def _criteria_notification(reference: str) -> Notification:
    if not _REFERENCE.fullmatch(reference):
        raise NotificationError(422, "The resource has no usable type and id.")
    return Notification(Meaning.EVENT, events=(Event(None, (reference,)),))


def _topic_notification(bundle: Mapping[str, Any], base: str) -> Notification:
    if str(bundle.get("type")) not in _BUNDLES:
        raise NotificationError(422, "The Bundle is not of a notification type.")
    entries = bundle.get("entry")
    first = entries[0] if isinstance(entries, list) and entries else None
    status = first.get("resource") if isinstance(first, dict) else None
    if not isinstance(status, dict):
        raise NotificationError(422, "The Bundle does not begin with a subscription status.")
    if status.get("resourceType") == "Parameters":
        status = _from_parameters(status)
    elif status.get("resourceType") != "SubscriptionStatus":
        raise NotificationError(422, "The Bundle does not begin with a subscription status.")
    return _from_status(status, base)


def _from_status(status: Mapping[str, Any], base: str) -> Notification:
    try:
        meaning = Meaning(str(status.get("type")))
    except ValueError:
        raise NotificationError(422, "The type of the notification is not supported.") from None
    subscription = _reference(status.get("subscription"))
    if not subscription or len(subscription) > 200:
        raise NotificationError(422, "The notification does not name its subscription.")
    total = _number(status.get("eventsSinceSubscriptionStart"))
    listed = status.get("notificationEvent", [])
    if not isinstance(listed, list) or len(listed) > _MOST_EVENTS:
        raise NotificationError(422, "The events of the notification are not a list of them.")
    events = tuple(_event(item, base) for item in listed)
    if meaning is Meaning.EVENT and not events:
        # Allowed by the specification: something happened, and it is not said what.
        events = (Event(total),)
    state = status.get("status")
    return Notification(
        meaning,
        local(subscription, base) or subscription,
        state[:20] if isinstance(state, str) else None,
        total,
        events if meaning is Meaning.EVENT else (),
    )


def _event(item: Any, base: str) -> Event:
    if not isinstance(item, dict):
        raise NotificationError(422, "An event of the notification is malformed.")
    number = _number(item.get("eventNumber"))
    if number is None:
        raise NotificationError(422, "An event of the notification has no number.")
    # R4 and R4B allow one focus; a server that repeats it is understood all the same.
    focus = item.get("focus")
    focuses = focus if isinstance(focus, list) else [] if focus is None else [focus]
    if len(focuses) > _MOST_FOCUSES:
        raise NotificationError(422, "An event names too many resources.")
    return Event(number, tuple(_focus(one, base) for one in focuses))


def _focus(value: Any, base: str) -> str:
    reference = _reference(value)
    found = local(reference, base) if reference else None
    if found is None:
        raise NotificationError(422, "An event is about a resource that is not on this server.")
    return found


def local(reference: str, base: str) -> str | None:
    """`Type/id` of a reference that is relative or lies under the base; None for any other."""
    plain = reference.split("/_history/")[0]
    if plain.startswith(f"{base}/"):
        plain = plain[len(base) + 1 :]
    return plain if _REFERENCE.fullmatch(plain) else None


def _reference(value: Any) -> str | None:
    found = value.get("reference") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _number(value: Any) -> int | None:
    """An event number: a JSON string in R4B and R5 (integer64), a number elsewhere."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_NUMBER:
        return value
    return None


_STATUS_NAMES: Final = {
    "subscription": "subscription",
    "status": "status",
    "type": "type",
    "events-since-subscription-start": "eventsSinceSubscriptionStart",
}


def _from_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The Parameters of the Backport IG as the SubscriptionStatus they stand for."""
    status: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    for part in _parts(parameters, "parameter"):
        name = part.get("name")
        if name == "notification-event":
            event: dict[str, Any] = {}
            for inner in _parts(part, "part"):
                if inner.get("name") == "focus":
                    event.setdefault("focus", []).append(_value(inner))
                elif inner.get("name") == "event-number":
                    event["eventNumber"] = _value(inner)
            events.append(event)
        elif isinstance(name, str) and name in _STATUS_NAMES:
            status[_STATUS_NAMES[name]] = _value(part)
    return status | {"notificationEvent": events}


def _parts(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = holder.get(name)
    listed = found if isinstance(found, list) else []
    return [part for part in listed if isinstance(part, dict)]


def _value(part: Mapping[str, Any]) -> Any:
    return next((value for key, value in part.items() if key.startswith("value")), None)
