"""The required code sets of FHIR R4 that the R4B models do not check, and how we read them.

Value sets of http://hl7.org/fhir/R4/valueset-medicationrequest-status.html and its neighbours.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final


def words(written: str) -> frozenset[str]:
    """A set of words written as one string."""
    return frozenset(written.split())


READ_TYPES: Final = frozenset(
    {
        "AdverseEvent",
        "AllergyIntolerance",
        "Condition",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "Observation",
        "Patient",
        "Procedure",
        "ServiceRequest",
        "Specimen",
    }
)

MEDICATION_TYPES: Final = frozenset(
    {"MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement"}
)

STATUSES: Final = MappingProxyType(
    {
        "MedicationRequest": words(
            "active on-hold cancelled completed entered-in-error stopped draft unknown"
        ),
        "MedicationStatement": words(
            "active completed entered-in-error intended stopped on-hold unknown not-taken"
        ),
        "MedicationDispense": words(
            "preparation in-progress cancelled on-hold completed entered-in-error stopped declined "
            "unknown"
        ),
        "MedicationAdministration": words(
            "in-progress not-done on-hold completed entered-in-error stopped unknown"
        ),
        "Observation": words(
            "registered preliminary final amended corrected cancelled entered-in-error unknown"
        ),
        "Procedure": words(
            "preparation in-progress not-done on-hold stopped completed entered-in-error unknown"
        ),
        "ServiceRequest": words("draft active on-hold revoked completed entered-in-error unknown"),
    }
)

OLD_MEDICATION_TYPES: Final = frozenset(
    {"MedicationOrder", "MedicationPrescription", "MedicationUsage"}
)
"""What other FHIR versions call orders and statements: recognised in order to be refused aloud."""

AUTHORISED_INTENTS: Final = frozenset(
    {"order", "original-order", "reflex-order", "filler-order", "instance-order"}
)
INTENTS: Final = AUTHORISED_INTENTS | {"proposal", "plan", "option"}
