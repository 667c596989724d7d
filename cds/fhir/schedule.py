"""When the doses of an order fall, and how long they go on."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from cds.clinical.moment import Moment
from cds.fhir.frequency import Rate
from cds.fhir.problems import ReadError

_DAY_H: Final = 24.0


class Schedule(Struct, frozen=True):
    """When doses fall: hours after the start of a cycle, repeated.

    With `clock_known` the hours are after local midnight; with `day_of_week` after Monday 00:00.
    `events` are single doses at stated times and then there is no cycle.
    """

    offsets_h: tuple[float, ...]
    cycle_h: float
    clock_known: bool = False
    part_of_day: bool = False
    """Offsets come from parts of the day: they order concurrent doses but are not clock times."""
    day_of_week: bool = False
    single: bool = False
    count: int | None = None
    events: tuple[Moment, ...] = ()
    with_food: bool | None = None
    starts: Moment | None = None
    ends: Moment | None = None
    length_h: float | None = None
    assumptions: tuple[str, ...] = field(default=())

    @property
    def rate(self) -> Rate:
        """Doses per cycle."""
        return Rate(len(self.offsets_h), self.cycle_h, self.single)


def schedule_of(rate: Rate) -> Schedule:
    """Evenly spaced doses."""
    step = rate.cycle_h / rate.doses
    offsets = tuple(i * step for i in range(rate.doses))
    several = rate.doses > 1 and rate.cycle_h <= _DAY_H
    assumed = ("Doses were spaced evenly; clock times are not stated.",) if several else ()
    return Schedule(offsets, rate.cycle_h, single=rate.single, assumptions=assumed)


def timing_conflict(message: str) -> ReadError:
    """The question of a timing that contradicts itself."""
    return ReadError("timing-conflict", message, "timing")


def timing_range(message: str, name: str) -> ReadError:
    """The question of a timing that leaves a choice."""
    return ReadError("timing-range", message, f"timing.repeat.{name}")
