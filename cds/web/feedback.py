"""The feedback endpoint (https://cds-hooks.hl7.org/2.0/#feedback)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from cds.services import Services
from cds.store import FeedbackEntry
from cds.telemetry import log
from cds.web.auth import Gate
from cds.web.body import read_json_object
from cds.web.errors import Issue, Refusal, json_response, refuse
from cds.web.hooks import DISCOVERY

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST_ENTRIES = 200
_LONGEST_COMMENT = 4000
_LONGEST_CODE = 255
_OUTCOMES = ("accepted", "overridden")


def blueprint(services: Services, gate: Gate) -> Blueprint:
    """The route on which clients say what users did with cards."""
    routes = Blueprint("feedback", __name__)

    @routes.post(f"{DISCOVERY}/<service>/feedback")
    def feedback(service: str) -> Response:
        # The audience is "the endpoint being invoked"; clients use either address.
        endpoint = f"{DISCOVERY}/{service}"
        caller = gate.admit(request, f"{endpoint}/feedback", endpoint)
        if all(known.id != service for known in services.catalogue):
            raise refuse(404, "unknown-service", "There is no service with this id.", "url")
        entries = read_feedback(read_json_object(request, caller.body_bytes))
        stored = services.store.add_feedback(caller.id, service, entries, services.clock.now())
        for entry, kept in zip(entries, stored, strict=True):
            if kept.new:
                known = entry.outcome if kept.known else "unknown-card"
                services.metrics.feedback.labels(known).inc()
        log().info("feedback-stored", client=caller.id, service=service, count=len(entries))
        return json_response({})

    return routes


def read_feedback(body: Mapping[str, Any]) -> list[FeedbackEntry]:
    """Check a feedback body; everything that is wrong is named."""
    entries = body.get("feedback")
    if not isinstance(entries, list):
        raise refuse(400, "request", "feedback must be an array", "feedback")
    if len(entries) > _MOST_ENTRIES:
        raise refuse(400, "request", f"at most {_MOST_ENTRIES} entries in one call", "feedback")
    issues: list[Issue] = []
    read = [_entry(entry, f"feedback[{i}]", issues) for i, entry in enumerate(entries)]
    if issues:
        raise Refusal(400, "request", issues)
    return [entry for entry in read if entry is not None]


def _entry(entry: Any, place: str, issues: list[Issue]) -> FeedbackEntry | None:
    if not isinstance(entry, dict):
        issues.append(Issue("structure", "each entry must be an object", place))
        return None
    before = len(issues)
    card = entry.get("card")
    if not isinstance(card, str) or not _UUID.fullmatch(card):
        issues.append(Issue("invalid", "card must be the card's UUID", f"{place}.card"))
    outcome = entry.get("outcome")
    if outcome not in _OUTCOMES:
        issues.append(
            Issue("invalid", "outcome must be accepted or overridden", f"{place}.outcome")
        )
    at = _timestamp(entry.get("outcomeTimestamp"), place, issues)
    suggestions = _suggestions(entry, place, issues)
    system, code, comment = _override_reason(entry, place, issues)
    if len(issues) > before or at is None:
        return None
    return FeedbackEntry(
        card=str(card).lower(),
        outcome=str(outcome),
        outcome_at=at,
        suggestions=suggestions,
        reason_system=system,
        reason_code=code,
        comment=comment,
    )


def _timestamp(value: Any, place: str, issues: list[Issue]) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
        at = at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):  # the last day there is, in a zone where it is tomorrow
        at = None
    if at is None:
        issues.append(
            Issue(
                "invalid",
                "outcomeTimestamp must be a time with a zone, such as 2026-01-31T09:30:00Z",
                f"{place}.outcomeTimestamp",
            )
        )
        return None
    return at


def _suggestions(entry: Mapping[str, Any], place: str, issues: list[Issue]) -> tuple[str, ...]:
    where = f"{place}.acceptedSuggestions"
    value = entry.get("acceptedSuggestions")
    if value is None:
        if entry.get("outcome") == "accepted":
            issues.append(Issue("required", "an accepted card names its suggestions", where))
        return ()
    ids = [item.get("id") if isinstance(item, dict) else None for item in _list(value)]
    if not ids or not all(isinstance(i, str) and _UUID.fullmatch(i) for i in ids):
        issues.append(Issue("invalid", "each must be an object with the suggestion's id", where))
        return ()
    return tuple(str(i).lower() for i in ids)


def _override_reason(
    entry: Mapping[str, Any], place: str, issues: list[Issue]
) -> tuple[str | None, str | None, str | None]:
    where = f"{place}.overrideReason"
    value = entry.get("overrideReason")
    if value is None:
        return None, None, None
    if not isinstance(value, dict):
        issues.append(Issue("structure", "overrideReason must be an object", where))
        return None, None, None
    reason, comment = value.get("reason"), value.get("userComment")
    if comment is not None and (not isinstance(comment, str) or len(comment) > _LONGEST_COMMENT):
        issues.append(
            Issue(
                "invalid",
                f"userComment must be text of at most {_LONGEST_COMMENT} characters",
                f"{where}.userComment",
            )
        )
    if reason is None:
        return None, None, comment if isinstance(comment, str) else None
    parts = [reason.get(name) if isinstance(reason, dict) else None for name in ("system", "code")]
    if not all(
        isinstance(part, str) and 0 < len(part) <= _LONGEST_CODE and part.isprintable()
        for part in parts
    ):
        issues.append(Issue("required", "reason needs a code and a system", f"{where}.reason"))
        return None, None, None
    return parts[0], parts[1], comment if isinstance(comment, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
