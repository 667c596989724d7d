"""The case: everything known about one patient's doses, levels and covariates.

Times are hours on any clock of the caller's choice (zero may be anywhere); amounts are mg of the
base, levels ng/mL. A value that cannot be true raises a CaseError naming its field.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import force_setattr, replace

from pk.covariates import CovariateValue, vocabulary
from pk.errors import CaseError
from pk.history import SAME_TIME_H, History, history_of

Analyte = Literal["parent", "metabolite"]


class Dose(NamedTuple):
    """One intake: `amount_mg` swallowed at `time_h`. A tuple, as a history has hundreds of them."""

    time_h: float
    amount_mg: float


class Level(Struct, frozen=True):
    """One measured concentration.

    With `below_loq` the result was "below `lloq_ng_ml`" and `ng_ml` is ignored. A level with
    `excluded_because` is kept and shown but never used.
    """

    time_h: float
    ng_ml: float
    below_loq: bool = False
    lloq_ng_ml: float | None = None
    excluded_because: str | None = None
    analyte: Analyte = "parent"


class Regimen(Struct, frozen=True):
    """`amount_mg` every `interval_h` hours."""

    amount_mg: float
    interval_h: float

    def __post_init__(self) -> None:
        _positive("regimen.amount_mg", self.amount_mg, allow_zero=True)
        _positive("regimen.interval_h", self.interval_h)

    @property
    def daily_mg(self) -> float:
        return self.amount_mg * 24.0 / self.interval_h


class SteadyState(Struct, frozen=True):
    """A regimen that has run so long that its beginning no longer matters, up to `last_dose_h`."""

    regimen: Regimen
    last_dose_h: float = 0.0


class ClearanceEffect(Struct, frozen=True):
    """An interacting medicine: clearance tends to `factor` x its usual value.

    From `start_h` the effect grows with half-life `onset_half_life_h` (zero: at once); after
    `stop_h` it fades with `offset_half_life_h`. No `stop_h`: it goes on.
    """

    factor: float
    start_h: float = -math.inf
    stop_h: float | None = None
    onset_half_life_h: float = 0.0
    offset_half_life_h: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        _positive("clearance_effects.factor", self.factor)
        _positive("clearance_effects.onset_half_life_h", self.onset_half_life_h, allow_zero=True)
        _positive("clearance_effects.offset_half_life_h", self.offset_half_life_h, allow_zero=True)
        if math.isnan(self.start_h):
            raise CaseError("clearance_effects.start_h", "is not a number")
        if self.stop_h is not None and not self.stop_h > self.start_h:
            raise CaseError("clearance_effects.stop_h", "is not after start_h")

    def factor_at(self, time_h: float) -> float:
        """Factor on clearance at one time."""
        if time_h <= self.start_h:
            return 1.0
        end = time_h if self.stop_h is None else min(time_h, self.stop_h)
        reached = 1.0 - _remaining(end - self.start_h, self.onset_half_life_h)
        if self.stop_h is not None and time_h > self.stop_h:
            reached *= _remaining(time_h - self.stop_h, self.offset_half_life_h)
        return 1.0 + (self.factor - 1.0) * reached

    def mean_factor(self, start_h: float, end_h: float) -> float:
        """Average factor over a stretch of time: what the drug eliminated in it has seen."""
        if not start_h < end_h < math.inf or math.isinf(start_h):
            return self.factor_at(end_h if math.isinf(start_h) else start_h)
        cuts = [start_h, end_h]
        turns = (self.start_h, self.stop_h)
        cuts = sorted([*cuts, *(t for t in turns if t is not None and start_h < t < end_h)])
        total = sum(self._integral(a, b) for a, b in pairwise(cuts))
        return total / (end_h - start_h)

    def _integral(self, a: float, b: float) -> float:
        """Integral of the factor from a to b, neither start nor stop in between."""
        stopped = self.stop_h is not None and a >= self.stop_h
        half_life = self.offset_half_life_h if stopped else self.onset_half_life_h
        if b <= self.start_h or half_life == 0.0 or math.isinf(self.start_h):
            return (b - a) * self.factor_at(0.5 * (a + b))
        rate = math.log(2.0) / half_life
        # the factor nears its limit exponentially, so the integral follows from its two ends
        limit = 1.0 if stopped else self.factor
        from_a, from_b = self._just_after(a) - limit, self.factor_at(b) - limit
        return limit * (b - a) + (from_a - from_b) / rate

    def _just_after(self, time_h: float) -> float:
        return 1.0 if time_h == self.start_h else self.factor_at(time_h)

    @property
    def constant(self) -> bool:
        """True if the factor is the same at every time."""
        return math.isinf(self.start_h) and self.stop_h is None

    @property
    def lasting_factor(self) -> float:
        """Factor in the long run if nothing more changes."""
        return self.factor if self.stop_h is None else 1.0


def _remaining(elapsed_h: float, half_life_h: float) -> float:
    return 0.0 if half_life_h == 0.0 else float(0.5 ** (elapsed_h / half_life_h))


class Piecewise(Struct, frozen=True):
    """A covariate that changes: `values[i]` holds from `times_h[i]` on, the first before it too."""

    times_h: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.times_h or len(self.times_h) != len(self.values):
            raise CaseError("covariates", "piecewise values need one time each")
        if any(b <= a for a, b in pairwise(self.times_h)):
            raise CaseError("covariates", "piecewise times do not increase")

    def at(self, time_h: float) -> float:
        i = int(np.searchsorted(self.times_h, time_h, side="right")) - 1
        return self.values[max(i, 0)]


class Case(Struct, frozen=True, dict=True):  # cached_property needs a __dict__
    """One patient: covariates, dose history and levels.

    The history is `steady_state` (optional), followed by `doses` in any order. A covariate may be a
    number or word, or `Piecewise` over time. `treatment_start_h` is when the drug was first taken,
    for models whose parameters change with time on treatment; by default the first dose, and with
    a steady state long ago. `occasions_h` starts each sampling occasion for between-occasion
    variability; by default all levels belong to one.
    """

    covariates: Mapping[str, CovariateValue | Piecewise]
    doses: Sequence[Dose] = ()
    levels: Sequence[Level] = ()
    steady_state: SteadyState | None = None
    clearance_effects: Sequence[ClearanceEffect] = ()
    treatment_start_h: float | None = None
    occasions_h: Sequence[float] = ()

    def __post_init__(self) -> None:
        put = force_setattr
        words = vocabulary()
        checked: dict[str, CovariateValue | Piecewise] = {}
        for name, value in self.covariates.items():
            if name not in words:
                raise CaseError(f"covariates.{name}", "unknown covariate")
            if isinstance(value, Piecewise):
                for part in value.values:
                    words[name].check(part)
                checked[name] = value
            else:
                checked[name] = words[name].check(value)
        put(self, "covariates", MappingProxyType(checked))
        put(self, "doses", tuple(sorted(self.doses, key=itemgetter(0))))
        put(self, "levels", tuple(self.levels))
        put(self, "clearance_effects", tuple(self.clearance_effects))
        put(self, "occasions_h", tuple(self.occasions_h))
        self._check_levels()

    @cached_property
    def history(self) -> History:
        """The doses as runs, the youngest of each by itself."""
        return history_of(self.doses, self.steady_state)

    @classmethod
    def at_steady_state(
        cls,
        covariates: Mapping[str, CovariateValue | Piecewise],
        regimen: Regimen,
        levels: Sequence[Level] = (),
        last_dose_h: float = 0.0,
        doses: Sequence[Dose] = (),
        clearance_effects: Sequence[ClearanceEffect] = (),
    ) -> "Case":
        """A patient long on `regimen`, whose last dose of it was at `last_dose_h`."""
        return cls(
            covariates,
            doses,
            levels,
            SteadyState(regimen, last_dose_h),
            clearance_effects,
        )

    @property
    def used_levels(self) -> tuple[Level, ...]:
        """Levels that enter the likelihood."""
        return tuple(level for level in self.levels if level.excluded_because is None)

    def with_levels(self, levels: Sequence[Level]) -> "Case":
        """The same patient with other levels."""
        return replace(self, levels=tuple(levels))

    def with_doses(self, doses: Sequence[Dose]) -> "Case":
        """The same patient with other doses (after the steady state, if there is one)."""
        return replace(self, doses=tuple(doses))

    def _check_levels(self) -> None:
        first = self.history.first_h
        for i, level in enumerate(self.levels):
            where = f"levels[{i}]"
            if not math.isfinite(level.time_h):
                raise CaseError(f"{where}.time_h", "is not a number")
            if level.below_loq:
                if level.lloq_ng_ml is None:
                    raise CaseError(f"{where}.lloq_ng_ml", "needed for a level below it")
                _positive(f"{where}.lloq_ng_ml", level.lloq_ng_ml)
            elif level.excluded_because is None:
                _positive(f"{where}.ng_ml", level.ng_ml)
            if level.excluded_because is None and level.time_h <= first + SAME_TIME_H:
                raise CaseError(f"{where}.time_h", "is not after the first dose")


def _positive(where: str, value: float, *, allow_zero: bool = False) -> None:
    if not math.isfinite(value) or value < 0.0 or (value == 0.0 and not allow_zero):
        raise CaseError(where, f"{value} is not a positive number")
