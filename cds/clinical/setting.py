"""Under which circumstances an assessment is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Jurisdiction(StrEnum):
    """Whose label applies where labels conflict."""

    US = "us"
    EU = "eu"


class Occasion(StrEnum):
    """What made us look at the patient; rules name the occasions on which they speak."""

    PATIENT_VIEW = "patient-view"
    ORDER_SELECT = "order-select"
    ORDER_SIGN = "order-sign"
    MEDICATION_REFILL = "medication-refill"
    MEDICATION_VERIFY = "medication-verify"
    NEW_LEVEL = "new-level"


@dataclass(frozen=True, slots=True)
class Setting:
    """The occasion, the jurisdiction and the site's switches."""

    occasion: Occasion
    jurisdiction: Jurisdiction = Jurisdiction.US
    time_zone: str = "UTC"
    paediatric_doses: bool = False
    """Whether model-based dose numbers may be shown for children, where the models are biased."""
