"""The sampling gate: may this level be compared with a trough target?

The gates stand in one order - status, date, unit, plausibility, regimen, steady state,
interruption, time since dose, window - and the first that stops the level names the reason. Only a
level that passes all of them is compared, and a corrected one only with its whole interval
[wang-2009].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from cds.assess.assessment import Gate, GatedLevel
from cds.assess.course import Therapy
from cds.assess.interactions import last_interaction_change
from cds.assess.policy import Table, Tables
from cds.assess.timeline import last_change, regimen_at
from cds.clinical.level import Comparator, Level, NoNumber, ResultStatus, TimingClaim
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import Regimen

_HOURS_PER_DAY = 24.0
_VOMITING = "vomiting"
_NO_NUMBER = {
    NoNumber.UNIT: (Gate.UNIT_UNREADABLE, "the unit of the result could not be read"),
    NoNumber.ZERO: (Gate.ZERO, "zero is no measured amount"),
    NoNumber.NEGATIVE: (Gate.NEGATIVE, "a concentration cannot be negative"),
    NoNumber.TEXT: (Gate.WRITTEN_AS_TEXT, "the result is text, not a number with a unit"),
}

_NOT_PLASMA = {
    "dried-blood": "dried blood",
    "whole-blood": "whole blood",
    "other": "neither plasma nor serum",
}


def gate_levels(record: PatientRecord, therapy: Therapy, tables: Tables) -> tuple[GatedLevel, ...]:
    """Pass every level through the gate, oldest first, and mark the one that speaks for today."""
    levels = sorted(
        record.levels, key=lambda lv: (lv.sampled is not None, lv.sampled.at if lv.sampled else 0)
    )
    gated = [_gate(level, record, therapy, tables) for level in levels]
    gated = [_unless_contradicted(one, gated, tables.sampling) for one in gated]
    gated = [_unless_risen(one, gated, tables.sampling) for one in gated]
    latest = _latest(gated, tables.sampling)
    return tuple(
        replace(one, is_latest=True) if i == latest else one for i, one in enumerate(gated)
    )


def _latest(gated: Sequence[GatedLevel], sampling: Table) -> int:
    """Place of the level that speaks: the last one, or the trough drawn just before a peak.

    Trough and peak of one dose are often drawn on one morning; the later of them is the peak, which
    is no trough, and it must not hide the one that is. Nor may a sample whose time is disputed.
    """
    last = len(gated) - 1
    if last < 1 or gated[last].gate not in (Gate.TOO_EARLY, Gate.TIMING_CONFLICT):
        return last
    before, peak = gated[last - 1], gated[last].level.sampled
    drawn = before.level.sampled
    near = timedelta(hours=float(sampling["trough_and_peak_within_h"]))
    paired = drawn is not None and peak is not None and peak.at - drawn.at <= near
    return last - 1 if paired and before.gate.comparable else last


def _unless_risen(one: GatedLevel, gated: Sequence[GatedLevel], sampling: Table) -> GatedLevel:
    """The level, stopped when one shortly before it was far lower after the same last dose.

    A level rises only after a dose: one was taken between the two samples, which nobody documented.
    """
    at = one.level.sampled
    if not one.gate.comparable or at is None or not one.level.ng_ml or not one.hours_post_dose:
        return one
    dosed = at.at - timedelta(hours=one.hours_post_dose)
    near = timedelta(hours=float(sampling["trough_and_peak_within_h"]))
    beyond = 1.0 + float(sampling["same_sample_differs_percent"]) / 100.0
    for before in gated:
        drawn, ng_ml = before.level.sampled, before.level.ng_ml
        if not before.gate.comparable or drawn is None or not ng_ml:
            continue
        same_dose = dosed < drawn.at < at.at <= drawn.at + near
        if same_dose and one.level.ng_ml > beyond * ng_ml:
            said = _whole(at.at - drawn.at)
            reason = f"it was {ng_ml:.0f} ng/mL {said} before, and a level rises only after a dose"
            return _stopped(one, Gate.TIMING_CONFLICT, reason)
    return one


def _stopped(one: GatedLevel, gate: Gate, reason: str) -> GatedLevel:
    return replace(
        one,
        gate=gate,
        reason=reason,
        trough_ng_ml=None,
        trough_low_ng_ml=None,
        trough_high_ng_ml=None,
        correction=None,
    )


def _unless_contradicted(
    one: GatedLevel, gated: Sequence[GatedLevel], sampling: Table
) -> GatedLevel:
    """The level, stopped when another result of the same time says something else.

    Two laboratories, two assays or two tubes: which of them is right is left to a person.
    """
    if not one.gate.comparable or one.level.sampled is None or not one.level.ng_ml:
        return one
    same_time = timedelta(hours=float(sampling["same_sample_within_h"]))
    for other in gated:
        if other is one or not other.gate.comparable or other.level.sampled is None:
            continue
        if abs(other.level.sampled.at - one.level.sampled.at) > same_time:
            continue
        low, high = sorted((one.level.ng_ml, other.level.ng_ml or one.level.ng_ml))
        if 100.0 * (high / low - 1.0) > float(sampling["same_sample_differs_percent"]):
            reason = f"another result of the same time says {other.level.ng_ml:.0f} ng/mL"
            return _stopped(one, Gate.VALUES_CONFLICT, reason)
    return one


def _gate(level: Level, record: PatientRecord, therapy: Therapy, tables: Tables) -> GatedLevel:
    sampling = tables.sampling
    sampled = level.sampled.at if level.sampled else None
    regimen = regimen_at(therapy.segments, sampled) if sampled else None
    changed = _last_change(record, therapy, tables, sampled) if sampled else None
    claim, conflict = _timing(level, sampling)
    hours = claim.hours if claim and not conflict else None
    started = therapy.course.started

    def result(gate: Gate, reason: str, **more: Any) -> GatedLevel:
        return GatedLevel(
            level=level,
            gate=gate,
            reason=reason,
            is_latest=False,
            hours_post_dose=hours,
            timing_basis=claim.basis if claim else None,
            days_since_change=_days(changed, sampled),
            days_on_drug=_days(started, sampled),
            daily_mg=regimen.daily_mg if regimen else None,
            **more,
        )

    if level.status is ResultStatus.PRELIMINARY:
        return result(Gate.PRELIMINARY, "the result is preliminary")
    if level.dated_ahead:
        return result(Gate.DATED_AHEAD, "the result is dated in the future")
    if level.ng_ml is None:
        return result(*_NO_NUMBER[level.no_number or NoNumber.UNIT])
    if level.comparator in (Comparator.LESS, Comparator.LESS_OR_EQUAL):
        return result(Gate.BELOW_QUANTIFICATION, "the level is below the limit of quantification")
    if level.ng_ml < sampling["plausible_min_ng_ml"] and level.comparator is None:
        return result(Gate.IMPLAUSIBLY_SMALL, "the value is implausibly small")
    if level.ng_ml > sampling["plausible_max_ng_ml"] or level.comparator is not None:
        return result(Gate.IMPLAUSIBLE, "the value is implausible or only a bound")
    if level.specimen in _NOT_PLASMA:
        reason = f"targets hold for plasma, and this is {_NOT_PLASMA[level.specimen]}"
        return result(Gate.NOT_PLASMA, reason)
    if regimen is None:
        return result(Gate.REGIMEN_UNKNOWN, _why_no_regimen(therapy, sampled))
    if changed and sampled and sampled - changed < timedelta(days=sampling["steady_state_days"]):
        return result(
            Gate.NOT_STEADY_STATE,
            f"sampled {_whole(sampled - changed)} after the dose or an interacting medicine was "
            "changed",
        )
    interruption = _interruption(level, record, sampled, sampling) if sampled else None
    if interruption:
        return result(Gate.INTERRUPTED, interruption)
    if conflict:
        return result(Gate.TIMING_CONFLICT, conflict)
    if hours is None:
        return result(Gate.TIME_UNKNOWN, "the time between the last dose and the sample is unknown")
    return _window(level.ng_ml, hours, regimen, sampling, result)


def _window(
    ng_ml: float,
    hours: float,
    regimen: Regimen,
    sampling: Table,
    result: Callable[..., GatedLevel],
) -> GatedLevel:
    """Compare the time since the dose with the accepted and the correctable window."""
    interval = regimen.interval_h or _HOURS_PER_DAY
    window = sampling["windows"]["q12" if interval <= sampling["q12_up_to_h"] else "q24"]
    if window["accept_from_h"] <= hours <= window["accept_to_h"]:
        return result(
            Gate.TROUGH,
            "sampled in the trough window",
            trough_ng_ml=ng_ml,
            trough_low_ng_ml=ng_ml,
            trough_high_ng_ml=ng_ml,
            correction="none",
        )
    if hours < window["correct_from_h"]:
        return result(Gate.TOO_EARLY, f"sampled {hours:.1f} h after the dose, which is no trough")
    if hours > window["correct_to_h"]:
        return result(Gate.INTERRUPTED, f"no dose is known in the {hours:.0f} h before the sample")
    late_h = hours - interval
    rates = sampling["elimination"]
    shifted = [ng_ml * math.exp(rates[k] * late_h) for k in ("low_per_h", "high_per_h")]
    return result(
        Gate.CORRECTED,
        f"sampled {hours:.1f} h after the dose and corrected to {interval:.0f} h",
        trough_ng_ml=ng_ml * math.exp(rates["typical_per_h"] * late_h),
        trough_low_ng_ml=min(shifted),
        trough_high_ng_ml=max(shifted),
        correction="exponential",
    )


def _timing(level: Level, sampling: Table) -> tuple[TimingClaim | None, str | None]:
    """The most trusted claim, and a sentence when claims disagree by more than the tolerance."""
    documented = [c for c in level.timing if c.basis != "schedule"]
    claims = documented or list(level.timing)
    if not claims:
        return None, None
    spread = max(c.hours for c in claims) - min(c.hours for c in claims)
    if spread > sampling["timing_agreement_h"]:
        said = ", ".join(f"{c.hours:.1f} h ({c.basis})" for c in claims)
        return claims[0], f"the record disagrees on the time since the last dose: {said}"
    return claims[0], None


def _interruption(
    level: Level, record: PatientRecord, sampled: datetime, sampling: Table
) -> str | None:
    """What kept doses from being taken or absorbed in the steady-state time before the sample."""
    since = sampled - timedelta(days=sampling["steady_state_days"])
    if any(not d.taken and since <= d.at.at < sampled for d in record.taken):
        return "a dose shortly before the sample was not taken"
    if level.doses_missed:
        return "a comment on the sample says that doses were missed or vomited"
    vomited = (c.onset for c in record.conditions if c.confirmed and _VOMITING in c.keys)
    if any(onset and since <= onset.at < sampled for onset in vomited):
        return "vomiting was recorded shortly before the sample"
    return None


def _last_change(
    record: PatientRecord, therapy: Therapy, tables: Tables, sampled: datetime
) -> datetime | None:
    """The last change of dose or of an interacting medicine before the sample."""
    dose = last_change(therapy.segments, sampled)
    partner = last_interaction_change(record, tables.interactions, sampled)
    return max((c for c in (dose, partner) if c is not None), default=None)


def _why_no_regimen(therapy: Therapy, sampled: datetime | None) -> str:
    if sampled is None:
        return "the time of sampling is unknown"
    return (
        "two orders overlapped when the sample was taken"
        if therapy.overlaps
        else "the dose being taken at the time of the sample is unknown"
    )


def _whole(span: timedelta) -> str:
    """A time that has passed, in whole days; in hours below three days, where they matter."""
    hours = int(span.total_seconds() // 3600)
    return f"{hours} h" if span < timedelta(days=3) else f"{span.days} days"


def _days(since: datetime | None, until: datetime | None) -> float | None:
    return (until - since).total_seconds() / 86400.0 if since and until else None
