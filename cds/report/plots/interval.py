"""One dosing interval in steady state: the current dose, the best one, and the reader's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import pk
from cds.assess.assessment import Assessment, DoseOption
from cds.report import curves, words
from cds.report.doses import same
from cds.report.plots import canvas, marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 70


def can_draw(assessment: Assessment) -> bool:
    """Whether dose numbers are given."""
    return assessment.exposure.state.quantitative and bool(_shown(assessment, None))


def draw(
    assessment: Assessment,
    width: float,
    height: float,
    *,
    narrow: bool,
    imagined: DoseOption | None = None,
    sample_h: float | None = None,
) -> Figure:
    """Draw the picture."""
    posterior = assessment.exposure.posterior
    shown = _shown(assessment, imagined)
    if posterior is None:
        raise ValueError("no dose numbers are given")
    figure, (axes,) = canvas.new_figure(width, height, (1.0,))
    target = assessment.policy.target
    marks.target_band(axes, target)
    tops = [target.high_ng_ml]
    span = max(option.interval_h for option, _, _ in shown)
    for option, colour, name in shown:
        hours = np.linspace(0.0, span, _POINTS)
        regimen = pk.Regimen(option.amount_mg, option.interval_h)
        # A dose taken twice a day repeats inside the picture of a whole day.
        within = np.where(hours > 0, (hours - 1e-9) % option.interval_h, 0.0)
        curve = curves.over_interval(posterior, regimen, within)
        marks.ribbon(axes, hours, curve, colour, f"{words.regimen(option)} ({name})")
        tops.append(float(curve.quantiles[-1].max()))
        _trough_bar(axes, option, span, colour)
    if sample_h is not None:
        axes.axvline(sample_h, color=canvas.INK, linewidth=1.1, dashes=(2, 2),
                     label="next sample asked about")  # fmt: skip
    marks.from_zero(axes, *tops)
    axes.set_xlim(0.0, span * 1.03)
    axes.set_xticks(np.arange(0.0, span + 1, 6.0 if narrow else 3.0))
    axes.set_xlabel("hours after the dose, in steady state")
    axes.set_ylabel("concentration (ng/mL)")
    marks.legend_below(axes, 1 if narrow else 2, label_lines=2)
    return figure


def describe(assessment: Assessment, imagined: DoseOption | None = None) -> str:
    """Say what the picture shows, for those who do not see it."""
    said = [
        f"{words.regimen(option)} ({name}) ends at {words.number(option.trough_ng_ml)} ng/mL, "
        f"90 % interval {words.number(option.trough_low_ng_ml)} to "
        f"{words.number(option.trough_high_ng_ml)}"
        for option, _, name in _shown(assessment, imagined)
    ]
    return f"Concentration over one dosing interval in steady state: {'; '.join(said)}."


def _shown(
    assessment: Assessment, imagined: DoseOption | None
) -> list[tuple[DoseOption, str, str]]:
    """(option, colour, name) - a question of the reader takes the place of the best dose."""
    exposure = assessment.exposure
    found: list[tuple[DoseOption, str, str]] = []
    if exposure.current is not None:
        found.append((exposure.current, canvas.POSTERIOR, "current"))
    other = imagined or exposure.best
    if other is not None and not any(same(other, option) for option, _, _ in found):
        colour = canvas.IMAGINED if imagined else canvas.BEST
        found.append((other, colour, "what-if" if imagined else "best fit"))
    return found


def _trough_bar(axes: Axes, option: DoseOption, span: float, colour: str) -> None:
    """Mark the trough with its interval where it is read: at the end of the interval."""
    low, high = option.trough_low_ng_ml, option.trough_high_ng_ml
    middle = option.trough_ng_ml
    axes.errorbar(
        [span * 1.012], [middle], yerr=[[max(middle - low, 0.0)], [max(high - middle, 0.0)]],
        fmt="s", markersize=5, color=colour, capsize=3, linewidth=1.4, zorder=6,
    )  # fmt: skip
