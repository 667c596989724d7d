"""The worklist of alerts that stand: acknowledge, snooze, comment. Works without scripts.

Whoever was launched with a patient sees the alerts of this patient; those of all patients are seen
by whom the client names (`worklist_users`), and in the open loopback mode by whoever sits here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, request
from msgspec import Struct

from cds.services import Services
from cds.services.worklist import (
    MOST_ALERTS,
    Entry,
    Named,
    StandingAlert,
    State,
    acts_on,
    entries,
    patient_of,
)
from cds.store import Act, ActKind
from cds.telemetry import log
from cds.web.auth.gate import LOOPBACK_CLIENT
from cds.web.errors import refuse
from cds.web.looks import note
from cds.web.pages import page, refuse_in_words
from cds.web.signin import Doorkeeper, Visitor

_LONGEST_COMMENT = 1000
_DONE = {
    "acknowledge": "Acknowledged.",
    "snooze": "Snoozed. If the clinical state changes, the alert is back before that day.",
    "comment": "Comment added.",
    "reopen": "Back on the list.",
}


class Line(Struct, frozen=True):
    """One alert as the page shows it."""

    key: str
    entry: Entry
    patient: Named | None
    age: str
    earliest: str | None
    """First and last day a snoozed alert may come back; None where it may not be snoozed."""
    latest: str | None


def blueprint(services: Services, door: Doorkeeper) -> Blueprint:
    """The page and its forms."""
    routes = Blueprint("worklist", __name__)
    refuse_in_words(routes)

    @routes.get("/worklist")
    def worklist() -> Response:
        visitor = _admitted(door.admit())
        alerts, hidden = _seen_by(visitor)
        note(services, visitor, "worklist")
        zone = _zone(visitor)
        lines = [_line(entry, zone) for entry in _entries(alerts, visitor)]
        return page(
            "worklist.html",
            lines={state.value: [x for x in lines if x.entry.state == state] for state in State},
            hidden_count=hidden,
            cut=len(alerts) == MOST_ALERTS,
            set_up=services.inbox is not None,
            done=_DONE.get(request.args.get("done", "")),
            shown_in=lambda at: at.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
            day_in=lambda at: at.astimezone(zone).strftime("%Y-%m-%d"),
            zone=zone.key,
            longest_comment=_LONGEST_COMMENT,
        )

    @routes.post("/worklist")
    def act() -> Response:
        visitor = _admitted(door.admit_form())
        alerts, _ = _seen_by(visitor)
        wanted = request.form.get("alert", "")
        entry = next((e for e in _entries(alerts, visitor) if _key(e.alert) == wanted), None)
        if entry is None:
            raise refuse(
                409, "alert-changed", "This alert has changed or was withdrawn since you looked. "
                "Load the worklist again."
            )  # fmt: skip
        done = _read_act(entry, visitor)
        services.store.record_act(done)
        client = entry.alert.episode.client
        log().info("alert-" + done.kind, client=client, evaluation=entry.alert.evaluation)
        return redirect(f"/worklist?done={done.kind}#a-{wanted}", 303, Response)

    def _seen_by(visitor: Visitor) -> tuple[Sequence[StandingAlert], int]:
        """The alerts somebody may see, and how many others stand with their client."""
        if services.inbox is None:
            return (), 0
        everyone = services.inbox.standing(visitor.client)
        if visitor.sees_all_patients:
            return everyone, 0
        seen = [a for a in everyone if a.episode.patient_key == visitor.patient_key]
        return seen, len(everyone) - len(seen)

    def _entries(alerts: Sequence[StandingAlert], visitor: Visitor) -> list[Entry]:
        only = None if visitor.sees_all_patients else visitor.patient_key
        return entries(alerts, acts_on(services.store, alerts, only), services.clock.now())

    def _line(entry: Entry, zone: ZoneInfo) -> Line:
        now = services.clock.now()
        longest = entry.longest_snooze
        today = now.astimezone(zone).date()
        can = longest > timedelta()
        return Line(
            key=_key(entry.alert),
            entry=entry,
            patient=patient_of(services.store, entry.alert),
            age=_age(now - entry.alert.since),
            earliest=(today + timedelta(days=1)).isoformat() if can else None,
            latest=(today + longest).isoformat() if can else None,
        )

    def _read_act(entry: Entry, visitor: Visitor) -> Act:
        kind: Any = request.form.get("act", "")
        if kind not in get_args(ActKind):
            raise refuse(400, "worklist", "There is no such action.", "act")
        comment = request.form.get("comment", "").strip()
        if len(comment) > _LONGEST_COMMENT:
            words = f"A comment has at most {_LONGEST_COMMENT} characters."
            raise refuse(400, "worklist", words, "comment")
        if kind == "comment" and not comment:
            raise refuse(400, "worklist", "The comment is empty.", "comment")
        return Act(
            entry.alert.episode,
            kind,
            services.clock.now(),
            visitor.user or LOOPBACK_CLIENT,
            until=_until(entry, visitor) if kind == "snooze" else None,
            comment=comment or None,
        )

    def _until(entry: Entry, visitor: Visitor) -> datetime:
        """The beginning of the chosen day."""
        zone = _zone(visitor)
        line = _line(entry, zone)
        if line.earliest is None or line.latest is None:
            words = "A critical alert cannot be snoozed. Acknowledge it when it is seen to."
            raise refuse(400, "worklist", words, "act")
        try:
            day = date.fromisoformat(request.form.get("until", ""))
        except ValueError:
            day = date.min
        if not line.earliest <= day.isoformat() <= line.latest:
            words = f"Choose a day from {line.earliest} to {line.latest}."
            raise refuse(400, "worklist", words, "until")
        return datetime.combine(day, time(), zone)

    def _zone(visitor: Visitor) -> ZoneInfo:
        client = services.settings.client(visitor.client) if visitor.client else None
        return ZoneInfo((client and client.time_zone) or services.settings.time_zone)

    return routes


def _admitted(visitor: Visitor) -> Visitor:
    if visitor.evaluation is not None:
        raise refuse(403, "sign-in", "This link opens one report only, not the worklist.")
    return visitor


def _key(alert: StandingAlert) -> str:
    """Names an episode in a form, without saying whose it is."""
    one = alert.episode
    told = [one.client, one.patient_key, one.matter, one.subject, one.number, one.card]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def _age(since: timedelta) -> str:
    hours = max(0, int(since.total_seconds() // 3600))
    if hours < 1:
        return f"{max(0, int(since.total_seconds() // 60))} min"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
