"""What the advice rests on: each level used or not, each datum that could not be read, and why."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cds.assess.assessment import Assessment, GatedLevel
from cds.clinical.problem import Impact, Problem
from cds.report import interpret, words


class LevelRow(Struct, frozen=True):
    """One level: what the laboratory said, what became of it, and why."""

    number: int
    """Counts the levels oldest first; the page names a level by it, never by the record's id."""
    reported: str
    sampled: str
    timing: str
    verdict: str
    """`used`, `not relied on` (the fit is doubtful), `compared only`, `not used`, or `left out`."""
    reason: str
    trough: str
    predicted: str
    """What the fitted curve says for that moment, when the level was used."""
    percentile: str


class Mark(Struct, frozen=True):
    """One word on the quality of the data."""

    words: str
    good: bool


class ProblemRow(Struct, frozen=True):
    """One thing that could not be read or used."""

    impact: str
    message: str
    code: str


_IMPACTS = {
    Impact.PREVENTS: "prevents numbers",
    Impact.LIMITS: "limits the advice",
    Impact.NOTICE: "notice",
}
_ORDER = (Impact.PREVENTS, Impact.LIMITS, Impact.NOTICE)


def level_rows(assessment: Assessment, left_out: dict[str, str] | None = None) -> list[LevelRow]:
    """Return every level, oldest first; `left_out` gives the reader's reason by reference."""
    zone = words.zone_of(assessment)
    predicted = _predicted(assessment)
    return [
        LevelRow(
            number=count,
            reported=interpret.reported(gated),
            sampled=words.moment(gated.level.sampled, zone),
            timing=interpret.timing(gated),
            verdict=_verdict(gated, assessment, left_out or {}),
            reason=(left_out or {}).get(gated.level.reference, gated.reason),
            trough="" if gated.trough_ng_ml is None else words.number(gated.trough_ng_ml),
            predicted=predicted.get(gated.level.reference, ""),
            percentile="" if gated.percentile is None else words.ordinal(gated.percentile),
        )
        for count, gated in enumerate(assessment.levels, start=1)
    ]


def strip(
    assessment: Assessment, rows: Sequence[LevelRow], problems: Sequence[ProblemRow]
) -> tuple[Mark, ...]:
    """What the numbers rest on, in a few marks for the top of the page."""
    exposure = assessment.exposure
    used = sum(row.verdict == "used" for row in rows)
    lost = [row for row in problems if row.impact != _IMPACTS[Impact.NOTICE]]
    imputed = sorted(exposure.imputed)
    levels = f"{used} of {len(rows)} levels used" if rows else "no level on record"
    marks = [Mark(levels, good=used > 0 and used == len(rows))]
    if exposure.state.quantitative:
        fitted = "fitted to this patient" if used else "expected from patients like this one"
        marks.append(Mark(fitted, good=bool(used)))
    else:
        marks.append(Mark("no dose numbers", good=False))
    if imputed:
        names = words.listing(words.spoken(name) for name in imputed)
        marks.append(Mark(f"{names} not on record: typical value", good=False))
    if lost:
        marks.append(Mark(f"{len(lost)} could not be read or used", good=False))
    else:
        marks.append(Mark("everything needed could be read", good=True))
    return tuple(marks)


def problem_rows(assessment: Assessment) -> list[ProblemRow]:
    """Return the problems, the gravest first; the same words once."""
    ordered = sorted(assessment.problems, key=lambda p: _ORDER.index(p.impact))
    rows = {_key(p): ProblemRow(_IMPACTS[p.impact], p.message, p.code) for p in ordered}
    return list(rows.values())


def _key(problem: Problem) -> tuple[str, str]:
    return problem.code, problem.message


def _verdict(gated: GatedLevel, assessment: Assessment, left_out: dict[str, str]) -> str:
    reference = gated.level.reference
    if reference in left_out:
        return "left out"
    if reference in assessment.exposure.levels_used:
        return "used" if assessment.exposure.state.quantitative else "not relied on"
    return "compared only" if gated.gate.comparable else "not used"


def _predicted(assessment: Assessment) -> dict[str, str]:
    """Level reference -> the fitted concentration at its time."""
    exposure = assessment.exposure
    if exposure.posterior is None or not exposure.state.quantitative:
        return {}
    checks = exposure.posterior.health.levels
    return {
        reference: words.number(check.predicted_ng_ml)
        for reference, check in zip(exposure.levels_used, checks, strict=False)
    }
