"""Synthetic patients, notifications and alert settings: a test names only what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from cds.alerts.settings import AlertSettings, FhirServer
from tests.alerts.fake_fhir import BASE, FakeFhir

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ENDPOINT = "n0rth-endpoint-4711"
SECRET = "a-secret-nobody-guesses"
BEARER = f"Bearer {SECRET}"
UCUM = "http://unitsofmeasure.org"
LEVEL_CODE = {"system": "http://loinc.org", "code": "57844-3"}


@dataclass
class FakeClock:
    """A clock that moves only when told, and can be set."""

    at: datetime = NOW
    measured: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.measured

    def advance(self, **how_far: float) -> None:
        """Let time pass."""
        self.set(**how_far)
        self.measured += timedelta(**how_far).total_seconds()

    def set(self, **how_far: float) -> None:
        """Set the clock; no time passes."""
        self.at += timedelta(**how_far)


def north(**changes: Any) -> FhirServer:
    """The registered server of most tests."""
    values: dict[str, Any] = {
        "id": "north",
        "fhir_base": BASE,
        "endpoint": ENDPOINT,
        "secret": SecretStr(SECRET),
        **changes,
    }
    return FhirServer(**values)


def alert_settings(*servers: FhirServer, **changes: Any) -> AlertSettings:
    values: dict[str, Any] = {"servers": servers or (north(),), "settle_s": 0.0, **changes}
    return AlertSettings(**values)


def level(
    ng_ml: float | None = 620.0,
    *,
    name: str = "level-1",
    patient: str = "p1",
    days_ago: float = 1.0,
    now: datetime = NOW,
    **changes: Any,
) -> dict[str, Any]:
    """A trough level 24 h after the last dose."""
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [LEVEL_CODE]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": (now - timedelta(days=days_ago)).isoformat(),
        "note": [{"text": "24 h after last dose"}],
    }
    if ng_ml is not None:
        observation["valueQuantity"] = quantity(ng_ml, "ng/mL")
    return {**observation, **changes}


def quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def patient_on_imatinib(fhir: FakeFhir, patient: str = "p1") -> None:
    """A man with CML who has taken 400 mg once daily for long."""
    subject = {"reference": f"Patient/{patient}"}
    fhir.put(
        {
            "resourceType": "Patient",
            "id": patient,
            "gender": "male",
            "birthDate": "1970-01-01",
            "identifier": [{"system": "urn:mrn", "value": f"mrn-{patient}"}],
        }
    )
    fhir.put(
        {
            "resourceType": "MedicationRequest",
            "id": f"order-{patient}",
            "status": "active",
            "intent": "order",
            "subject": subject,
            "authoredOn": "2026-01-01T08:00:00Z",
            "medicationCodeableConcept": {"text": "imatinib 400 mg tablet"},
            "dosageInstruction": [
                {
                    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": quantity(400, "mg")}],
                }
            ],
        }
    )
    active = {
        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
        "code": "active",
    }
    fhir.put(
        {
            "resourceType": "Condition",
            "id": f"cml-{patient}",
            "clinicalStatus": {"coding": [active]},
            "subject": subject,
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C92.10"}]},
        }
    )


def backport(
    kind: str = "event-notification",
    *events: tuple[int, str],
    total: int | None = None,
    resources: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    """An R4 notification of the Subscriptions R5 Backport IG; events are (number, focus)."""
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": f"{BASE}/Subscription/s1"}},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": kind},
    ]
    reached = total if total is not None else max((number for number, _ in events), default=0)
    parameters.append({"name": "events-since-subscription-start", "valueString": str(reached)})
    parameters.extend(
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {"name": "focus", "valueReference": {"reference": focus}},
            ],
        }
        for number, focus in events
    )
    status = {"resourceType": "Parameters", "parameter": parameters}
    entries = [{"fullUrl": "urn:uuid:0", "resource": status}]
    entries += [{"fullUrl": f"{BASE}/x/{n}", "resource": r} for n, r in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "history", "entry": entries}


def r5(*events: tuple[int, str], kind: str = "event-notification") -> dict[str, Any]:
    """The same in the shape of R5."""
    status = {
        "resourceType": "SubscriptionStatus",
        "status": "active",
        "type": kind,
        "subscription": {"reference": "Subscription/s1"},
        "eventsSinceSubscriptionStart": str(max((number for number, _ in events), default=0)),
        "notificationEvent": [
            {"eventNumber": str(number), "focus": {"reference": focus}} for number, focus in events
        ],
    }
    return {
        "resourceType": "Bundle",
        "type": "subscription-notification",
        "entry": [{"resource": status}],
    }
