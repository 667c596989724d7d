"""What the patient is told to take, and what is known to have been taken."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from cds.clinical.moment import Moment

_HOURS_PER_DAY = 24.0


class PlannedDose(Struct, frozen=True):
    """One dose inside a cycle: hours after the start of the cycle, and mg of base."""

    offset_h: float
    amount_mg: float


class Regimen(Struct, frozen=True):
    """A repeating pattern of doses, in mg of base.

    A cycle begins at `starts`, or at the local midnight of that day if `clock_known` or if the
    cycle is a week of named days. One single dose has `count` 1.
    Once daily 400 mg is one dose in a 24 h cycle; 400 mg mornings and 200 mg evenings are two
    doses in a 24 h cycle; Monday to Friday is five doses in a 168 h cycle. `clock_known` says that
    offsets are hours after local midnight; otherwise only their spacing means anything.
    `ends` is exclusive. `count` limits the number of doses. `assumptions` are said to the reader.
    """

    doses: tuple[PlannedDose, ...]
    cycle_h: float
    starts: Moment | None = None
    ends: Moment | None = None
    count: int | None = None
    clock_known: bool = False
    with_food: bool | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def daily_mg(self) -> float:
        """Mean dose per day in mg."""
        return sum(d.amount_mg for d in self.doses) * _HOURS_PER_DAY / self.cycle_h

    @property
    def is_uniform(self) -> bool:
        """Whether all doses are equal and equally spaced: then amount and interval say it all."""
        if len(self.doses) == 1:
            return True
        if len({d.amount_mg for d in self.doses}) != 1:
            return False
        step = self.cycle_h / len(self.doses)
        first = self.doses[0].offset_h
        return all(abs(d.offset_h - first - i * step) < 0.01 for i, d in enumerate(self.doses))

    @property
    def interval_h(self) -> float | None:
        """Dosing interval in hours when the pattern is uniform."""
        return self.cycle_h / len(self.doses) if self.is_uniform else None

    @property
    def amount_mg(self) -> float | None:
        """Amount per administration in mg when the pattern is uniform."""
        return self.doses[0].amount_mg if self.is_uniform else None


class OrderStatus(StrEnum):
    """FHIR R4 MedicationRequest status."""

    ACTIVE = "active"
    ON_HOLD = "on-hold"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    STOPPED = "stopped"
    DRAFT = "draft"
    UNKNOWN = "unknown"


class DrugOrder(Struct, frozen=True):
    """One order of the monitored drug.

    `regimens` are consecutive in time; empty means the dosing could not be read, and a Problem in
    the record says why. `is_draft` marks an order that is being written now; `selected` that the
    prescriber is looking at it. `strength_mg` is the tablet strength the order names, if any;
    `is_solution` says that it names a solution, of which any amount can be measured.
    `reported` marks what the patient is said to take (a MedicationStatement or a reported order):
    it describes the therapy again and never adds to an order. `replaces` is the reference of the
    order this one follows, `group` the identifier of the prescription it was written in together
    with others. `reasons` are the condition keys it is given for in its own words or codes,
    `reason_references` the conditions it points to.
    """

    reference: str
    status: OrderStatus
    regimens: tuple[Regimen, ...] = ()
    authored: Moment | None = None
    stopped: Moment | None = None
    is_draft: bool = False
    selected: bool = False
    strength_mg: float | None = None
    display: str | None = None
    reported: bool = False
    replaces: str | None = None
    group: str | None = None
    reasons: tuple[str, ...] = ()
    reason_references: tuple[str, ...] = ()
    is_solution: bool = False


class TakenDose(Struct, frozen=True):
    """A dose that was documented as taken (or as not taken) by administration or statement."""

    at: Moment
    amount_mg: float | None
    taken: bool
    reference: str
    basis: str
    """`administration`, `statement`, `comment` or `lab-form`."""


class Supply(Struct, frozen=True):
    """A quantity of the monitored drug handed over."""

    handed_over: Moment
    days: float | None
    quantity: float | None
    reference: str
    mg: float | None = None
    """All of it in mg of base, where quantity and strength say so."""
