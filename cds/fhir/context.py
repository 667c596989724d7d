"""What every reader of one patient's resources needs, in one value."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from cds.clinical.codes import Concept
from cds.clinical.terminology import Drug, Terminology
from cds.fhir.products import Resolve
from cds.fhir.strength import Strength

CLOCKS_DIFFER: Final = timedelta(days=1)
"""A result may be ahead of our clock by this much: another zone, a date without a time."""


class ReadContext(Struct, frozen=True):
    """The drug, the meaning of codes, the site's zone, the time, and how references resolve.

    Body surface (m2) and weight (kg) are recent measurements, for doses per m2 and per kg.
    """

    drug: Drug
    terminology: Terminology
    zone: ZoneInfo
    now: datetime
    resolve: Resolve
    body_surface_m2: float | None = None
    weight_kg: float | None = None
    strengths: dict[Concept, Strength] = field(default_factory=dict)
    """What products of the monitored drug hold, as far as they were met in this record."""
