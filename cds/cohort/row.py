"""One patient as one row: what is taken, what was measured, what the model expects, what is said.

Doses are mg a day, concentrations ng/mL, percentages 0-100. The expected trough is that of the dose
being taken, with the 90 % interval of the trough itself (assay and day-to-day scatter are not in
it). None means unknown or not applicable; `state` and `reason` say why there is no number.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from cds.assess import Assessment
from cds.clinical.finding import Finding
from cds.services.decide import Decision

NOT_ON_DRUG, LOST = "not-on-drug", "not-assessed"


class Said(Struct, frozen=True):
    """What one rule says about the patient."""

    rule: str
    revision: int
    indicator: str
    summary: str

    @classmethod
    def of(cls, finding: Finding) -> Said:
        indicator = finding.severity.indicator
        return cls(finding.rule_id, finding.revision, indicator, finding.summary)


class Row(Struct, frozen=True):
    """What the advice for one patient would be."""

    patient: str
    """The patient's id, or the name of the Bundle's file."""
    assessed_at: datetime
    state: str
    """How far the model's numbers can be relied on; also `not-on-drug` and `not-assessed`."""
    reason: str = ""
    indication: str | None = None
    population: str | None = None
    daily_mg: float | None = None
    level_ng_ml: float | None = None
    level_sampled: datetime | None = None
    level_hours_post_dose: float | None = None
    level_gate: str | None = None
    target_low_ng_ml: float | None = None
    target_high_ng_ml: float | None = None
    target_validated: bool | None = None
    model: str | None = None
    trough_ng_ml: float | None = None
    trough_low_ng_ml: float | None = None
    trough_high_ng_ml: float | None = None
    percent_below: float | None = None
    percent_in: float | None = None
    percent_above: float | None = None
    indicator: str | None = None
    """Of the most urgent finding."""
    said: tuple[Said, ...] = ()
    problems: tuple[str, ...] = ()
    """Codes of what could not be read or used."""


def row_of(patient: str, at: datetime, decision: Decision) -> Row:
    """The row of a decision."""
    assessment = decision.assessment
    if assessment is None:
        return Row(patient, at, NOT_ON_DRUG)
    if not assessment.verdict.agreed:
        reason = f"the two rule evaluators disagree: {assessment.verdict.disagreement}"
        return Row(patient, at, LOST, reason)
    exposure, level = assessment.exposure, assessment.latest_level
    current, target = exposure.current, assessment.policy.target
    sampled = level.level.sampled if level else None
    findings = assessment.verdict.findings
    return Row(
        patient=patient,
        assessed_at=at,
        state=exposure.state.value,
        reason="; ".join(exposure.reasons),
        indication=assessment.course.indication,
        population=assessment.course.population,
        daily_mg=_daily_mg(assessment),
        level_ng_ml=level.level.ng_ml if level else None,
        level_sampled=sampled.at if sampled else None,
        level_hours_post_dose=level.hours_post_dose if level else None,
        level_gate=level.gate.value if level else None,
        target_low_ng_ml=target.low_ng_ml,
        target_high_ng_ml=target.high_ng_ml,
        target_validated=target.validated,
        model=exposure.model_id if current else None,
        trough_ng_ml=current.trough_ng_ml if current else None,
        trough_low_ng_ml=current.trough_low_ng_ml if current else None,
        trough_high_ng_ml=current.trough_high_ng_ml if current else None,
        percent_below=current.percent_below if current else None,
        percent_in=current.percent_in if current else None,
        percent_above=current.percent_above if current else None,
        indicator=max(f.severity for f in findings).indicator if findings else None,
        said=tuple(Said.of(finding) for finding in findings),
        problems=tuple(dict.fromkeys(problem.code for problem in assessment.problems)),
    )


def _daily_mg(assessment: Assessment) -> float | None:
    regimen = assessment.course.regimen
    return regimen.daily_mg if regimen is not None else None
