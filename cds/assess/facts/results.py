"""Facts about laboratory results, conditions and when things were last looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from cds.assess.body import creatinine_clearance
from cds.assess.facts.basis import Basis, fact
from cds.clinical.labs import Lab
from cds.rulebook import Fact

_DAYS_PER_WEEK = 7.0
_CLEARANCE = "crcl"


def lab_facts(basis: Basis) -> Iterable[Fact]:
    """The latest result of every key, without a value when there is none."""
    currency = basis.tables.monitoring["currency_days"]
    trends = basis.tables.monitoring["trend_days"]
    for key, definition in basis.terminology.labs_by_key.items():
        series = basis.record.labs_of(key)
        if key == _CLEARANCE:
            series = _with_computed_clearance(basis, series)
        if not series:
            yield _unmeasured(key, definition.name or key, definition.unit)
            continue
        latest = series[-1]
        age = basis.days_ago(latest.at)
        change = _recent_change(series, float(trends.get(key, trends["default"])))
        yield fact(
            "lab",
            key=key,
            name=definition.name or key,
            reference=latest.reference,
            value=latest.value,
            unit=_readable(definition.unit),
            coded=latest.coded,
            multiple_of_uln=latest.multiple_of_upper_limit,
            age_days=age,
            recent=age is not None and age <= float(currency.get(key, currency["default"])),
            baseline_change_percent=_baseline_change(basis, series),
            recent_change=change[0] if change else None,
            recent_change_percent=change[1] if change else None,
            recent_change_days=change[2] if change else None,
        )


@lru_cache(maxsize=64)
def _readable(unit: str) -> str:
    """A UCUM unit as a card writes it."""
    return unit.replace("umol", "µmol").replace("{1.73_m2}", "1.73 m²")


@lru_cache(maxsize=1024)
def _unmeasured(key: str, name: str, unit: str) -> Fact:
    """That there is no result; the same of every patient, and most keys have none."""
    return fact("lab", key=key, name=name, unit=_readable(unit), recent=False)


def _with_computed_clearance(basis: Basis, series: tuple[Lab, ...]) -> tuple[Lab, ...]:
    """Measured clearances, and the one computed from creatinine if that is more recent."""
    computed = creatinine_clearance(basis.record, basis.now)
    if computed is None or (series and series[-1].at.at >= computed.measured.at):
        return series
    unit = basis.terminology.labs_by_key[_CLEARANCE].unit
    latest = Lab(_CLEARANCE, unit, computed.ml_min, computed.measured, computed.reference)
    return (*series, latest)


def condition_facts(basis: Basis) -> Iterable[Fact]:
    """Diagnoses, procedures and events, one fact for each meaning."""
    started = basis.therapy.course.started
    for condition in basis.record.conditions:
        for key in condition.keys:
            yield fact(
                "condition",
                key=key,
                name=condition.display,
                active=condition.active and condition.confirmed,
                reference=condition.reference,
                onset_days_ago=basis.days_ago(condition.onset),
                before_start=bool(condition.onset and started and condition.onset.at < started),
                after_start=(
                    condition.onset.at >= started if condition.onset and started else None
                ),
            )


def monitoring_facts(basis: Basis) -> Iterable[Fact]:
    """What is overdue, for the kinds of data that were asked for."""
    started = basis.days_ago(basis.therapy.course.started)
    asked = "labs" in basis.record.asked_for or bool(basis.record.labs)
    hbv = [basis.record.latest_lab(k) for k in ("hbsag", "anti_hbc")]
    dna = basis.record.latest_lab("hbv_dna")
    carrier = any(
        "hepatitis-b" in c.keys and c.active and c.confirmed for c in basis.record.conditions
    )
    yield fact(
        "monitoring",
        cbc_overdue=_overdue(basis, "cbc", ("anc", "platelets", "wbc", "hemoglobin"), asked),
        lft_overdue=_overdue(basis, "lft", ("alt", "ast", "bilirubin"), asked),
        pcr_overdue=_overdue(basis, "pcr", ("bcr_abl_is",), asked),
        week=int(started // _DAYS_PER_WEEK) + 1 if started is not None else None,
        hbv_tested=carrier or (any(hbv) if asked else None),
        hbv_positive=carrier
        or (any(lab.coded == "positive" for lab in hbv if lab) if asked and any(hbv) else None),
        hbv_dna_days_ago=basis.days_ago(dna.at) if dna else None,
        level_ever=bool(basis.levels),
        level_under_way=basis.under_way is not None,
    )


def _overdue(basis: Basis, name: str, keys: Sequence[str], asked: bool) -> bool | None:
    """Whether none of `keys` was measured within the schedule's interval for this day."""
    day = basis.days_ago(basis.therapy.course.started)
    if not asked or day is None:
        return None
    row = next(
        (r for r in basis.tables.monitoring["schedules"][name] if day < r.get("until_day", 1e9)),
        None,
    )
    if row is None:
        return None
    limit = float(row["every_days"])
    latest = [lab for k in keys if (lab := basis.record.latest_lab(k)) is not None]
    last = min((basis.days_ago(lab.at) or 0.0 for lab in latest), default=None)
    waited = day if last is None else last
    return waited > limit


def _recent_change(series: Sequence[Lab], window_days: float) -> tuple[float, float, float] | None:
    """(change, change in %, days) of the latest value against the oldest one inside the window."""
    values = [lab for lab in series if lab.value is not None and lab.comparator is None]
    if len(values) < 2:
        return None
    latest = values[-1]
    inside = [lab for lab in values[:-1] if latest.at.at - lab.at.at <= timedelta(days=window_days)]
    if not inside or not inside[0].value or latest.value is None:
        return None
    change = latest.value - inside[0].value
    return change, 100.0 * change / inside[0].value, inside[0].at.days_until(latest.at)


def _baseline_change(basis: Basis, series: Sequence[Lab]) -> float | None:
    """Change in % of the latest value against the last value before therapy, else the first."""
    values = [lab for lab in series if lab.value]
    if len(values) < 2:
        return None
    started = basis.therapy.course.started
    before = [lab for lab in values[:-1] if started and lab.at.at <= started]
    baseline = (before[-1] if before else values[0]).value
    latest = values[-1].value
    return 100.0 * (latest - baseline) / baseline if baseline and latest is not None else None
