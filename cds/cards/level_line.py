"""The level a card speaks about: as reported, converted, when drawn, and what it stands for."""

from __future__ import annotations

from collections.abc import Iterable

from cds.assess.assessment import Assessment, Gate, GatedLevel
from cds.cards import words
from cds.clinical.finding import Finding
from cds.clinical.level import ResultStatus

_BASIS = {
    "administration": "by the administration record",
    "statement": "by the patient's statement",
    "comment": "by the comment on the result",
    "lab-form": "by the laboratory's form",
    "code": "by the test's code",
    "schedule": "assumed from the order's clock times",
}
_CORRECTION = {
    "model": "by the fitted model",
    "exponential": "by exponential decline at the typical rate",
}
_CANONICAL_UNIT = "ng/mL"
_WEIGHS = frozenset({"order-level", "missing-level", "raise-dose", "lower-dose", "milder-dose"})


def level_lines(assessment: Assessment) -> list[str]:
    """Return one Markdown paragraph about the latest level; nothing when there is none."""
    gated = assessment.latest_level
    if gated is None:
        return []
    measured = gated.trough_ng_ml is not None and not _corrected(gated)
    trough = "; taken as the trough" if measured else ""
    lines = [f"**Level:** {_as_reported(gated)}, {_sampled(gated)}{trough}."]
    if _corrected(gated):
        lines.append(_trough(gated))
    if not gated.gate.comparable:
        lines.append(f"Not compared with the target: {words.plain(gated.reason).rstrip('.')}.")
    if gated.percentile is not None:
        lines.append(
            f"{_ordinal(gated.percentile)} percentile of patients like this one on this dose "
            f"(model {assessment.exposure.model_id})."
        )
    return [" ".join(lines)]


def under_way_lines(findings: Iterable[Finding], assessment: Assessment) -> list[str]:
    """Return that a level is under way, where a finding asks for one or weighs doses."""
    pending = assessment.under_way
    if pending is None or pending.since is None:
        return []
    if all(_WEIGHS.isdisjoint(finding.suggest) for finding in findings):
        return []
    ordered = pending.reference.startswith("ServiceRequest")
    how = "ordered for" if ordered else "registered by the laboratory,"
    return [f"**Level under way:** {how} {pending.since.at:%Y-%m-%d}, no result yet."]


def _as_reported(gated: GatedLevel) -> str:
    """The value with the unit of the report, and in ng/mL when that is another one."""
    level = gated.level
    unit = level.reported_unit
    comparator = str(level.comparator) if level.comparator else ""
    reported = words.plain(level.reported)
    if level.ng_ml is not None and unit != _CANONICAL_UNIT:
        reported += f" (= {words.plain(comparator)}{words.number(level.ng_ml)} {_CANONICAL_UNIT})"
    if level.status is not ResultStatus.FINAL:
        reported += f", {level.status}"
    return reported


def _sampled(gated: GatedLevel) -> str:
    """When the sample was drawn, on the calendar and after the last dose."""
    moment = gated.level.sampled
    day = f"sampled {moment.at:%Y-%m-%d}" if moment else "sampling time not on record"
    if moment is not None and moment.has_clock_time:
        day = f"sampled {moment.at:%Y-%m-%d %H:%M}"
        if moment.zone_assumed:
            day += " (time zone assumed)"
    if gated.hours_post_dose is None:
        return f"{day}; time since the last dose not known"
    basis = _BASIS.get(gated.timing_basis or "", "source not stated")
    return f"{day}, {words.number(gated.hours_post_dose, 1)} h after the last dose ({basis})"


def _corrected(gated: GatedLevel) -> bool:
    """Whether the trough is another number than the one measured."""
    untouched = gated.gate is Gate.TROUGH or gated.correction in (None, "none")
    return gated.trough_ng_ml is not None and not untouched


def _trough(gated: GatedLevel) -> str:
    """The corrected trough with its interval: what is compared with the target."""
    trough = f"{words.number(gated.trough_ng_ml or 0.0)} {_CANONICAL_UNIT}"
    low, high = gated.trough_low_ng_ml, gated.trough_high_ng_ml
    span = ""
    if low is not None and high is not None:
        span = f" (interval {words.number(low)} to {words.number(high)})"
    how = _CORRECTION.get(gated.correction or "", "by correction")
    return f"Corrected to the end of the dosing interval {how}: {trough}{span}."


def _ordinal(value: float) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th ... of a percentile, kept between 1 and 99."""
    whole = min(max(round(value), 1), 99)
    if whole % 100 in (11, 12, 13):
        return f"{whole}th"
    return f"{whole}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(whole % 10, 'th') }"
