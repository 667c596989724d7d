"""What could not be read, converted or decided: a value that travels to the card."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Impact(StrEnum):
    """What a problem does to the advice."""

    NOTICE = "notice"
    """Nothing that drives advice was lost; said where there is room."""
    LIMITS = "limits"
    """Advice was made without this datum; said on every card it could have changed."""
    PREVENTS = "prevents"
    """No quantitative advice can be given until it is resolved."""


class Problem(Struct, frozen=True):
    """One thing the service could not use, in words for a clinician.

    `code` is stable and documented (kebab-case, e.g. `level-unit-unreadable`); `reference` is the
    FHIR reference of the source (`Observation/123`); `field` the element inside it.
    """

    code: str
    message: str
    impact: Impact = Impact.LIMITS
    reference: str | None = None
    field: str | None = None
