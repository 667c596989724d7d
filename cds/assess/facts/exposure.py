"""Facts about levels, the model's view of them, proposals and adherence."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from cds.assess.adherence import coverage
from cds.assess.assessment import Gate, GatedLevel
from cds.assess.facts.basis import Basis, fact
from cds.assess.facts.therapy import level_since_change
from cds.rulebook import Fact

_SAME_DOSE_MG = 0.5
_MIN_FOR_VARIATION = 3
"""A coefficient of variation of fewer than three values says nothing."""


def level_facts(basis: Basis) -> Iterable[Fact]:
    """Every level with its gate."""
    for gated in basis.levels:
        level = gated.level
        yield fact(
            "level",
            reference=level.reference,
            is_latest=gated.is_latest,
            status=level.status.value,
            gate=gated.gate.value,
            value_ng_ml=level.ng_ml,
            reported=level.reported,
            converted=level.ng_ml is not None and _is_other_unit(level.reported_unit),
            trough_ng_ml=gated.trough_ng_ml,
            trough_low_ng_ml=gated.trough_low_ng_ml,
            trough_high_ng_ml=gated.trough_high_ng_ml,
            correction=gated.correction,
            hours_post_dose=gated.hours_post_dose,
            timing_basis=gated.timing_basis,
            age_days=basis.days_ago(level.sampled),
            days_since_change=gated.days_since_change,
            days_on_drug=gated.days_on_drug,
            daily_mg=gated.daily_mg,
            specimen=level.specimen,
            percentile=gated.percentile,
        )


def levels_facts(basis: Basis) -> Iterable[Fact]:
    """The series of levels."""
    usable = [g for g in basis.levels if g.gate.comparable]
    latest = next((g for g in reversed(basis.levels) if g.level.sampled), None)
    fall, signals = _fall(usable), basis.tables.targets["signals"]
    yield fact(
        "levels",
        count=len(basis.levels),
        usable_count=len(usable),
        latest_age_days=basis.days_ago(latest.level.sampled) if latest else None,
        usable_now=_usable_now(basis),
        fall_percent=fall,
        fell_from_usual=fall is not None and fall > float(signals["fall_percent"]),
        cv_percent=_variation(usable),
    )


def exposure_facts(basis: Basis) -> Iterable[Fact]:
    """What the model says about the current regimen."""
    exposure = basis.exposure
    now = exposure.current
    troughs = list(exposure.model_troughs_ng_ml.values())
    yield fact(
        "exposure",
        state=exposure.state.value,
        model=exposure.model_id,
        trough_ng_ml=now.trough_ng_ml if now else None,
        trough_low_ng_ml=now.trough_low_ng_ml if now else None,
        trough_high_ng_ml=now.trough_high_ng_ml if now else None,
        percent_below=now.percent_below if now else None,
        percent_in=now.percent_in if now else None,
        percent_above=now.percent_above if now else None,
        model_spread_ng_ml=max(troughs) - min(troughs) if len(troughs) > 1 else None,
    )


def proposal_facts(basis: Basis) -> Iterable[Fact]:
    """The regimen that ranks first, when one may be offered."""
    best = basis.exposure.best
    if best is None:
        return
    regimen = basis.therapy.course.regimen
    current = regimen.daily_mg if regimen else None
    if current is None or abs(best.daily_mg - current) <= _SAME_DOSE_MG:
        direction = "keep"
    else:
        direction = "increase" if best.daily_mg > current else "decrease"
    yield fact(
        "proposal",
        daily_mg=best.daily_mg,
        amount_mg=best.amount_mg,
        interval_h=best.interval_h,
        direction=direction,
        trough_ng_ml=best.trough_ng_ml,
        percent_in=best.percent_in,
    )


def adherence_facts(basis: Basis) -> Iterable[Fact]:
    """Supply, questions asked, and what the latest level says about recent doses."""
    table = basis.tables.adherence
    covered = coverage(basis.record, basis.therapy.segments, table, basis.now)
    asked = [c.onset for c in basis.record.conditions if "adherence-assessed" in c.keys and c.onset]
    view = basis.exposure.adherence
    yield fact(
        "adherence",
        pdc_percent=covered.percent if covered else None,
        pdc_window_days=covered.window_days if covered else None,
        refill_late_days=covered.late_days if covered else None,
        asked_days_ago=basis.days_ago(max(asked, key=lambda m: m.at)) if asked else None,
        doubted=_doubted(basis, float(table["assessment_valid_days"])),
        percent_all_taken=view.percent_all_taken if view else None,
        percent_missed_some=view.percent_missed_some if view else None,
        trough_if_all_taken_ng_ml=view.trough_if_all_taken_ng_ml if view else None,
    )


def _doubted(basis: Basis, valid_days: float) -> bool:
    """Whether non-adherence is on record, lately or without a date."""
    recorded = (
        basis.days_ago(c.onset) if c.onset else 0.0
        for c in basis.record.conditions
        if "non-adherence" in c.keys and c.active and c.confirmed
    )
    return any(age is not None and age <= valid_days for age in recorded)


def _usable_now(basis: Basis) -> bool:
    """Whether the latest level can be judged, is recent and describes the present dose."""
    latest = next((g for g in basis.levels if g.is_latest), None)
    if latest is None or not latest.gate.comparable:
        return False
    age = basis.days_ago(latest.level.sampled)
    fresh = age is not None and age <= float(basis.tables.sampling["level_currency_days"])
    return fresh and level_since_change(basis)


def _is_other_unit(unit: str | None) -> bool:
    return unit is not None and unit.replace(" ", "").lower() not in (
        "ng/ml",
        "ug/l",
        "mcg/l",
        "µg/l",
        "μg/l",
    )


def _fall(usable: Sequence[GatedLevel]) -> float | None:
    """Fall in % of the latest dose-normalised trough against the median of the earlier ones."""
    per_mg = [
        g.trough_ng_ml / g.daily_mg for g in usable if g.trough_ng_ml is not None and g.daily_mg
    ]
    if len(per_mg) < 2 or not usable[-1].is_latest:
        return None
    usual = statistics.median(per_mg[:-1])
    return 100.0 * (1.0 - per_mg[-1] / usual)


def _variation(usable: Sequence[GatedLevel]) -> float | None:
    """Coefficient of variation in % of measured troughs on one dose."""
    measured = [g for g in usable if g.gate is Gate.TROUGH and g.trough_ng_ml and g.daily_mg]
    if not measured:
        return None
    same = [
        g.trough_ng_ml
        for g in measured
        if g.trough_ng_ml and abs((g.daily_mg or 0) - (measured[-1].daily_mg or 0)) < _SAME_DOSE_MG
    ]
    if len(same) < _MIN_FOR_VARIATION:
        return None
    return 100.0 * statistics.stdev(same) / statistics.mean(same)
