"""Values for the store's tests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from cds.store import CardRow, FeedbackEntry, LedgerEntry

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
CARD = "5f6cfa0c-7d5b-5f0a-9a3c-0b8f3e9f1a11"
SUGGESTION = "0b6a8d0e-52a3-5d6a-8b61-b1a7b7c9de22"


def finding(rule: str = "trough.cml-below-target", **changes: Any) -> dict[str, Any]:
    return {
        "rule": rule,
        "revision": 2,
        "subject": None,
        "severity": "warning",
        "state": "state-a",
        **changes,
    }


def card_row(uuid: str = CARD, **changes: Any) -> CardRow:
    values: dict[str, Any] = {
        "uuid": uuid,
        "matter": "exposure",
        "indicator": "warning",
        "findings": (finding(),),
        "suggestions": (SUGGESTION,),
        **changes,
    }
    return CardRow(**values)


def entry(**changes: Any) -> LedgerEntry:
    values: dict[str, Any] = {
        "evaluation": str(uuid.uuid4()),
        "at": NOW,
        "client": "north",
        "hook": "order-sign",
        "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "patient": "p-1",
        "user": "Practitioner/7",
        "input_digest": "0" * 64,
        "rulebook_revision": "1" * 64,
        "rulebook_version": "2026.11",
        "models": {"widmer-2006": "2" * 64},
        "code_version": "0.1.0",
        "body": {"input": {"patientId": "p-1"}, "response": {"cards": []}},
        "cards": (card_row(),),
        **changes,
    }
    return LedgerEntry(**values)


def answer(card: str = CARD, **changes: Any) -> FeedbackEntry:
    values: dict[str, Any] = {
        "card": card,
        "outcome": "overridden",
        "outcome_at": NOW,
        "reason_system": "urn:reasons",
        "reason_code": "will-monitor",
        **changes,
    }
    return FeedbackEntry(**values)
