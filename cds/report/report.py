"""The level report: every part of the page in one value."""

from __future__ import annotations

from msgspec import Struct

from cds.assess.assessment import Assessment
from cds.clinical.finding import SourceCitation
from cds.report import background, interpret, parameters, quality, rules, words
from cds.report.doses import DoseRow, dose_rows
from cds.report.what_if import Imagined
from cds.rulebook import Rulebook


class LevelReport(Struct, frozen=True):
    """One assessment as the page, the files and the printer show it."""

    assessment: Assessment
    drug: str
    headline: str
    patient: str
    """Age, sex and indication; never a name or a number of the patient."""
    made: str
    interpretation: tuple[str, ...]
    doses: tuple[DoseRow, ...]
    shifts: tuple[parameters.Shift, ...]
    models: tuple[parameters.ModelRow, ...]
    levels: tuple[quality.LevelRow, ...]
    problems: tuple[quality.ProblemRow, ...]
    strip: tuple[quality.Mark, ...]
    """The quality of the data in a few words, for the top of the page."""
    covariates: tuple[background.Covariate, ...]
    labs: tuple[background.LabRow, ...]
    medicines: tuple[background.MedicineRow, ...]
    rules: rules.RuleAccount
    sources: tuple[SourceCitation, ...]

    @property
    def target(self) -> str:
        """The target in words."""
        target = self.assessment.policy.target
        return f"{words.number(target.low_ng_ml)} to {words.concentration(target.high_ng_ml)}"


def level_report(
    assessment: Assessment, rulebook: Rulebook, imagined: Imagined | None = None
) -> LevelReport:
    """Lay out an assessment, or what a reader's question made of it."""
    shown = imagined.assessment if imagined else assessment
    left_out = dict(imagined.left_out) if imagined else {}
    rows = quality.level_rows(assessment, left_out)
    if left_out:  # the numbers of the fit are those of the levels that stayed
        fitted = {row.reported + row.sampled: row for row in quality.level_rows(shown)}
        rows = [_refitted(row, fitted.get(row.reported + row.sampled)) for row in rows]
    zone = words.zone_of(assessment)
    problems = quality.problem_rows(shown)
    return LevelReport(
        assessment=shown,
        drug=rulebook.drug.name,
        headline=_headline(shown, rulebook.drug.name),
        patient=_patient(shown),
        made=words.clock(assessment.now, zone) + f" ({assessment.setting.time_zone})",
        interpretation=interpret.interpretation(shown),
        doses=dose_rows(shown.exposure, imagined.option if imagined else None),
        shifts=parameters.shifts(shown.exposure),
        models=parameters.models(shown.exposure),
        levels=tuple(rows),
        problems=tuple(problems),
        strip=quality.strip(shown, rows, problems),
        covariates=background.covariates(shown),
        labs=background.labs(shown),
        medicines=background.medicines(shown),
        rules=rules.account(shown, rulebook),
        sources=rules.citations(shown, rulebook),
    )


def _refitted(row: quality.LevelRow, after: quality.LevelRow | None) -> quality.LevelRow:
    if after is None or row.verdict == "left out":
        return row
    return quality.LevelRow(
        number=row.number,
        reported=after.reported,
        sampled=after.sampled,
        timing=after.timing,
        verdict=after.verdict,
        reason=after.reason,
        trough=after.trough,
        predicted=after.predicted,
        percentile=after.percentile,
    )


def _headline(assessment: Assessment, drug: str) -> str:
    """The level in one line, for the top of the page and of a printout."""
    gated = assessment.latest_level
    if gated is None:
        return f"No {drug} level on record"
    value = interpret.reported(gated)
    what = "trough" if gated.gate.comparable else "level"
    return f"{drug.capitalize()} {what} {value}"


def _patient(assessment: Assessment) -> str:
    person, course = assessment.record.person, assessment.course
    said = [str(person.sex) if person.sex else "sex not on record"]
    age = person.age_years(assessment.now)
    said.append(f"{int(age)} years" if age is not None else "age not on record")
    said.append((course.indication or "indication not on record").upper().replace("-", " "))
    regimen = course.regimen
    if regimen is not None:
        said.append(f"{words.short(regimen.daily_mg)}{words.THIN}mg a day")
    return ", ".join(said)
