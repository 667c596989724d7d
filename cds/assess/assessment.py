"""The outcome of one assessment: everything a card, a report or the ledger needs, and nothing else.

Percentages are 0-100, concentrations ng/mL, doses mg of base, times hours unless the name says
otherwise. Intervals are 90 % intervals of the trough itself (parameter uncertainty); assay and
day-to-day scatter are not in them, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct, field

import pk
from cds.assess.policy import Policy
from cds.clinical.level import Level, PendingLevel
from cds.clinical.problem import Problem
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import Regimen
from cds.clinical.setting import Setting
from cds.rulebook import Fact, Verdict


class Gate(StrEnum):
    """The first gate that stops a level, or how it passed (`level.gate` of the fact catalogue)."""

    TROUGH = "trough"
    CORRECTED = "corrected"
    PRELIMINARY = "preliminary"
    DATED_AHEAD = "dated-ahead"
    UNIT_UNREADABLE = "unit-unreadable"
    ZERO = "zero"
    NEGATIVE = "negative"
    WRITTEN_AS_TEXT = "written-as-text"
    IMPLAUSIBLE = "implausible"
    IMPLAUSIBLY_SMALL = "implausibly-small"
    BELOW_QUANTIFICATION = "below-quantification"
    REGIMEN_UNKNOWN = "regimen-unknown"
    NOT_STEADY_STATE = "not-steady-state"
    INTERRUPTED = "interrupted"
    TIME_UNKNOWN = "time-unknown"
    TIMING_CONFLICT = "timing-conflict"
    TOO_EARLY = "too-early"
    NOT_PLASMA = "not-plasma"
    VALUES_CONFLICT = "values-conflict"

    @property
    def comparable(self) -> bool:
        """Whether the level may be compared with a trough target."""
        return self in (Gate.TROUGH, Gate.CORRECTED)


class GatedLevel(Struct, frozen=True):
    """A level after the sampling gate; `reason` says in words why it stopped where it did."""

    level: Level
    gate: Gate
    reason: str
    is_latest: bool
    hours_post_dose: float | None = None
    timing_basis: str | None = None
    trough_ng_ml: float | None = None
    trough_low_ng_ml: float | None = None
    trough_high_ng_ml: float | None = None
    correction: str | None = None
    days_since_change: float | None = None
    days_on_drug: float | None = None
    daily_mg: float | None = None
    percentile: float | None = None


class Course(Struct, frozen=True):
    """The therapy as it stands, read from orders, doses and supplies; None means unknown."""

    indication: str | None
    disease: str | None
    population: str | None
    regimen: Regimen | None
    active: bool
    on_hold: bool
    starting: bool
    started: datetime | None
    dose_changed: datetime | None
    stopped: datetime | None
    start_daily_mg: float | None
    current_order: str | None = None
    """Reference of the order that is being followed."""
    reported_daily_mg: float | None = None
    """What the patient is said to take instead, if that was said after the order began."""


class ExposureState(StrEnum):
    """How far the model's numbers can be relied on (`exposure.state` of the fact catalogue)."""

    FITTED = "fitted"
    POPULATION = "population"
    UNRELIABLE = "unreliable"
    OUT_OF_DOMAIN = "out-of-domain"
    NOT_POSSIBLE = "not-possible"
    WITHHELD = "withheld"

    @property
    def quantitative(self) -> bool:
        """Whether dose numbers may be shown."""
        return self in (ExposureState.FITTED, ExposureState.POPULATION)


class DoseOption(Struct, frozen=True):
    """One regimen of real tablets and what the model expects of it at steady state."""

    amount_mg: float
    interval_h: float
    tablets: tuple[tuple[float, float], ...]
    """(strength in mg, number) per administration, largest strength first."""
    trough_ng_ml: float
    trough_low_ng_ml: float
    trough_high_ng_ml: float
    percent_below: float
    percent_in: float
    percent_above: float
    auc24_mg_h_l: float
    is_current: bool = False
    is_ordered: bool = False
    is_best: bool = False
    why_not: str | None = None
    """Why it is not offered (over the label's maximum, cannot be made, ...); None if it may be."""
    too_far: bool = False
    """More usual dose steps from the present dose than are taken at once."""

    @property
    def daily_mg(self) -> float:
        """Dose per day in mg."""
        return self.amount_mg * 24.0 / self.interval_h


class MeasuredTrough(Struct, frozen=True):
    """A measured trough that the model's estimate on the same dose leaves unexplained."""

    measured_ng_ml: float
    expected_ng_ml: float
    side: Literal["below", "in", "above"]
    """Where the measured trough lies to the target."""


class AdherenceView(Struct, frozen=True):
    """What the latest level says about recent doses."""

    percent_all_taken: float
    percent_missed_some: float
    trough_if_all_taken_ng_ml: float
    """Under the reading that every recent dose was taken."""
    prior_percent_all_taken: float | None = None
    trough_if_all_taken_low_ng_ml: float | None = None
    trough_if_all_taken_high_ng_ml: float | None = None
    missed_at_least_percent: tuple[tuple[int, float], ...] = ()
    """(number of the recent doses, probability that at least so many were missed)."""
    recent_doses: int = 7


class Exposure(Struct, frozen=True):
    """The pharmacokinetic view of the patient, or the reasons why there is none."""

    state: ExposureState
    reasons: tuple[str, ...] = ()
    model_id: str | None = None
    model_title: str | None = None
    model_verified: bool = False
    posterior: pk.Posterior | None = None
    current: DoseOption | None = None
    ordered: Mapping[str, DoseOption] = field(default_factory=dict)
    """Draft order reference -> outlook of that order."""
    options: tuple[DoseOption, ...] = ()
    """Ranked; the current and the ordered regimen are always among them."""
    no_option_reason: str | None = None
    adherence: AdherenceView | None = None
    levels_used: tuple[str, ...] = ()
    imputed: Mapping[str, float | str] = field(default_factory=dict)
    """Covariates the model needed and the record did not have -> the value used instead."""
    model_troughs_ng_ml: Mapping[str, float] = field(default_factory=dict)
    """Model id -> steady-state trough under the current regimen; their spread is shown."""
    measured: MeasuredTrough | None = None
    """The latest trough, where it differs so much from the expected one that a reader would ask."""
    members: tuple[pk.Posterior, ...] = ()
    """The fits of all models that accept the patient, the quoted one first."""

    @property
    def model_weights(self) -> Mapping[str, float]:
        """Model id -> weight by how well it predicts the levels.

        Each model is integrated over its whole posterior, so it is done on demand: a report shows
        the weights, a decision does not need them.
        """
        if self.posterior is None:
            return {}
        return pk.average(self.posterior.case, [m.model for m in self.members]).weights

    @property
    def best(self) -> DoseOption | None:
        """The highest-ranked option that may be offered."""
        return next((option for option in self.options if option.is_best), None)


class Versions(Struct, frozen=True):
    """What exactly produced the assessment, so that it can be repeated."""

    code: str
    rulebook: str
    rulebook_version: str
    models: Mapping[str, str]
    """Model id -> digest."""


class Assessment(Struct, frozen=True):
    """One patient, one moment, one decision path."""

    record: PatientRecord
    setting: Setting
    now: datetime
    policy: Policy
    course: Course
    levels: tuple[GatedLevel, ...]
    exposure: Exposure
    problems: tuple[Problem, ...]
    """The record's problems and those found while assessing."""
    facts: tuple[Fact, ...]
    verdict: Verdict
    versions: Versions
    under_way: PendingLevel | None = None
    """A level that will tell of the present dose and has no result yet."""

    @property
    def latest_level(self) -> GatedLevel | None:
        """The most recent level, whatever its gate."""
        return next((g for g in self.levels if g.is_latest), None)
