"""The report as files: JSON for programs, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from cds.assess.assessment import DoseOption
from cds.report.report import LevelReport

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_json(report: LevelReport) -> str:
    """Return the report's numbers and words as JSON."""
    assessment = report.assessment
    target, versions = assessment.policy.target, assessment.versions
    value = {
        "drug": report.drug,
        "assessedAt": assessment.now.isoformat(),
        "target": {
            "lowNgMl": target.low_ng_ml,
            "highNgMl": target.high_ng_ml,
            "validated": target.validated,
        },
        "interpretation": list(report.interpretation),
        "exposure": {
            "state": str(assessment.exposure.state),
            "reasons": list(assessment.exposure.reasons),
            "model": assessment.exposure.model_id,
            "levelsUsed": list(assessment.exposure.levels_used),
            "imputed": dict(assessment.exposure.imputed),
        },
        "doses": [_dose(row.option, row.marks) for row in report.doses],
        "parameters": [
            {
                "name": shift.name,
                "unit": shift.unit,
                "population": [shift.prior.low, shift.prior.middle, shift.prior.high],
                "patient": [shift.posterior.low, shift.posterior.middle, shift.posterior.high],
            }
            for shift in report.shifts
        ],
        "models": [
            {"id": model.id, "weightPercent": model.weight_percent, "quoted": model.quoted}
            for model in report.models
        ],
        "levels": [
            {
                "reference": gated.level.reference,
                "reported": row.reported,
                "ngMl": gated.level.ng_ml,
                "gate": str(gated.gate),
                "verdict": row.verdict,
                "reason": row.reason,
                "hoursAfterDose": gated.hours_post_dose,
                "troughNgMl": gated.trough_ng_ml,
            }
            for row, gated in zip(report.levels, assessment.levels, strict=True)
        ],
        "problems": [
            {"code": row.code, "impact": row.impact, "message": row.message}
            for row in report.problems
        ],
        "rules": {
            "fired": [row.id for row in report.rules.fired],
            "undecided": {row.id: list(row.missing) for row in report.rules.undecided},
        },
        "versions": {
            "software": versions.code,
            "rulebook": versions.rulebook_version,
            "revision": versions.rulebook,
            "models": dict(versions.models),
        },
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def as_csv(report: LevelReport) -> str:
    """Return the numbers in long form: part, item, quantity, value, unit."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(("part", "item", "quantity", "value", "unit"))
    for row in _rows(report):
        table.writerow([safe_cell(cell) for cell in row])
    return written.getvalue()


def _rows(report: LevelReport) -> Iterator[tuple[str, str, str, float | str, str]]:
    target = report.assessment.policy.target
    yield "target", "trough", "low", target.low_ng_ml, "ng/mL"
    yield "target", "trough", "high", target.high_ng_ml, "ng/mL"
    for row, gated in zip(report.levels, report.assessment.levels, strict=True):
        item = row.sampled
        yield "level", item, "reported", row.reported, ""
        if gated.level.ng_ml is not None:
            yield "level", item, "concentration", gated.level.ng_ml, "ng/mL"
        if gated.hours_post_dose is not None:
            yield "level", item, "time after dose", gated.hours_post_dose, "h"
        yield "level", item, row.verdict, row.reason, ""
    for dose in report.doses:
        option = dose.option
        for quantity, value, unit in (
            ("trough", option.trough_ng_ml, "ng/mL"),
            ("trough, 5th percentile", option.trough_low_ng_ml, "ng/mL"),
            ("trough, 95th percentile", option.trough_high_ng_ml, "ng/mL"),
            ("chance below target", option.percent_below, "%"),
            ("chance in target", option.percent_in, "%"),
            ("chance above target", option.percent_above, "%"),
            ("AUC over 24 h", option.auc24_mg_h_l, "mg h/L"),
        ):
            yield "dose", dose.name, quantity, round(value, 4), unit
    for shift in report.shifts:
        yield "parameter", shift.name, "population", shift.prior.middle, shift.unit
        yield "parameter", shift.name, "patient", shift.posterior.middle, shift.unit
    for covariate in report.covariates:
        how = "imputed" if covariate.imputed else "on record"
        yield "covariate", covariate.name, how, covariate.value, ""
    for problem in report.problems:
        yield "problem", problem.code, problem.impact, problem.message, ""


def _dose(option: DoseOption, marks: tuple[str, ...]) -> dict[str, Any]:
    return {
        "amountMg": option.amount_mg,
        "intervalH": option.interval_h,
        "tablets": [{"strengthMg": mg, "count": count} for mg, count in option.tablets],
        "troughNgMl": option.trough_ng_ml,
        "troughIntervalNgMl": [option.trough_low_ng_ml, option.trough_high_ng_ml],
        "percentBelow": option.percent_below,
        "percentIn": option.percent_in,
        "percentAbove": option.percent_above,
        "auc24MgHL": option.auc24_mg_h_l,
        "marks": list(marks),
        "whyNot": option.why_not,
    }


def safe_cell(cell: float | str) -> float | str:
    """Text from the record must not become a formula in a spreadsheet."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
