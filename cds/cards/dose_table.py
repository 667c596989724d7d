"""The table of doses: real tablets, the trough expected of each, and the chances below/in/above."""

from __future__ import annotations

from cds.assess.assessment import Assessment, DoseOption, Exposure, ExposureState
from cds.cards import words

MAX_ROWS = 4
"""Rows a card can hold before nobody reads it; current, ordered and best are never dropped."""

_STATE = {
    ExposureState.FITTED: "fitted to this patient's levels",
    ExposureState.POPULATION: "for patients like this one; no usable level yet",
}
_SIDE = {
    "below": "below the target",
    "in": "in the target range",
    "above": "above the target range",
}
_SEEN_IN_THE_TABLE = ("expected trough below the target", "expected trough above the target")
"""Reasons against a dose that its own row shows."""
_NO_NUMBERS = {
    ExposureState.UNRELIABLE: "The fit to this patient's levels is not reliable",
    ExposureState.OUT_OF_DOMAIN: "The patient lies outside what the models were built on",
    ExposureState.NOT_POSSIBLE: "Doses cannot be compared",
    ExposureState.WITHHELD: "Model-based doses are withheld",
}


def dose_table(assessment: Assessment) -> list[str]:
    """Return Markdown blocks: the table and what it rests on, or why there is none."""
    exposure = assessment.exposure
    if not exposure.state.quantitative:
        return [_why_no_numbers(exposure)]
    rows = rows_to_show(exposure)
    if not rows:
        reason = exposure.no_option_reason or "no dose could be compared"
        return [f"**Doses:** none shown: {words.plain(reason).rstrip('.')}."]
    blocks = [_caption(assessment), _table(rows, exposure), *measured_lines(assessment)]
    blocks += _refusals(rows, exposure)
    if exposure.best is None and exposure.no_option_reason:
        blocks.append(words.sentence(words.plain(exposure.no_option_reason)))
    return [*blocks, *basis(assessment)]


def rows_to_show(exposure: Exposure) -> list[DoseOption]:
    """Return the options for the table by rising daily dose; ranking decides who is left out."""
    every = [*exposure.options]
    for extra in (exposure.current, *exposure.ordered.values()):
        if extra is not None and not any(_same(extra, option) for option in every):
            every.append(extra)
    kept = [option for option in every if _marked(option, exposure)]
    for option in every:
        if len(kept) >= MAX_ROWS:
            break
        if option not in kept:
            kept.append(option)
    return sorted(kept, key=lambda option: (option.daily_mg, option.interval_h))


def regimen_words(option: DoseOption) -> str:
    """Return the regimen as it is said: 600 mg once daily."""
    return f"{words.dose(option.amount_mg)} mg {words.interval(option.interval_h)}"


def tablet_words(option: DoseOption) -> str:
    """Return what to take each time: 1 × 400 mg + 2 × 100 mg."""
    if not option.tablets:
        return "not makeable of whole or halved tablets"
    return " + ".join(
        f"{words.number(n, 1).removesuffix('.0')} × {words.dose(mg)} mg" for mg, n in option.tablets
    )


def measured_lines(assessment: Assessment) -> list[str]:
    """Return why the expected trough is not the measured one, where a reader would ask."""
    found = assessment.exposure.measured
    if found is None:
        return []
    measured, expected = words.number(found.measured_ng_ml), words.number(found.expected_ng_ml)
    return [
        f"Measured {measured}, expected {expected} ng/mL on the same dose: one level carries assay "
        "error and day-to-day scatter, so the estimate, to which the chances belong, lies between "
        f"it and what is usual. The measured trough itself is {_SIDE[found.side]}; a repeat level "
        "tells which is nearer."
    ]


def basis(assessment: Assessment) -> list[str]:
    """Return what the numbers rest on: model, levels, imputed covariates, target and limits."""
    exposure, policy = assessment.exposure, assessment.policy
    name = words.plain(exposure.model_title or exposure.model_id or "not named")
    checked = (
        "" if exposure.model_verified else "; its numbers await a person's check at the source"
    )
    used = f": {words.listing(exposure.levels_used)}" if exposure.levels_used else ""
    lines = [f"Model: {name}, {_STATE[exposure.state]}{used}{checked}."]
    if exposure.imputed:
        imputed = (f"{_covariate(key)} {_value(value)}" for key, value in exposure.imputed.items())
        lines.append(f"Not on record, so a typical value was used: {words.listing(imputed)}.")
    troughs = exposure.model_troughs_ng_ml
    if len(troughs) > 1:
        each = (f"{words.plain(key)} {words.number(value)}" for key, value in troughs.items())
        lines.append(f"Trough on the current dose by model: {words.listing(each)} ng/mL.")
    target = policy.target
    if not target.validated:
        lines.append("The target is not validated for this indication.")
    if target.note:
        lines.append(words.sentence(words.plain(target.note)))
    if policy.limits.why:
        lines.append(f"Limits: {words.plain('; '.join(policy.limits.why)).rstrip('.')}.")
    lines.append("Intervals are of the trough itself; assay and day-to-day scatter come on top.")
    return ["  \n".join(lines)]


def _caption(assessment: Assessment) -> str:
    """What the columns mean; in a sentence, because cards are narrow."""
    target = assessment.policy.target
    low, high = words.number(target.low_ng_ml), words.number(target.high_ng_ml)
    return (
        "**Doses:** expected steady-state trough in ng/mL (90 % interval) and the chance in % "
        f"that it is below {low}, between, or above {high}:"
    )


def _table(rows: list[DoseOption], exposure: Exposure) -> str:
    """The GitHub-flavoured Markdown table."""
    lines = [
        _row(("Dose", "Tablets each time", "Trough (90 %)", "below", "in", "above")),
        _row(("---", "---", "---:", "---:", "---:", "---:")),
    ]
    return "\n".join([*lines, *(_row(_cells(option, exposure)) for option in rows)])


def _cells(option: DoseOption, exposure: Exposure) -> tuple[str, ...]:
    marks = _marks(option, exposure)
    name = regimen_words(option)
    if option.is_best:
        name = f"**{name}**"
    low, high = words.number(option.trough_low_ng_ml), words.number(option.trough_high_ng_ml)
    return (
        f"{name} ({', '.join(marks)})" if marks else name,
        tablet_words(option),
        f"{words.number(option.trough_ng_ml)} ({low} to {high})",
        words.percent(option.percent_below),
        words.percent(option.percent_in),
        words.percent(option.percent_above),
    )


def _marks(option: DoseOption, exposure: Exposure) -> list[str]:
    """Why a reader looks at this row."""
    current = exposure.current
    marks = []
    if option.is_current or (current is not None and _same(option, current)):
        marks.append("current")
    if option.is_ordered or any(_same(option, ordered) for ordered in exposure.ordered.values()):
        marks.append("ordered")
    if option.is_best:
        marks.append("best fit")
    return marks


def _marked(option: DoseOption, exposure: Exposure) -> bool:
    return bool(_marks(option, exposure))


def _same(one: DoseOption, other: DoseOption) -> bool:
    return one.amount_mg == other.amount_mg and one.interval_h == other.interval_h


def _refusals(rows: list[DoseOption], exposure: Exposure) -> list[str]:
    """Why rows of the table are not offered, doses with the same reason together.

    The current dose needs no excuse for not being offered as a change. A best fit that does not
    reach the target is still the closest, and may be offered: its shortcoming is said as that.
    """
    by_reason: dict[str, list[str]] = {}
    for option in rows:
        if option.why_not and not option.is_best and "current" not in _marks(option, exposure):
            reason = words.plain(option.why_not).rstrip(".")
            if reason in _SEEN_IN_THE_TABLE:
                continue
            by_reason.setdefault(reason, []).append(regimen_words(option))
    said = [f"{words.listing(doses)} ({reason})" for reason, doses in by_reason.items()]
    lines = [f"Not offered: {'; '.join(said)}."] if said else []
    best = exposure.best
    if best is not None and best.why_not and not best.is_current:
        closest = f"{regimen_words(best)} comes closest to the target within the limits"
        lines.insert(0, f"{closest} ({words.plain(best.why_not).rstrip('.')}).")
    return lines


def _why_no_numbers(exposure: Exposure) -> str:
    opening = _NO_NUMBERS[exposure.state]
    reasons = words.plain("; ".join(exposure.reasons)).rstrip(".")
    return f"**Doses:** {opening}{f': {reasons}' if reasons else ''}. No dose numbers are given."


def _covariate(key: str) -> str:
    """A covariate's key in words: weight_kg is body weight in kg."""
    name, _, unit = key.rpartition("_")
    known = {"kg": "kg", "cm": "cm", "years": "years", "m2": "m2"}
    if name and unit in known:
        return words.plain(f"{name.replace('_', ' ')} ({known[unit]})")
    return words.plain(key.replace("_", " "))


def _value(value: float | str) -> str:
    return (
        words.plain(value)
        if isinstance(value, str)
        else words.number(value, 2).rstrip("0").rstrip(".")
    )


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
