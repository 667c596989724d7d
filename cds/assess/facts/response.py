"""Facts about response: BCR::ABL1 on the International Scale against milestones, imaging states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from cds.assess.facts.basis import DAYS_PER_MONTH, Basis, fact
from cds.assess.policy import Table
from cds.clinical.labs import Lab
from cds.rulebook import Fact

_DISEASE_STATUS = "disease_status"
_TRANSCRIPT = "bcr_abl_is"
_NOT_DETECTED = "not-detected"
"""The coded answer of `labs.yaml` that is no number."""
_DAYS_PER_YEAR = 365.25


def response_facts(basis: Basis) -> Iterable[Fact]:
    """The latest molecular result and where it stands on the milestone table."""
    table = basis.tables.milestones
    series = [_as_counted(lab, table) for lab in basis.record.labs_of(_TRANSCRIPT)]
    series = [result for result in series if result.value is not None]
    latest = series[-1] if series else None
    started = basis.therapy.course.started
    month = (
        started and latest and (latest.at.at - started).total_seconds() / 86400.0 / DAYS_PER_MONTH
    )
    window, milestone = (
        _milestone(table["windows"], month, latest.value or 0.0)
        if latest and isinstance(month, float) and month >= 0
        else (None, None)
    )
    if latest and milestone == "warning" and _confirmed(table, series, started):
        milestone = "failure"
    always = latest is not None and (latest.value or 0.0) <= table["optimal_at_any_month_percent"]
    if milestone == "optimal" and not always and _may_be_older(basis, series):
        window, milestone, month = None, None, None
    if latest and _off_treatment(basis, latest):
        window, milestone, month = None, None, None
    state = _disease_state(basis)
    yield fact(
        "response",
        bcr_abl_percent=latest.value if latest and not latest.coded else None,
        bcr_abl_age_days=basis.days_ago(latest.at) if latest else None,
        bcr_abl_month=month if isinstance(month, float) and month >= 0 else None,
        milestone=milestone,
        milestone_window=window,
        on_track=_on_track(milestone, _of_the_disease(basis, state), latest, table),
        rise_fold=_rise(series),
        mmr_before=any((lab.value or 0.0) <= table["mmr_percent"] for lab in series[:-1]),
        mmr_lost_twice=_lost_twice(series, float(table["mmr_percent"])),
        deep_response_years=_deep_years(series, float(table["mr4_percent"])),
        disease_state=state,
    )


def _as_counted(lab: Lab, table: Table) -> Lab:
    """A result that found nothing as the bound it is counted as: its sensitivity is not stated."""
    if lab.coded != _NOT_DETECTED and lab.value != 0.0:
        return lab
    least = float(table["not_detected_at_most_percent"])
    return replace(lab, value=least, coded=_NOT_DETECTED)


def _confirmed(table: Table, series: Sequence[Lab], started: datetime | None) -> bool:
    """Whether an earlier result missed the same milestone so long before that this confirms it."""
    rule, latest = table["confirmation"], series[-1]
    limits = [row for row in table["windows"] if row["window"] == rule["window"]]
    for earlier in series[:-1] if started else ():
        days = earlier.at.days_until(latest.at)
        if not float(rule["from_days"]) <= days <= float(rule["to_days"]):
            continue
        verdicts = {
            _milestone(limits, _month(started, lab), lab.value or 0.0) for lab in (earlier, latest)
        }
        if verdicts == {(rule["window"], "warning")}:
            return True
    return False


def _month(started: datetime | None, lab: Lab) -> float:
    since = (lab.at.at - started).total_seconds() if started else -1.0
    return since / 86400.0 / DAYS_PER_MONTH


def _off_treatment(basis: Basis, latest: Lab) -> bool:
    """Whether the sample was drawn in a pause, when a transcript rises without any failure."""
    at = latest.at.at
    segments = [s for s in basis.therapy.segments if not s.on_hold and s.starts <= at]
    if not segments or any(segment.covers(at) for segment in segments):
        return False
    last = max(segment.ends for segment in segments if segment.ends is not None)
    return at - last > timedelta(days=float(basis.tables.milestones["off_treatment_days"]))


def _may_be_older(basis: Basis, series: Sequence[Lab]) -> bool:
    """Whether treatment is evidently older than the first order on record.

    Records often hold the current prescription only. A transcript that was already low well before
    it, or a diagnosis made long before it, says that months cannot be counted from it. The limits
    grow stricter with time, so a value that misses the milestone of the counted month misses the
    true one as well, while one that meets it need not.
    """
    started, limits = basis.therapy.course.started, basis.tables.milestones["treated_before"]
    if started is None:
        return False
    earlier = started - timedelta(days=float(limits["more_than_days"]))
    if any(
        (lab.value or 0.0) <= float(limits["bcr_abl_at_most_percent"])
        for lab in series
        if lab.at.at < earlier
    ):
        return True
    long_ago = started - timedelta(days=float(limits["diagnosed_more_than_days"]))
    return any(
        condition.onset is not None and condition.onset.at < long_ago
        for condition in basis.record.conditions
        if (condition.active or condition.in_remission) and "cml" in condition.keys
    )


def _milestone(
    windows: Sequence[dict[str, object]], month: float, percent: float
) -> tuple[str | None, str | None]:
    """(window, category) by the table's row for this month; (None, None) between windows."""
    for row in windows:
        low, high = float(str(row["from_month"])), float(str(row.get("to_month") or 1e9))
        if not low <= month < high:
            continue
        if percent <= float(str(row["optimal_at_most_percent"])):
            return str(row["window"]), "optimal"
        failure = row.get("failure_above_percent")
        if failure is not None and percent > float(str(failure)):
            return str(row["window"]), "failure"
        return str(row["window"]), "warning"
    return None, None


def _on_track(
    milestone: str | None, state: str | None, latest: Lab | None, table: Table
) -> bool | None:
    if milestone is not None:
        return milestone == "optimal"
    # A result that is optimal in every month needs no month.
    if latest and (latest.value or 0.0) <= table["optimal_at_any_month_percent"]:
        return True
    if state is not None:
        return state != "progression"
    return None


def _of_the_disease(basis: Basis, state: str | None) -> str | None:
    """The state as far as it judges what is treated: in CML a stable disease is no milestone."""
    return None if basis.therapy.course.disease == "cml" and state != "progression" else state


def _disease_state(basis: Basis) -> str | None:
    """The most recent judgement on record: response, stable or progression."""
    latest = basis.record.latest_lab(_DISEASE_STATUS)
    return latest.coded if latest else None


def _rise(series: Sequence[Lab]) -> float | None:
    if len(series) < 2 or not series[-2].value or series[-1].value is None:
        return None
    if series[-2].coded or series[-1].coded:
        return None  # a multiple of what was not detected is unknown
    return series[-1].value / series[-2].value


def _lost_twice(series: Sequence[Lab], mmr_percent: float) -> bool:
    values = [lab.value or 0.0 for lab in series]
    reached = any(value <= mmr_percent for value in values[:-2])
    return reached and len(values) > 2 and all(value > mmr_percent for value in values[-2:])


def _deep_years(series: Sequence[Lab], mr4_percent: float) -> float | None:
    """Years from the first to the last of the latest unbroken run of results at or below MR4.

    What was not detected neither belongs to the run nor ends it.
    """
    run: list[Lab] = []
    for lab in reversed(series):
        if lab.coded:
            continue
        if lab.value is None or lab.value > mr4_percent:
            break
        run.append(lab)
    if not run:
        return None if not series or series[-1].coded else 0.0
    return run[-1].at.days_until(run[0].at) / _DAYS_PER_YEAR
