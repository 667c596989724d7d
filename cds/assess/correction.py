"""What a fitted model adds to the levels: the trough each stands for, and how usual it is."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

import pk
from cds.assess.assessment import Exposure, ExposureState, Gate, GatedLevel
from cds.assess.case import to_pk, usable_levels
from cds.assess.course import Therapy
from cds.assess.timeline import regimen_at


def corrected_by_model(
    levels: Sequence[GatedLevel], exposure: Exposure, therapy: Therapy
) -> tuple[GatedLevel, ...]:
    """Add the model's percentile to each level it used, and its trough where timing was off.

    A level outside the window is scaled by the patient's own ratio of trough to level; its interval
    is widened, never narrowed, to hold both the model's value and the simple rule's interval. A
    level taken too early for any simple correction keeps its gate: it shows the model's estimate
    but is not compared with a target.
    """
    posterior = exposure.posterior
    if posterior is None:
        return tuple(levels)
    used = {g.level.reference: i for i, g in enumerate(usable_levels(levels))}
    checks = posterior.health.levels
    result = []
    for gated in levels:
        place = used.get(gated.level.reference)
        if place is None:
            result.append(gated)
            continue
        known = replace(gated, percentile=100.0 * checks[place].prior_percentile)
        if exposure.state is ExposureState.FITTED:
            known = _with_trough(known, checks[place].level, posterior, therapy)
        result.append(known)
    return tuple(result)


def _with_trough(
    gated: GatedLevel, level: pk.Level, posterior: pk.Posterior, therapy: Therapy
) -> GatedLevel:
    sampled = gated.level.sampled
    regimen = to_pk(regimen_at(therapy.segments, sampled.at)) if sampled else None
    if regimen is None or gated.gate is Gate.TROUGH:
        return gated
    estimate = pk.trough_of(posterior, level, regimen)
    if gated.gate is Gate.TOO_EARLY:
        low, high = estimate.interval
        return replace(
            gated,
            trough_ng_ml=estimate.ng_ml,
            trough_low_ng_ml=low,
            trough_high_ng_ml=high,
            correction="model",
        )
    scaled = estimate.from_this_level_ng_ml
    if scaled is None or gated.trough_low_ng_ml is None or gated.trough_high_ng_ml is None:
        return gated
    return replace(
        gated,
        trough_ng_ml=scaled,
        trough_low_ng_ml=min(scaled, gated.trough_low_ng_ml),
        trough_high_ng_ml=max(scaled, gated.trough_high_ng_ml),
        correction="model",
    )
