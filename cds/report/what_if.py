"""Questions to the report: another dose, another time of sampling, a level left out.

A what-if is answered by the same decision path, shown beside the original and never stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

import pk
from cds.assess import Assessment, assess
from cds.assess.assessment import DoseOption
from cds.assess.exposure import ModelLibrary
from cds.assess.policy import Policy
from cds.rulebook import Rulebook

REASONS: Mapping[str, str] = {
    "sampling-time": "the time of sampling is doubtful",
    "dose-time": "the time of the last dose is doubtful",
    "missed-doses": "doses were missed before the sample",
    "assay": "the assay or the specimen is doubtful",
    "mix-up": "the result may belong to somebody else",
    "other": "another reason, to be written in the record",
}
"""Why a reader may leave a level out; free text would carry patient data into an address."""

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "dose": (25.0, 2000.0),
    "every": (1.0, 168.0),
    "sample": (0.5, 48.0),
}
"""Field -> least and most (mg, h, h): what the form offers; beyond it pictures cannot be drawn."""
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?", re.ASCII)


class WhatIfError(Exception):
    """The question cannot be asked; the message names the field and the cure."""


class WhatIf(Struct, frozen=True):
    """What the reader wants to see instead."""

    amount_mg: float | None = None
    interval_h: float | None = None
    sample_h: float | None = None
    left_out: tuple[int, ...] = ()
    """Numbers of levels, counted from the oldest as 1."""
    reason: str = "other"

    @property
    def asked(self) -> bool:
        """Whether anything differs from what is."""
        return bool(self.left_out) or self.amount_mg is not None or self.sample_h is not None


class SampleValue(Struct, frozen=True):
    """What a next sample at one time after a dose is expected to tell."""

    hours: float
    narrowing_percent: float


class Imagined(Struct, frozen=True):
    """The answer: the assessment without the levels left out, and the regimen asked about."""

    question: WhatIf
    assessment: Assessment
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Reference of a level -> the reader's reason."""
    option: DoseOption | None = None
    original_option: DoseOption | None = None
    """The same regimen judged with all levels, when some were left out."""
    samples: tuple[SampleValue, ...] = ()
    refused: str | None = None
    """Why the regimen could not be judged."""


def read_what_if(fields: Mapping[str, str], left_out: Iterable[str] = ()) -> WhatIf:
    """Read a question from the fields of a form; WhatIfError says what is wrong."""
    dose = _number(fields, "dose")
    every = _number(fields, "every")
    if dose is not None and every is None:
        every = 24.0
    reason = fields.get("reason") or "other"
    if reason not in REASONS:
        raise WhatIfError(f"reason: choose one of {', '.join(REASONS)}")
    return WhatIf(
        amount_mg=dose,
        interval_h=every if dose is not None else None,
        sample_h=_number(fields, "sample"),
        left_out=tuple(sorted({_level_number(text) for text in left_out if text})),
        reason=reason,
    )


def imagine(
    original: Assessment, question: WhatIf, rulebook: Rulebook, models: ModelLibrary
) -> Imagined:
    """Answer a question about an assessment."""
    references = _references(original, question)
    assessment = original
    if references:
        kept = tuple(lv for lv in original.record.levels if lv.reference not in references)
        record = replace(original.record, levels=kept)
        assessment = assess(record, rulebook, models, original.setting, now=original.now)
    regimen = _regimen(question)
    option, refused = _judge(assessment, regimen)
    return Imagined(
        question=question,
        assessment=assessment,
        left_out=dict.fromkeys(references, REASONS[question.reason]),
        option=option,
        original_option=_judge(original, regimen)[0] if references else None,
        samples=_samples(assessment, regimen, question.sample_h),
        refused=refused,
    )


def _references(assessment: Assessment, question: WhatIf) -> tuple[str, ...]:
    for number in question.left_out:
        if not 1 <= number <= len(assessment.levels):
            raise WhatIfError(f"leave-out: there is no level {number}")
    return tuple(assessment.levels[number - 1].level.reference for number in question.left_out)


def _regimen(question: WhatIf) -> pk.Regimen | None:
    if question.amount_mg is None or question.interval_h is None:
        return None
    return pk.Regimen(question.amount_mg, question.interval_h)


def _judge(
    assessment: Assessment, regimen: pk.Regimen | None
) -> tuple[DoseOption | None, str | None]:
    """The regimen weighed like every other, or why it cannot be."""
    posterior = assessment.exposure.posterior
    if regimen is None:
        return None, None
    if posterior is None or not assessment.exposure.state.quantitative:
        return None, "no dose numbers are given for this patient, so no dose can be tried"
    goal, policy = assessment.policy.target, assessment.policy
    target = pk.Target(goal.low_ng_ml, goal.high_ng_ml, goal.best_ng_ml)
    rows = pk.propose(posterior, target, _limits(policy, regimen))
    row = next(row for row in rows if row.is_ordered)
    low, high = row.trough_interval
    why_not = [*row.why_not]
    if regimen.daily_mg > policy.limits.max_daily_mg:
        why_not.append(f"above the daily maximum ({'; '.join(policy.limits.why)})")
    return DoseOption(
        amount_mg=regimen.amount_mg,
        interval_h=regimen.interval_h,
        tablets=tuple(sorted(row.tablets.items(), reverse=True)),
        trough_ng_ml=row.trough_ng_ml,
        trough_low_ng_ml=low,
        trough_high_ng_ml=high,
        percent_below=100.0 * row.p_below,
        percent_in=100.0 * row.p_in,
        percent_above=100.0 * row.p_above,
        auc24_mg_h_l=row.auc24_mg_h_l,
        why_not="; ".join(dict.fromkeys(why_not)) or None,
    ), None


def _limits(policy: Policy, regimen: pk.Regimen) -> pk.DoseOptions:
    limits = policy.limits
    return pk.DoseOptions(
        strengths_mg=limits.strengths_mg,
        max_daily_mg=limits.max_daily_mg,
        min_daily_mg=limits.min_daily_mg,
        intervals_h=limits.intervals_h,
        max_single_mg=limits.once_daily_max_mg,
        ordered=regimen,
    )


def _samples(
    assessment: Assessment, regimen: pk.Regimen | None, sample_h: float | None
) -> tuple[SampleValue, ...]:
    """What the time asked about would tell, and for comparison the usual trough."""
    exposure = assessment.exposure
    posterior, current = exposure.posterior, exposure.current
    if sample_h is None or posterior is None or not exposure.state.quantitative:
        return ()
    if regimen is None and current is not None:
        regimen = pk.Regimen(current.amount_mg, current.interval_h)
    if regimen is None:
        return ()
    if sample_h > regimen.interval_h:
        raise WhatIfError(
            f"sample: at most {regimen.interval_h:g} hours, the interval between two doses"
        )
    hours = sorted({sample_h, regimen.interval_h})
    found = pk.next_sample(posterior, regimen, hours)
    return tuple(
        SampleValue(sample.hours_after_dose, 100.0 * sample.narrowing)
        for sample in sorted(found, key=lambda sample: sample.hours_after_dose)
    )


def _number(fields: Mapping[str, str], name: str) -> float | None:
    text = (fields.get(name) or "").strip().replace(",", ".")
    if not text:
        return None
    least, most = _BOUNDS[name]
    if not _NUMBER.fullmatch(text) or not least <= float(text) <= most:
        raise WhatIfError(f"{name}: write a number from {least:g} to {most:g}")
    return float(text)


def _level_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise WhatIfError("leave-out: write the number of a level")
    return int(text)
