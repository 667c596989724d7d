"""An alert as FHIR R4 resources, each with an identifier of ours. Pure: values in, JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from cds import __version__

IDENTIFIER_SYSTEM: Final = "urn:imatinib-tdm:alert"
CODE_SYSTEM: Final = "urn:imatinib-tdm:code"
_PRODUCT: Final = "imatinib-tdm"
_PRIORITY: Final = MappingProxyType({"info": "routine", "warning": "urgent", "critical": "stat"})
_SEVERITY: Final = MappingProxyType({"info": "low", "warning": "moderate", "critical": "high"})

RESOURCE_TYPES: Final = MappingProxyType(
    {
        "task": "Task",
        "detected-issue": "DetectedIssue",
        "communication": "Communication",
        "risk-assessment": "RiskAssessment",
        "guidance-response": "GuidanceResponse",
        "flag": "Flag",
    }
)

_WITHDRAWN: Final = MappingProxyType(
    {
        "Task": "cancelled",
        "DetectedIssue": "cancelled",
        "Communication": "stopped",
        "RiskAssessment": "cancelled",
        "GuidanceResponse": "entered-in-error",
        "Flag": "inactive",
    }
)
_OURS: Final = MappingProxyType(
    {
        "Task": {"requested"},
        "DetectedIssue": {"final"},
        "Communication": {"completed"},
        "RiskAssessment": {"final"},
        "GuidanceResponse": {"success"},
        "Flag": {"active"},
    }
)
"""The statuses we set; a resource in another one has been taken up by somebody."""


class Message(Struct, frozen=True):
    """Everything a resource is written from."""

    patient: str
    card: Mapping[str, Any]
    at: datetime
    observations: Sequence[str] = ()
    orders: Sequence[str] = ()
    owner: str | None = None
    percent_below: float | None = None
    """P(steady-state trough below the target) in percent, when the model gives one."""


def identifier(value: str) -> dict[str, str]:
    """Our identifier of a resource."""
    return {"system": IDENTIFIER_SYSTEM, "value": value}


def resource_for(kind: str, message: Message, key: str) -> dict[str, Any] | None:
    """The resource of a kind (`task`, ...), or None where the alert has nothing for it."""
    return _WRITERS[kind](message, key)


def withdrawn(resource: Mapping[str, Any], reason: str) -> dict[str, Any] | None:
    """The resource withdrawn, or None if it must be left as it is.

    A Task that somebody has accepted, completed or rejected is theirs, and so is everything else
    whose status is no longer the one we gave it.
    """
    kind = str(resource["resourceType"])
    if resource.get("status") not in _OURS[kind]:
        return None
    changed = dict(resource) | {"status": _WITHDRAWN[kind]}
    if kind in {"Task", "Communication"}:
        changed["statusReason"] = {"text": f"The alert was withdrawn: {reason}."}
    if kind == "DetectedIssue":
        mitigation = {"action": {"text": f"The alert was withdrawn: {reason}."}}
        changed["mitigation"] = [*(changed.get("mitigation") or []), mitigation]
    return changed


def _task(message: Message, key: str) -> dict[str, Any]:
    task: dict[str, Any] = {
        "resourceType": "Task",
        "identifier": [identifier(key)],
        "status": "requested",
        "intent": "proposal",
        "priority": _PRIORITY[message.card["indicator"]],
        "code": _code("review-drug-level", "Review a drug level"),
        "description": message.card["summary"],
        "for": {"reference": f"Patient/{message.patient}"},
        "authoredOn": message.at.isoformat(),
        "requester": {"display": f"{_PRODUCT} {__version__}"},
        "note": [{"text": _words(message)}],
    }
    if message.observations:
        task["focus"] = {"reference": message.observations[0]}
        task["reasonReference"] = {"reference": message.observations[0]}
    if message.owner:
        task["owner"] = {"reference": message.owner}
    return task


def _detected_issue(message: Message, key: str) -> dict[str, Any]:
    implicated = [*message.orders, *message.observations]
    issue: dict[str, Any] = {
        "resourceType": "DetectedIssue",
        "identifier": [identifier(key)],
        "status": "final",
        "code": _code("drug-level-finding", message.card["summary"]),
        "severity": _SEVERITY[message.card["indicator"]],
        "patient": {"reference": f"Patient/{message.patient}"},
        "identifiedDateTime": message.at.isoformat(),
        "author": {"display": f"{_PRODUCT} {__version__}"},
        "detail": _words(message),
    }
    if implicated:
        issue["implicated"] = [{"reference": reference} for reference in implicated]
    return issue


def _communication(message: Message, key: str) -> dict[str, Any]:
    communication: dict[str, Any] = {
        "resourceType": "Communication",
        "identifier": [identifier(key)],
        "status": "completed",
        "priority": _PRIORITY[message.card["indicator"]],
        "subject": {"reference": f"Patient/{message.patient}"},
        "sent": message.at.isoformat(),
        "payload": [{"contentString": f"{message.card['summary']}\n\n{_words(message)}"}],
    }
    if message.observations:
        communication["about"] = [{"reference": one} for one in message.observations]
    if message.owner:
        communication["recipient"] = [{"reference": message.owner}]
    return communication


def _risk_assessment(message: Message, key: str) -> dict[str, Any] | None:
    if message.percent_below is None:
        return None
    assessment: dict[str, Any] = {
        "resourceType": "RiskAssessment",
        "identifier": [identifier(key)],
        "status": "final",
        "method": {"text": "Bayesian estimate from a published population model"},
        "subject": {"reference": f"Patient/{message.patient}"},
        "occurrenceDateTime": message.at.isoformat(),
        "performer": {"display": f"{_PRODUCT} {__version__}"},
        "prediction": [
            {
                "outcome": {"text": "Steady-state trough below the target on the present dose"},
                "probabilityDecimal": round(message.percent_below / 100.0, 3),
            }
        ],
    }
    basis = [*message.observations, *message.orders]
    if basis:
        assessment["basis"] = [{"reference": reference} for reference in basis]
    return assessment


def _guidance_response(message: Message, key: str) -> dict[str, Any]:
    return {
        "resourceType": "GuidanceResponse",
        "identifier": [identifier(key)],
        "moduleUri": f"{CODE_SYSTEM}:new-level",
        "status": "success",
        "subject": {"reference": f"Patient/{message.patient}"},
        "occurrenceDateTime": message.at.isoformat(),
        "performer": {"display": f"{_PRODUCT} {__version__}"},
        "note": [{"text": f"{message.card['summary']}\n\n{_words(message)}"}],
    }


def _flag(message: Message, key: str) -> dict[str, Any]:
    return {
        "resourceType": "Flag",
        "identifier": [identifier(key)],
        "status": "active",
        "code": {"text": message.card["summary"]},
        "subject": {"reference": f"Patient/{message.patient}"},
        "period": {"start": message.at.isoformat()},
        "author": {"display": f"{_PRODUCT} {__version__}"},
    }


def _code(code: str, shown: str) -> dict[str, Any]:
    return {"coding": [{"system": CODE_SYSTEM, "code": code}], "text": shown}


def _words(message: Message) -> str:
    """The card's own words, and the card's id, under which a hook shows the same finding."""
    detail = message.card.get("detail") or message.card["summary"]
    return f"{detail}\n\nCard {message.card['uuid']}."


_WRITERS: Final = MappingProxyType(
    {
        "task": _task,
        "detected-issue": _detected_issue,
        "communication": _communication,
        "risk-assessment": _risk_assessment,
        "guidance-response": _guidance_response,
        "flag": _flag,
    }
)
