"""A case file: one patient for `imatinib-tdm pk`, as JSON, checked field by field.

Times are hours on a clock of your choice, amounts mg of the base, levels ng/mL. Every number that
limits a dose comes from the file; the program has none of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import pk

Number = Annotated[float, Field(allow_inf_nan=False)]
# Far beyond any patient, and near enough that what follows from them can be counted and held.
Interval = Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)]
Amount = Annotated[float, Field(le=1e4, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=1, le=1e4, allow_inf_nan=False)]
Concentration = Annotated[float, Field(le=1e9, allow_inf_nan=False)]


class CaseFileError(Exception):
    """The file is not a case; each line names a field and says what is wrong with it."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Over(_Part):
    """A covariate that changes: each value holds from its time on."""

    times_h: list[Number]
    values: list[Number]


class Intake(_Part):
    """One dose, or `count` doses `every_h` hours apart, the first at `time_h`."""

    time_h: Number
    amount_mg: Amount
    every_h: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    count: Annotated[int, Field(ge=1, le=100_000)] = 1

    def doses(self) -> Iterator[pk.Dose]:
        for i in range(self.count):
            yield pk.Dose(self.time_h + i * (self.every_h or 0.0), self.amount_mg)


class SteadyState(_Part):
    """A regimen taken for so long that its beginning no longer matters."""

    amount_mg: Amount
    interval_h: Interval
    last_dose_h: Number = 0.0


class Level(_Part):
    """One measured concentration."""

    time_h: Number
    ng_ml: Concentration = 0.0
    below_loq: bool = False
    lloq_ng_ml: Number | None = None
    excluded_because: str | None = None
    analyte: Literal["parent", "metabolite"] = "parent"


class Effect(_Part):
    """An interacting medicine that multiplies clearance."""

    factor: Number
    start_h: Number | None = None
    stop_h: Number | None = None
    onset_half_life_h: Number = 0.0
    offset_half_life_h: Number = 0.0
    name: str = ""


class Wanted(_Part):
    """The target, and which regimens may be proposed."""

    low_ng_ml: Number
    high_ng_ml: Number
    best_ng_ml: Number | None = None
    strengths_mg: list[Strength]
    scored_mg: list[Strength] = []
    min_daily_mg: Amount
    max_daily_mg: Amount
    max_single_mg: Amount | None = None
    step_mg: Strength | None = None
    intervals_h: list[Interval]
    max_p_above: Number | None = None


class CaseFile(_Part):
    """One patient, and optionally the current regimen and what may be proposed."""

    covariates: dict[str, Number | str | Over] = {}
    steady_state: SteadyState | None = None
    doses: list[Intake] = []
    levels: list[Level] = []
    clearance_effects: list[Effect] = []
    treatment_start_h: Number | None = None
    occasions_h: list[Number] = []
    regimen: SteadyState | None = None
    proposals: Wanted | None = None

    def case(self) -> pk.Case:
        """The case; raises pk.errors.CaseError for a value that cannot be true."""
        steady = self.steady_state
        return pk.Case(
            covariates={
                name: pk.Piecewise(tuple(v.times_h), tuple(v.values)) if isinstance(v, Over) else v
                for name, v in self.covariates.items()
            },
            doses=[dose for intake in self.doses for dose in intake.doses()],
            levels=[pk.Level(**level.model_dump()) for level in self.levels],
            steady_state=steady and pk.SteadyState(_regimen(steady), steady.last_dose_h),
            clearance_effects=[
                pk.ClearanceEffect(**effect.model_dump(exclude_none=True))
                for effect in self.clearance_effects
            ],
            treatment_start_h=self.treatment_start_h,
            occasions_h=self.occasions_h,
        )

    def current(self) -> pk.Regimen | None:
        """The regimen to predict: as given, or that of the steady state."""
        given = self.regimen or self.steady_state
        return _regimen(given) if given else None

    def wanted(self) -> tuple[pk.Target, pk.DoseOptions] | None:
        """Target and limits of the proposals, if the file asks for any."""
        w = self.proposals
        if w is None:
            return None
        options = pk.DoseOptions(
            strengths_mg=tuple(w.strengths_mg),
            max_daily_mg=w.max_daily_mg,
            min_daily_mg=w.min_daily_mg,
            scored_mg=tuple(w.scored_mg),
            intervals_h=tuple(w.intervals_h),
            max_single_mg=w.max_single_mg,
            step_mg=w.step_mg,
            max_p_above=w.max_p_above,
            current=self.current(),
        )
        return pk.Target(w.low_ng_ml, w.high_ng_ml, w.best_ng_ml), options


def read_case_file(path: Path) -> CaseFile:
    """Read a case file.

    Raises CaseFileError, which names every field that is wrong.
    """
    try:
        raw = json.loads(path.read_bytes())
    except (UnicodeDecodeError, RecursionError) as error:
        raise CaseFileError(f"{path.name}: is not JSON ({error})") from None
    except json.JSONDecodeError as error:
        place = f"{path.name}:{error.lineno}:{error.colno}"
        raise CaseFileError(f"{place}: is not JSON ({error.msg})") from None
    try:
        return CaseFile.model_validate(raw)
    except ValidationError as error:
        raise CaseFileError("\n".join(_faults(error))) from None


def _regimen(given: SteadyState) -> pk.Regimen:
    return pk.Regimen(given.amount_mg, given.interval_h)


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False):
        place = ""
        for part in fault["loc"]:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
        yield f"{place or 'the file'}: {fault['msg']}"
