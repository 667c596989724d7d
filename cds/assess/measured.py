"""Where the measured trough and the model's estimate on the same dose would puzzle a reader.

A fit moves only part of the way from what is usual for such patients to one measured level, because
a single level carries the error of the assay and the scatter from day to day. Both numbers are
right about something else; shown side by side without a word they look like a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from cds.assess.assessment import Exposure, ExposureState, GatedLevel, MeasuredTrough
from cds.assess.policy import SAME_DOSE_MG, Policy, Tables, Target


def beside_the_measured(
    exposure: Exposure, levels: Sequence[GatedLevel], policy: Policy, tables: Tables
) -> Exposure:
    """Return the exposure with `measured` set when the latest trough asks for an explanation.

    It does when the two differ by more than the share in the models table, when the measured trough
    lies outside the estimate's interval, or when they lie on different sides of a target limit.
    """
    now = exposure.current
    latest = next((g for g in levels if g.is_latest and g.gate.comparable), None)
    if exposure.state is not ExposureState.FITTED or now is None or latest is None:
        return exposure
    trough, taken = latest.trough_ng_ml, latest.daily_mg
    if not trough or taken is None or abs(taken - now.daily_mg) > SAME_DOSE_MG:
        return exposure
    limit = float(tables.models["reliability"]["explain_difference_percent"])
    side = _side(trough, policy.target)
    puzzling = (
        100.0 * abs(now.trough_ng_ml - trough) > limit * trough
        or not now.trough_low_ng_ml <= trough <= now.trough_high_ng_ml
        or side != _side(now.trough_ng_ml, policy.target)
    )
    found = MeasuredTrough(trough, now.trough_ng_ml, side)
    return replace(exposure, measured=found) if puzzling else exposure


def _side(ng_ml: float, target: Target) -> Literal["below", "in", "above"]:
    if ng_ml < target.low_ng_ml:
        return "below"
    return "above" if ng_ml > target.high_ng_ml else "in"
