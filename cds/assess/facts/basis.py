"""What facts are derived from, and how a fact is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from cds.assess.assessment import Exposure, GatedLevel
from cds.assess.course import Therapy
from cds.assess.policy import Policy, Tables
from cds.clinical.level import PendingLevel
from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.clinical.record import PatientRecord
from cds.clinical.setting import Setting
from cds.clinical.terminology import Drug, Terminology
from cds.rulebook import Fact, FactError, is_usable, shortened

Value = bool | int | float | str
DAYS_PER_MONTH = 365.25 / 12.0


class Basis(Struct, frozen=True):
    """Everything known before the rules run."""

    record: PatientRecord
    setting: Setting
    therapy: Therapy
    policy: Policy
    tables: Tables
    drug: Drug
    terminology: Terminology
    levels: tuple[GatedLevel, ...]
    exposure: Exposure
    problems: tuple[Problem, ...]
    under_way: PendingLevel | None
    now: datetime

    def days_ago(self, moment: Moment | datetime | None) -> float | None:
        """Days from `moment` to now; None if unknown or in the future."""
        if moment is None:
            return None
        at = moment.at if isinstance(moment, Moment) else moment
        days = (self.now - at).total_seconds() / 86400.0
        return days if days >= 0 else None


def fact(kind: str, **values: Value | None) -> Fact:
    """A fact without its unknown attributes: what is not known is not there."""
    known = {name: value for name, value in values.items() if value is not None}
    try:
        return Fact(kind, known)
    except FactError:  # seldom: a text without end, or a number that no patient has
        return Fact(kind, _usable(known))


def _usable(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values that a fact can hold, texts shortened to what it can hold of them."""
    return {
        name: shortened(value) if isinstance(value, str) else value
        for name, value in values.items()
        # A number that only a conversion of an absurd one can give: nothing is known by it.
        if not isinstance(value, float) or is_usable(value)
    }
