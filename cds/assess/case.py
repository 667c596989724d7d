"""The patient as the dosing library takes it: covariates, doses and levels on one clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from zoneinfo import ZoneInfo

from msgspec import Struct

import pk
from cds.assess.assessment import Gate, GatedLevel
from cds.assess.course import Therapy
from cds.assess.covariates import covariates_of
from cds.assess.intake import Span, dose_history
from cds.assess.interactions import clearance_effects
from cds.assess.policy import Policy, Tables
from cds.assess.timeline import Segment
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import Regimen
from cds.clinical.setting import Setting

# Doses this long before the first level no longer matter (over fifteen of the longest half-lives).
_MEMORY = timedelta(days=30)
_SAME_TIME = timedelta(seconds=1)


class Patient(Struct, frozen=True):
    """What the exposure is computed from."""

    record: PatientRecord
    therapy: Therapy
    levels: tuple[GatedLevel, ...]
    policy: Policy
    tables: Tables
    setting: Setting
    now: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The site's zone, in which clock times of orders are meant."""
        return ZoneInfo(self.setting.time_zone)

    @property
    def day(self) -> datetime:
        """The midnight that began this day at the site: zero on the clock of the case.

        So the case stays the same, as time goes on, until something about the patient changes.
        """
        return self.setting.day_of(self.now)


def usable_levels(levels: Iterable[GatedLevel]) -> tuple[GatedLevel, ...]:
    """Levels a model may learn from: at steady state, with known dose, dose time and value."""
    good = (Gate.TROUGH, Gate.CORRECTED, Gate.TOO_EARLY)
    return tuple(g for g in levels if g.gate in good and g.hours_post_dose is not None)


def build_case(patient: Patient) -> pk.Case:
    """Build the case; its clock counts hours from `patient.day`, so most of the past is negative.

    Raises pk.errors.CaseError when the record holds a value that cannot be true.
    """
    used, zero = usable_levels(patient.levels), patient.day.astimezone(UTC)
    since = min((_sampled(g) for g in used), default=patient.now) - _MEMORY
    history = dose_history(
        patient.therapy.segments,
        patient.record.taken,
        [_span(g) for g in used],
        zone=patient.zone,
        since=since,
        until=patient.now,
    )
    hours = [(at - zero).total_seconds() / 3600.0 for at, _, _ in history]
    doses = list(map(pk.Dose, hours, map(itemgetter(1), history)))
    steady = _steady_before(patient.therapy.segments, since, doses)
    if steady is not None:
        doses = doses[1:]
    if not doses and steady is None:
        # Nothing taken yet: the population is all there is, and an empty dose stands for it. It is
        # not put before a level, where something was taken: of that the case shall say so.
        doses = [pk.Dose(_hours(max((_sampled(g) for g in used), default=zero), zero), 0.0)]
    return pk.Case(
        covariates=covariates_of(patient.record, patient.therapy, patient.now),
        doses=doses,
        levels=[pk.Level(_hours(_sampled(g), zero), g.level.ng_ml or 0.0) for g in used],
        steady_state=steady,
        clearance_effects=clearance_effects(
            patient.record, patient.tables.interactions, since=since, now=patient.now, zero=zero
        ),
    )


def to_pk(regimen: Regimen | None) -> pk.Regimen | None:
    """The regimen for the library; None when it is unknown or not evenly spaced."""
    if regimen is None or regimen.amount_mg is None or regimen.interval_h is None:
        return None
    return pk.Regimen(regimen.amount_mg, regimen.interval_h)


def _steady_before(
    segments: Sequence[Segment], since: datetime, doses: Sequence[pk.Dose]
) -> pk.SteadyState | None:
    """A steady state that ends with the first dose, when its regimen was being taken before."""
    running = [s for s in segments if s.covers(since - _SAME_TIME) and not s.on_hold]
    regimen = to_pk(running[0].regimen) if len(running) == 1 else None
    return pk.SteadyState(regimen, doses[0].time_h) if regimen and doses else None


def _span(gated: GatedLevel) -> Span:
    sampled = _sampled(gated)
    return Span(sampled - timedelta(hours=gated.hours_post_dose or 0.0), sampled)


def _sampled(gated: GatedLevel) -> datetime:
    if gated.level.sampled is None:
        raise ValueError(f"{gated.level.reference} passed the gate without a time of sampling")
    return gated.level.sampled.at


def _hours(at: datetime, origin: datetime) -> float:
    return (at - origin).total_seconds() / 3600.0
