"""Whom the advice is about."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cds.clinical.moment import Moment

_DAYS_PER_YEAR = 365.25


class Sex(StrEnum):
    """Sex as far as pharmacokinetic models use it; anything else in the record is unknown here."""

    FEMALE = "female"
    MALE = "male"


class Person(Struct, frozen=True):
    """A patient without a name: only what dosing needs."""

    id: str
    sex: Sex | None = None
    born: Moment | None = None
    deceased: bool = False

    def age_years(self, now: datetime) -> float | None:
        """Age in decimal years at `now`, or None if the birth date is unknown or in the future."""
        if self.born is None:
            return None
        age = self.born.days_until(now) / _DAYS_PER_YEAR
        return age if age >= 0 else None
