"""Laboratory results and measurements over time, with interacting medicines on the same axis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cds.assess.assessment import Assessment
from cds.clinical.labs import Lab
from cds.clinical.level import ResultStatus
from cds.report import words
from cds.report.plots import canvas, course

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEWEST, _MOST_KINDS = 2, 5
_PANEL_IN, _MEDICINE_IN = 0.85, 0.3
_LONGEST = timedelta(days=2 * 365)
_WIDE_RANGE = 20.0
"""Where the largest result is so many times the smallest, the axis is logarithmic."""


def can_draw(assessment: Assessment) -> bool:
    """Whether some result was measured more than once."""
    return bool(_series(assessment))


def draw(assessment: Assessment, width: float, *, narrow: bool) -> Figure:
    """Draw one panel for each kind of result, the most often measured first."""
    series = _series(assessment)
    medicines = course.interacting(assessment)
    rows = (1.0,) * len(series)
    rows += (0.45 + 0.3 * len(medicines),) if medicines else ()
    height = _PANEL_IN * len(series) + _MEDICINE_IN * len(medicines) + 0.75
    figure, panels = canvas.new_figure(width, height, rows)
    first = min(lab.at.at for results in series for lab in results)
    margin = max(0.03 * (assessment.now - first), timedelta(days=1))
    start, end = first - margin, assessment.now + margin
    for axes, results in zip(panels, series, strict=False):
        _panel(axes, results)
    if medicines:
        course.draw_medicines(panels[-1], medicines, start, end)
    course.dates(panels[-1], words.zone_of(assessment), start, end, narrow=narrow)
    canvas.place_panels(figure, 0, label_lines=1)
    return figure


def describe(assessment: Assessment) -> str:
    """Say what the picture shows, for those who do not see it."""
    zone = words.zone_of(assessment)
    said = []
    for results in _series(assessment):
        first, last = results[0], results[-1]
        said.append(
            f"{_name(last)} from {_value(first)} on {words.day(first.at.at, zone)} "
            f"to {_value(last)} on {words.day(last.at.at, zone)} ({len(results)} results)"
        )
    return f"Results measured more than once: {'; '.join(said)}. A broken line is the upper limit."


def _series(assessment: Assessment) -> list[list[Lab]]:
    """Numeric results by kind, oldest first; kinds measured once have no course to draw."""
    by_key: dict[str, list[Lab]] = {}
    for lab in assessment.record.labs:
        if lab.value is not None and lab.at.at >= assessment.now - _LONGEST:
            by_key.setdefault(lab.key, []).append(lab)
    found = [sorted(r, key=lambda lab: lab.at.at) for r in by_key.values() if len(r) >= _FEWEST]
    return sorted(found, key=lambda results: (-len(results), results[0].key))[:_MOST_KINDS]


def _panel(axes: Axes, results: Sequence[Lab]) -> None:
    values = [lab.value or 0.0 for lab in results]
    days: Any = [lab.at.at for lab in results]  # matplotlib takes dates, its types do not say so
    axes.plot(days, values, color=canvas.POSTERIOR, linewidth=1.2)
    for final in (True, False):
        some = [k for k, r in enumerate(results) if (r.status is ResultStatus.FINAL) is final]
        axes.plot(
            [days[k] for k in some], [values[k] for k in some],
            linestyle="none", marker="o", markersize=4.5, markeredgecolor=canvas.POSTERIOR,
            markerfacecolor=canvas.POSTERIOR if final else "white",
        )  # fmt: skip
    limit = results[-1].upper_limit
    if limit:
        axes.axhline(limit, color=canvas.LIMIT, linewidth=0.9, dashes=(5, 2))
    if min(values) > 0 and max(values) / min(values) >= _WIDE_RANGE:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0.0, 1.35 * max([*values, limit or 0.0]) or 1.0)
        axes.locator_params(axis="y", nbins=3)
    axes.text(0.005, 0.97, _name(results[-1]), fontsize=8, fontweight="bold", va="top",
              transform=axes.transAxes)  # fmt: skip
    axes.set_ylabel(words.lab_unit(results[-1].unit), fontsize=8)
    canvas.quiet_grid(axes)


def _name(lab: Lab) -> str:
    return words.lab_name(lab.key)


def _value(lab: Lab) -> str:
    value = f"{lab.comparator or ''}{words.short(lab.value or 0.0)}"
    return f"{value}{words.THIN}{words.lab_unit(lab.unit)}".rstrip(words.THIN)
