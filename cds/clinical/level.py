"""A measured drug concentration and what is known about its timing."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from cds.clinical.moment import Moment


class ResultStatus(StrEnum):
    """FHIR R4 Observation status of a result that counts; others never become a result."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    AMENDED = "amended"
    CORRECTED = "corrected"


class Comparator(StrEnum):
    """FHIR quantity comparator: the true value lies on this side of the reported one."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER_OR_EQUAL = ">="
    GREATER = ">"


class NoNumber(StrEnum):
    """Why a reported value cannot be used as a number."""

    UNIT = "unit"
    ZERO = "zero"
    NEGATIVE = "negative"
    TEXT = "text"


class TimingClaim(Struct, frozen=True):
    """One source's statement of the time between the last dose and the sample."""

    hours: float
    basis: str
    """`administration`, `statement`, `comment`, `lab-form`, `code` or `schedule`."""
    reference: str | None = None


class Level(Struct, frozen=True):
    """One concentration of the monitored drug.

    `ng_ml` is None when the value cannot be used as a number: `no_number` and a Problem say why.
    The value and unit as reported are kept for the card. `timing` holds every claim about the time
    since the last dose, most trusted first; claims may disagree, and none means unknown. A claim
    with basis `schedule` is an assumption from the order's clock times.
    """

    reference: str
    status: ResultStatus
    reported_value: str
    """With its comparator, if it has one: `<50`."""
    reported_unit: str | None
    ng_ml: float | None
    sampled: Moment | None
    comparator: Comparator | None = None
    timing: tuple[TimingClaim, ...] = ()
    specimen: str | None = None
    """`plasma`, `serum`, `blood` (the tube that was drawn), `whole-blood`, `dried-blood`, `other`,
    or None if not stated."""
    issued: Moment | None = None
    version: str | None = None
    no_number: NoNumber | None = None
    dated_ahead: bool = False
    """The sampling time lies in the future, further than clocks differ."""
    doses_missed: bool = False
    """A comment says that doses before the sample were missed or vomited."""

    @property
    def reported(self) -> str:
        """The value with its unit as reported; text stands alone."""
        if self.no_number is NoNumber.TEXT:
            return self.reported_value
        return f"{self.reported_value} {self.reported_unit or '(no unit)'}"


class PendingLevel(Struct, frozen=True):
    """A level of the monitored drug that was ordered or drawn and has no result yet."""

    reference: str
    since: Moment | None
    """When it was drawn, is to be drawn or was ordered; None if nothing says so."""
