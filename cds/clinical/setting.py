"""Under which circumstances an assessment is made."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct


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


class Setting(Struct, frozen=True):
    """The occasion, the jurisdiction and the site's switches."""

    occasion: Occasion
    jurisdiction: Jurisdiction = Jurisdiction.US
    time_zone: str = "UTC"
    paediatric_doses: bool = False
    """Whether model-based dose numbers may be shown for children, where the models are biased."""

    def day_of(self, moment: datetime) -> datetime:
        """The midnight at the site that began the day of a moment.

        In UTC: two datetimes of one zone are subtracted by their clocks, as if no clock changed.
        """
        local = moment.astimezone(ZoneInfo(self.time_zone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
