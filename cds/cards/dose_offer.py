"""Which dose a card may offer as an order: in the direction its rule argues for, one step at most.

A rule that finds too little drug offers more, one that finds too much offers less, and one that
questions an order offers something between the present dose and the ordered one. So no order to
lower the dose is answered with a rise, and no rise with a still larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cds.assess.assessment import Assessment, DoseOption
from cds.assess.policy import SAME_DOSE_MG


def higher(assessment: Assessment) -> DoseOption | None:
    """Return the dose to offer above the present one.

    Where none is expected to reach the target, it is the one that comes closest, if it comes closer
    than the present one; `why_not` then says what is lacking. None if the present one fits best.
    """
    now, best = _current_mg(assessment), assessment.exposure.best
    if best is not None and best.is_current:
        return None
    return _likeliest(assessment, lambda mg: now is None or mg > now + SAME_DOSE_MG)


def lower(assessment: Assessment) -> DoseOption | None:
    """Return the dose to offer below the present one, if one is expected to stay in the target."""
    now = _current_mg(assessment)
    return _likeliest(assessment, lambda mg: now is not None and mg < now - SAME_DOSE_MG)


def milder(assessment: Assessment) -> DoseOption | None:
    """Return a dose from the present one up to, but not including, the one being ordered."""
    now = _current_mg(assessment)
    ordered = next(iter(assessment.exposure.ordered.values()), None)
    if now is None or ordered is None:
        return None
    low = min(now, ordered.daily_mg) - SAME_DOSE_MG
    high = max(now, ordered.daily_mg) + SAME_DOSE_MG
    return _likeliest(
        assessment,
        lambda mg: low <= mg <= high and abs(mg - ordered.daily_mg) > SAME_DOSE_MG,
        instead_of=ordered,
    )


def _likeliest(
    assessment: Assessment, wanted: Callable[[float], bool], instead_of: DoseOption | None = None
) -> DoseOption | None:
    """The best fit where it is wanted, else the likeliest in the target that is of any use.

    Of use is what may be offered as it stands, or what is likelier in the target than the dose it
    replaces: the present one, or `instead_of`.
    """
    found = [option for option in _orderable(assessment) if wanted(option.daily_mg)]
    best = next((option for option in found if option.is_best), None)
    replaced = instead_of or assessment.exposure.current
    useful = [
        option
        for option in found
        if option.why_not is None or replaced is None or option.percent_in > replaced.percent_in
    ]
    return best or max(useful, key=lambda option: option.percent_in, default=None)


def _orderable(assessment: Assessment) -> Sequence[DoseOption]:
    """Doses of whole tablets within the limits and within one usual step of the present dose."""
    child = assessment.course.population == "child"
    if child and not assessment.setting.paediatric_doses:
        return ()
    if not assessment.exposure.state.quantitative:
        return ()
    limits = assessment.policy.limits
    return [
        option
        for option in assessment.exposure.options
        if option.tablets
        and not option.too_far
        and limits.min_daily_mg <= option.daily_mg <= limits.max_daily_mg
        and option.amount_mg <= limits.once_daily_max_mg
    ]


def _current_mg(assessment: Assessment) -> float | None:
    regimen = assessment.course.regimen
    return regimen.daily_mg if regimen else None
