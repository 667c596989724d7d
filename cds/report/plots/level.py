"""The days around the latest level: what was expected, what was measured, what is thought now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from cds.assess.assessment import Assessment, GatedLevel
from cds.report import curves, words
from cds.report.plots import canvas, marks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BEFORE_H, _AFTER_H, _MARGIN_H = 60.0, 36.0, 1.0
_POINTS = 120


def can_draw(assessment: Assessment) -> bool:
    """Whether a model can say what to expect."""
    return assessment.exposure.posterior is not None


def draw(assessment: Assessment, width: float, height: float, *, narrow: bool) -> Figure:
    """Draw the picture."""
    posterior, centre = assessment.exposure.posterior, _centre(assessment)
    if posterior is None:
        raise ValueError("there is no model to draw from")
    figure, (axes,) = canvas.new_figure(width, height, (1.0,))
    zone = words.zone_of(assessment)
    zero = assessment.setting.day_of(assessment.now)  # of the clock of the case
    middle = (centre - zero).total_seconds() / 3600.0
    present = (assessment.now - zero).total_seconds() / 3600.0
    # Doses are known up to the present; past it, the curve would fall as if the drug were stopped.
    end = min(middle + _AFTER_H, present + _MARGIN_H)
    hours = np.linspace(end - _BEFORE_H - _AFTER_H, end, _POINTS)

    def times(at: np.ndarray) -> list[datetime]:
        return [(zero + timedelta(hours=h)).astimezone(zone) for h in at.tolist()]

    target = assessment.policy.target
    marks.target_band(axes, target)
    prior = curves.over_time(curves.population_of(posterior), hours)
    tops = [target.high_ng_ml, float(prior.quantiles[-1].max())]
    clock = times(hours)
    marks.outline(axes, clock, prior, canvas.PRIOR, "patients like this one (median, 5–95 %)")
    if posterior.n_levels and assessment.exposure.state.quantitative:
        after = curves.over_time(posterior, hours)
        marks.ribbon(axes, clock, after, canvas.POSTERIOR, "this patient (25–75 %, 5–95 %)")
        tops.append(float(after.quantiles[-1].max()))
    doses, _ = curves.doses_between(posterior.case, float(hours[0]), float(hours[-1]))
    marks.dose_ticks(axes, times(doses))
    tops += _levels(axes, assessment, clock[0], clock[-1])
    marks.from_zero(axes, *tops)
    _clock_axis(axes, clock, zone, narrow=narrow)
    axes.set_ylabel("concentration (ng/mL)")
    marks.legend_below(axes, 1 if narrow else 2, label_lines=2 if narrow else 3)
    return figure


def describe(assessment: Assessment) -> str:
    """Say what the picture shows, for those who do not see it."""
    gated = assessment.latest_level
    drug = "concentration over the days around the latest level"
    if gated is None or gated.level.ng_ml is None:
        return f"Expected {drug}; no level is marked."
    posterior = assessment.exposure.posterior
    fitted = ""
    if posterior is not None and posterior.n_levels and assessment.exposure.state.quantitative:
        check = posterior.health.levels[-1]
        fitted = f" The fitted curve passes at {words.number(check.predicted_ng_ml)} ng/mL."
    return (
        f"Expected {drug}, which is {words.number(gated.level.ng_ml)} ng/mL.{fitted} "
        "All numbers stand in the tables of the report."
    )


def _centre(assessment: Assessment) -> datetime:
    """The latest level with a clock time, preferably one that was used; else the present."""
    timed = [g for g in assessment.levels if g.level.sampled and g.level.sampled.has_clock_time]
    used = [g for g in timed if g.level.reference in assessment.exposure.levels_used]
    best = next(reversed(used or timed), None)
    return best.level.sampled.at if best and best.level.sampled else assessment.now


def _levels(axes: Any, assessment: Assessment, start: datetime, end: datetime) -> list[float]:
    """Mark the levels inside the window; return their heights."""
    inside = [
        g
        for g in assessment.levels
        if g.level.ng_ml is not None and g.level.sampled and start <= g.level.sampled.at <= end
    ]
    for used in (True, False):
        some = [g for g in inside if (_used(g, assessment)) is used]
        marks.observed(
            axes,
            [g.level.sampled.at for g in some if g.level.sampled],
            [g.level.ng_ml or 0.0 for g in some],
            used=used,
        )
    return [g.level.ng_ml or 0.0 for g in inside]


def _used(gated: GatedLevel, assessment: Assessment) -> bool:
    return gated.level.reference in assessment.exposure.levels_used


def _clock_axis(axes: Any, clock: list[datetime], zone: Any, *, narrow: bool) -> None:
    from matplotlib import dates

    kit: Any = dates  # its classes carry no types
    x = axes.xaxis
    x.set_major_locator(kit.HourLocator(byhour=[0] if narrow else [0, 12], tz=zone))
    x.set_major_formatter(kit.DateFormatter("%-d %b" if narrow else "%-d %b\n%H:%M", tz=zone))
    axes.set_xlim(clock[0], clock[-1])
    axes.set_xlabel(f"clock time ({zone})")
