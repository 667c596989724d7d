"""The worklist: alerts that stand, and what people have done with them.

An alert stands in the inbox (`cds.alerts.inbox`) as long as what it says holds; a changed clinical
state opens another episode there. What people do concerns one episode, so that an alert which was
acknowledged or snoozed speaks again as soon as its state changes, whatever time was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from cds.cards import QuietPolicy
from cds.clinical.finding import Severity
from cds.store import Act, CipherError, Episode, Store

MOST_ALERTS = 500
_LONGEST_NAME = 120


class State(StrEnum):
    """Where an alert stands on the list."""

    OPEN = "open"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"


class StandingAlert(Struct, frozen=True):
    """An alert whose finding still holds."""

    episode: Episode
    severity: Severity
    since: datetime
    evaluation: str
    summary: str


class Inbox(Protocol):
    """Where alerts stand; the room of the alerts gives it to the services."""

    def standing(
        self, client: str | None = None, patient_key: str | None = None
    ) -> Sequence[StandingAlert]:
        """The alerts that stand (of a client, of a patient), the most urgent first."""


class Entry(Struct, frozen=True):
    """One alert on the list."""

    alert: StandingAlert
    state: State
    until: datetime | None
    """When a snoozed alert comes back."""
    acts: tuple[Act, ...]
    """What was done with this episode, oldest first."""
    earlier: tuple[Act, ...]
    """What was done with earlier episodes of the same matter."""

    @property
    def longest_snooze(self) -> timedelta:
        """How long it may be snoozed; nothing for what cannot wait."""
        return longest_snooze(self.alert.severity)


def entries(alerts: Iterable[StandingAlert], acts: Iterable[Act], now: datetime) -> list[Entry]:
    """The list, the most urgent and then the oldest first."""
    by_place: dict[tuple[str, ...], list[Act]] = {}
    for act in acts:
        by_place.setdefault(_place(act.episode), []).append(act)
    found = [_entry(alert, by_place.get(_place(alert.episode), []), now) for alert in alerts]
    return sorted(found, key=lambda entry: (-entry.alert.severity, entry.alert.since))


def longest_snooze(severity: Severity) -> timedelta:
    """As long as an answer to a card keeps it quiet: a critical alert is acknowledged instead."""
    return timedelta(days=QuietPolicy().snooze_days[severity])


def acts_on(store: Store, alerts: Sequence[StandingAlert], patient_key: str | None) -> list[Act]:
    """What was done with alerts of the clients they are of."""
    clients = sorted({alert.episode.client for alert in alerts})
    return [act for client in clients for act in store.acts(client, patient_key)]


class Named(Struct, frozen=True):
    """How a person on the worklist is told from the others."""

    name: str
    born: str | None = None
    """The date of birth as the record writes it."""


def patient_of(store: Store, alert: StandingAlert) -> Named | None:
    """Name and birth date as the record had them; None when the record is past its retention."""
    try:
        decision = store.decision(alert.evaluation)
    except CipherError:
        return None
    if decision is None or decision.body is None:
        return None
    given = decision.body["input"]
    return named(given["resources"].get("patient"), given["patientId"])


def named(resource: Any, patient_id: str) -> Named:
    """Name and birth date of a Patient resource, as far as it has them."""
    person = resource if isinstance(resource, dict) else {}
    names = person.get("name")
    official = next((n for n in names if isinstance(n, dict)), {}) if _is_list(names) else {}
    given = official.get("given")
    said = [
        official.get("family"),
        " ".join(part for part in given if isinstance(part, str)) if _is_list(given) else None,
    ]
    name = ", ".join(part for part in said if isinstance(part, str) and part)
    name = name or (official["text"] if isinstance(official.get("text"), str) else "")
    born = person.get("birthDate")
    known = isinstance(born, str) and born
    return Named(name[:_LONGEST_NAME] or f"Patient {patient_id}", born[:10] if known else None)


def _entry(alert: StandingAlert, acts: Sequence[Act], now: datetime) -> Entry:
    ours = tuple(act for act in acts if act.episode == alert.episode)
    earlier = tuple(act for act in acts if act.episode != alert.episode)
    last = next((act for act in reversed(ours) if act.kind != "comment"), None)
    state, until = State.OPEN, None
    if last is not None and last.kind == "acknowledge":
        state = State.ACKNOWLEDGED
    elif last is not None and last.kind == "snooze" and last.until and now < last.until:
        state, until = State.SNOOZED, last.until
    return Entry(alert, state, until, ours, earlier)


def _place(episode: Episode) -> tuple[str, ...]:
    return episode.client, episode.patient_key, episode.matter, episode.subject


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
