"""What the numbers mean, in sentences a prescriber understands without pharmacokinetics."""

from __future__ import annotations

from collections.abc import Iterator

from cds.assess.assessment import (
    Assessment,
    DoseOption,
    ExposureState,
    Gate,
    GatedLevel,
)
from cds.clinical.finding import Severity
from cds.clinical.level import ResultStatus
from cds.report import words

_NO_NUMBERS = {
    ExposureState.UNRELIABLE: "The model does not explain this patient's levels",
    ExposureState.OUT_OF_DOMAIN: "The patient lies outside what the models were built on",
    ExposureState.NOT_POSSIBLE: "The model cannot be asked",
    ExposureState.WITHHELD: "Model-based doses are withheld",
}
_CORRECTION = {
    "model": "by the fitted model",
    "exponential": "by exponential decline at the typical rate",
}


def interpretation(assessment: Assessment) -> tuple[str, ...]:
    """Return the interpretation, one thought a sentence, most important first."""
    return tuple(
        words.sentence(text)
        for part in (_level, _against_target, _rules, _expected, _proposal, _adherence, _limits)
        for text in part(assessment)
    )


def reported(gated: GatedLevel) -> str:
    """Return a level as the laboratory wrote it, and in ng/mL when that is another unit."""
    level = gated.level
    sign = str(level.comparator) if level.comparator else ""
    text = level.reported
    if level.ng_ml is not None and level.reported_unit != "ng/mL":
        text += f" (= {sign}{words.concentration(level.ng_ml)})"
    return text if level.status is ResultStatus.FINAL else f"{text}, {level.status}"


def timing(gated: GatedLevel) -> str:
    """Return when the sample was drawn after the last dose."""
    if gated.hours_post_dose is None:
        return "time since the last dose not known"
    hours = words.number(gated.hours_post_dose, 1)
    return f"{hours} h after the last dose ({words.basis(gated.timing_basis)})"


def _level(assessment: Assessment) -> Iterator[str]:
    gated = assessment.latest_level
    if gated is None:
        yield "No level of the drug is on record"
        return
    zone = words.zone_of(assessment)
    drawn = words.moment(gated.level.sampled, zone)
    yield f"The latest level is {reported(gated)}, drawn {drawn}, {timing(gated)}"
    if gated.trough_ng_ml is not None and gated.gate is not Gate.TROUGH:
        how = _CORRECTION.get(gated.correction or "", "by correction")
        yield (
            f"Corrected to the end of the dosing interval {how}, it stands for a trough of "
            f"{words.concentration(gated.trough_ng_ml)}{_span(gated)}"
        )


def _span(gated: GatedLevel) -> str:
    low, high = gated.trough_low_ng_ml, gated.trough_high_ng_ml
    if low is None or high is None or low == high:
        return ""
    return f" (interval {words.number(low)} to {words.number(high)})"


def _against_target(assessment: Assessment) -> Iterator[str]:
    gated, target = assessment.latest_level, assessment.policy.target
    if gated is None:
        return
    band = f"{words.number(target.low_ng_ml)} to {words.concentration(target.high_ng_ml)}"
    if not gated.gate.comparable or gated.trough_ng_ml is None:
        yield f"It is not compared with the trough target of {band}: {gated.reason}"
        return
    low = gated.trough_low_ng_ml or gated.trough_ng_ml
    high = gated.trough_high_ng_ml or gated.trough_ng_ml
    if high < target.low_ng_ml:
        yield f"This is below the trough target of {band}"
    elif low > target.high_ng_ml:
        yield f"This is above the trough target of {band}"
    elif target.low_ng_ml <= low and high <= target.high_ng_ml:
        yield f"This lies in the trough target of {band}"
    else:
        yield f"With its uncertainty it lies on both sides of a limit of the target of {band}"
    if not target.validated:
        yield "The target is not validated for this indication; it is an aid, not a limit"


def _rules(assessment: Assessment) -> Iterator[str]:
    """What the rules concluded, the most urgent first: numbers alone decide nothing."""
    findings = [f for f in assessment.verdict.findings if not f.silent]
    for finding in sorted(findings, key=lambda f: -f.severity):
        yield f"The rules say ({finding.severity.indicator}): {finding.summary}"


def _expected(assessment: Assessment) -> Iterator[str]:
    exposure = assessment.exposure
    if not exposure.state.quantitative:
        why = f": {'; '.join(exposure.reasons)}" if exposure.reasons else ""
        yield f"{_NO_NUMBERS[exposure.state]}{why}"
        yield "No dose numbers are given"
        return
    current = exposure.current
    if current is None:
        return
    about = "this patient" if exposure.state is ExposureState.FITTED else "patients like this one"
    yield (
        f"For {about} on {words.regimen(current)} the model expects a steady-state trough of "
        f"{_trough(current)}; the chance that it is below the target is "
        f"{words.percent(current.percent_below)} %, "
        f"that it is above {words.percent(current.percent_above)} %"
    )
    found = exposure.measured
    if found is not None:
        yield (
            f"That is not the measured {words.concentration(found.measured_ng_ml)}: a single level "
            "carries assay error and day-to-day scatter, so the estimate goes only part of the way "
            "from what is usual for such patients to the measured value; a repeat level tells "
            "which is nearer"
        )


def _proposal(assessment: Assessment) -> Iterator[str]:
    exposure = assessment.exposure
    best = exposure.best
    if any(f.severity is Severity.CRITICAL and not f.silent for f in assessment.verdict.findings):
        # Beside "hold the drug" a dose with a good chance would read as advice.
        yield (
            "A critical finding stands, so no dose is put forward here; the table of doses is "
            "arithmetic and does not know of it"
        )
        return
    if best is None:
        if exposure.state.quantitative and exposure.no_option_reason:
            yield exposure.no_option_reason
        return
    if best.is_current:
        yield "No other dose that tablets can make within the limits has a better chance"
        return
    yield (
        f"Of the doses that tablets can make within the limits, {words.regimen(best)} is the "
        f"likeliest to reach the target: expected trough {_trough(best)}, in the target with a "
        f"chance of {words.percent(best.percent_in)} %"
    )
    yield (
        "This is arithmetic and no advice to change the dose: that depends on response, "
        "tolerability, intake and interacting medicines"
    )


def _adherence(assessment: Assessment) -> Iterator[str]:
    view = assessment.exposure.adherence
    if view is None:
        return
    yield (
        f"If all of the last {view.recent_doses} doses were taken, a trough of "
        f"{words.concentration(view.trough_if_all_taken_ng_ml)} would be expected; the level "
        f"itself makes missed doses {words.percent(view.percent_missed_some)} % likely"
    )


def _limits(assessment: Assessment) -> Iterator[str]:
    if assessment.exposure.state.quantitative:
        yield "The intervals hold 90 % for the trough itself; assay and daily scatter come on top"


def _trough(option: DoseOption) -> str:
    low, high = words.number(option.trough_low_ng_ml), words.number(option.trough_high_ng_ml)
    return f"{words.concentration(option.trough_ng_ml)} (90 % interval {low} to {high})"
