"""Decisions, and looks at them, as FHIR R4 AuditEvents after the IHE Basic Audit Log Patterns.

One event per decision: which client asked, for which user, about which patient, and under which
evaluation id the basis can be found. One per look: who was shown which decision, or the worklist.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cds import __version__
from cds.store import CipherError, Look, Store, StoredDecision, Way

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_SOFTWARE = "imatinib-tdm"


def audit_events(store: Store, since: datetime | None) -> Iterator[dict[str, Any]]:
    """Yield the AuditEvents of all decisions since a time, oldest first."""
    for evaluation in store.evaluations(since):
        try:
            decision = store.decision(evaluation)
        except CipherError:
            continue  # sealed with a key that is gone: nothing about it can be said
        if decision is not None:
            yield audit_event(decision)


def look_events(store: Store, since: datetime | None) -> Iterator[dict[str, Any]]:
    """Yield the AuditEvents of everything that people were shown since a time, oldest first."""
    for number, look in store.looks(since):
        decision = None
        if look.evaluation is not None:
            try:
                decision = store.decision(look.evaluation)
            except CipherError:
                decision = None  # sealed with a key that is gone; that it was looked at stays
        yield look_event(number, look, decision)


def look_event(number: int, look: Look, decision: StoredDecision | None) -> dict[str, Any]:
    """Return one look as an AuditEvent; `decision` is what was looked at, if it is still here."""
    person: dict[str, Any] = {
        "type": {"coding": [_coding(_PARTICIPATION, "IRCP", "information recipient")]},
        "requestor": True,
    }
    person["who"] = {"reference": look.user} if look.user else {"display": _SOMEBODY[look.way]}
    source = {
        "type": {"coding": [_coding(_DICOM, "110153", "Source Role ID")]},
        "who": {"display": f"{_SOFTWARE} {__version__}"},
        "requestor": False,
    }
    return {
        "resourceType": "AuditEvent",
        "id": f"look-{number}",
        "type": _coding(_EVENT_TYPE, "rest"),
        "subtype": [_coding(_INTERACTION, "read"), {"display": look.what}],
        "action": "R",
        "recorded": look.at.isoformat(),
        "outcome": "0",
        "agent": [person, source],
        "source": {"observer": {"display": f"{_SOFTWARE} {__version__}"}},
        "entity": _entities(decision) if decision is not None else [_worklist_entity(look)],
    }


_SOMEBODY = {
    Way.SIGNED_IN: "signed in by the EHR, which named no user",
    Way.LINK: "whoever held the link to this report",
    Way.MACHINE: "somebody at the machine of the service",
}


def _worklist_entity(look: Look) -> dict[str, Any]:
    named = {"name": f"evaluation {look.evaluation}"} if look.evaluation else {"name": look.what}
    return {"type": _coding(_ENTITY_TYPE, "2", "System Object"), **named}


def audit_event(decision: StoredDecision) -> dict[str, Any]:
    """Return one decision as an AuditEvent."""
    return {
        "resourceType": "AuditEvent",
        "id": decision.evaluation,
        "type": _coding(_EVENT_TYPE, "rest"),
        "subtype": [_coding(_INTERACTION, "operation"), {"display": f"cds-hooks {decision.hook}"}],
        "action": "E",
        "recorded": decision.at.isoformat(),
        "outcome": "0",
        "agent": _agents(decision),
        "source": {"observer": {"display": f"{_SOFTWARE} {__version__}"}},
        "entity": _entities(decision),
    }


def _agents(decision: StoredDecision) -> list[dict[str, Any]]:
    agents = [
        {
            "type": {"coding": [_coding(_DICOM, "110153", "Source Role ID")]},
            "who": {"display": decision.client},
            "requestor": False,
        },
        {
            "type": {"coding": [_coding(_DICOM, "110152", "Destination Role ID")]},
            "who": {"display": f"{_SOFTWARE} {decision.code_version}"},
            "requestor": False,
        },
    ]
    if decision.user:
        agents.append(
            {
                "type": {"coding": [_coding(_PARTICIPATION, "IRCP", "information recipient")]},
                "who": {"reference": decision.user},
                "requestor": True,
            }
        )
    return agents


def _entities(decision: StoredDecision) -> list[dict[str, Any]]:
    entities = [
        {
            "what": {"identifier": {"system": "urn:ietf:rfc:3986", "value": _urn(decision)}},
            "type": _coding(_ENTITY_TYPE, "2", "System Object"),
            "role": _coding(_ROLE, "20", "Job"),
            "name": f"rulebook {decision.rulebook_version} {decision.rulebook_revision[:12]}",
        }
    ]
    if decision.body is not None:
        patient = decision.body["input"]["patientId"]
        entities.insert(
            0,
            {
                "what": {"reference": f"Patient/{patient}"},
                "type": _coding(_ENTITY_TYPE, "1", "Person"),
                "role": _coding(_ROLE, "1", "Patient"),
            },
        )
    return entities


def _urn(decision: StoredDecision) -> str:
    return f"urn:uuid:{decision.evaluation}"


def _coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    return {"system": system, "code": code} | ({"display": display} if display else {})
