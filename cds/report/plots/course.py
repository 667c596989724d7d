"""The whole course on one axis: levels and target, the daily dose, interacting medicines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cds.assess.assessment import Assessment, GatedLevel
from cds.clinical.medication import Medicine
from cds.report import words
from cds.report.plots import canvas, marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_MEDICINES = 6
_MARGIN = 0.03
_LONGEST = timedelta(days=2 * 365)
_LONGEST_NAME = 24


def can_draw(assessment: Assessment) -> bool:
    """Whether there is a level to place."""
    return bool(_placed(assessment))


def draw(assessment: Assessment, width: float, height: float, *, narrow: bool) -> Figure:
    """Draw the picture."""
    levels = _placed(assessment)
    medicines = interacting(assessment)
    rows = (3.0, 1.1) + ((0.45 + 0.3 * len(medicines),) if medicines else ())
    figure, panels = canvas.new_figure(width, height + 0.3 * len(medicines), rows)
    zone = words.zone_of(assessment)
    first = min(at for _, at, _ in levels)
    start = max(min(assessment.course.started or first, first), assessment.now - _LONGEST)
    margin = max(_MARGIN * (assessment.now - start), timedelta(days=1))
    start, end = start - margin, assessment.now + margin
    _levels(panels[0], assessment)
    _daily_dose(panels[1], assessment, start)
    if medicines:
        draw_medicines(panels[2], medicines, start, end)
    dates(panels[-1], zone, start, end, narrow=narrow)
    marks.legend_below(panels[0], 1 if narrow else 3, label_lines=2)
    return figure


def _placed(assessment: Assessment) -> list[tuple[GatedLevel, datetime, float]]:
    """The levels with a value and a day, oldest first."""
    return [
        (g, g.level.sampled.at, g.level.ng_ml)
        for g in assessment.levels
        if g.level.ng_ml is not None and g.level.sampled
    ]


def describe(assessment: Assessment) -> str:
    """Say what the picture shows, for those who do not see it."""
    zone = words.zone_of(assessment)
    said = [
        f"{words.day(at, zone)} {words.number(value)} ng/mL" for _, at, value in _placed(assessment)
    ]
    return f"Levels over the course of therapy: {'; '.join(said)}. The daily dose stands below."


def _levels(axes: Axes, assessment: Assessment) -> None:
    target = assessment.policy.target
    marks.target_band(axes, target)
    tops = [target.high_ng_ml]
    for used in (True, False):
        some = [
            (at, value)
            for gated, at, value in _placed(assessment)
            if (gated.level.reference in assessment.exposure.levels_used) is used
        ]
        marks.observed(axes, [at for at, _ in some], [value for _, value in some], used=used)
        tops += [value for _, value in some]
    marks.from_zero(axes, *tops)
    axes.set_ylabel("level (ng/mL)")
    canvas.quiet_grid(axes)


def _daily_dose(axes: Axes, assessment: Assessment, start: datetime) -> None:
    """The ordered daily dose as steps; between orders nothing is drawn."""
    tops = [0.0]
    for order in assessment.record.orders:
        for regimen in () if order.is_draft else order.regimens:
            begins: Any = regimen.starts.at if regimen.starts else start
            ends: Any = regimen.ends.at if regimen.ends else assessment.now
            ends = min(ends, order.stopped.at) if order.stopped else ends
            axes.fill_between(
                [begins, ends], [regimen.daily_mg] * 2, color=canvas.POSTERIOR, alpha=0.25,
                linewidth=0,
            )  # fmt: skip
            axes.plot([begins, ends], [regimen.daily_mg] * 2, color=canvas.POSTERIOR, linewidth=1.6)
            tops.append(regimen.daily_mg)
    axes.set_ylim(0.0, 1.2 * max(tops) or 1.0)
    axes.set_ylabel("mg a day")
    canvas.quiet_grid(axes)


def draw_medicines(axes: Axes, medicines: list[Medicine], start: datetime, end: datetime) -> None:
    """Draw each medicine as a bar from its start to its end."""
    for row, medicine in enumerate(medicines):
        begins: Any = medicine.started.at if medicine.started else start
        until: Any = medicine.stopped.at if medicine.stopped else end
        axes.plot([begins, until], [row, row], color=canvas.LIMIT, linewidth=6, alpha=0.75,
                  solid_capstyle="butt")  # fmt: skip
        axes.text(0.005, row + 0.28, medicine.display[:_LONGEST_NAME], fontsize=8,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_ylim(-0.6, len(medicines) - 0.2)
    axes.set_yticks([])
    axes.set_ylabel("interacting")


def interacting(assessment: Assessment) -> list[Medicine]:
    """The medicines that the interaction facts name, as many as a picture can hold."""
    named = {f.values["ingredient"] for f in assessment.facts if f.kind == "interaction"}
    found = [m for m in assessment.record.medicines if named & set(m.ingredients)]
    return found[:_MOST_MEDICINES]


def dates(axes: Any, zone: Any, start: datetime, end: datetime, *, narrow: bool) -> None:
    """Name a few evenly spaced days; over long courses with the year."""
    from matplotlib import dates as kit_dates

    kit: Any = kit_dates  # its functions carry no types
    count = 4 if narrow else 7
    step = (end - start) / count
    days = [start + step * (k + 0.5) for k in range(count)]
    style = "%-d %b %y" if end - start > timedelta(days=300) else "%-d %b"
    axes.set_xticks(
        [kit.date2num(at) for at in days], [at.astimezone(zone).strftime(style) for at in days]
    )
    axes.set_xlim(start, end)
