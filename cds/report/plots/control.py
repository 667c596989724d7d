"""A control chart as a picture: weekly shares, their limits, and when the rules changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from cds.report import words
from cds.report.control_chart import ControlChart, Point
from cds.report.plots import canvas, marks
from cds.report.plots.picture import SIZES, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WEEK = timedelta(days=7)
_MOST_LABELS = 6
_SIGNALS = {"fall": "below the limits", "rise": "above the limits"}
_MARKERS = {"fall": "v", "rise": "^"}


def control_picture(
    chart: ControlChart,
    revisions: Sequence[tuple[date, str]],
    *,
    name: str,
    title: str,
    says: str,
    shape: Shape = Shape.WIDE,
) -> str | None:
    """Return the chart as SVG, or None when no week is on it.

    `revisions` are days with the label of what came into force; `says` is what the share counts.
    """
    if not chart.points:
        return None
    width, height = SIZES[shape]
    with canvas.drawing(f"{name}-{shape}"):
        figure, (axes,) = canvas.new_figure(width, height * 0.82, (1.0,))
        tops = _limits(axes, chart.points)
        tops += _shares(axes, chart.points)
        _revisions(axes, chart.points, revisions)
        axes.set_ylim(0.0, min(1.12 * max([*tops, 1.0]), 105.0))
        axes.set_ylabel(says)
        canvas.quiet_grid(axes)
        _weeks(axes, chart.points, narrow=shape is Shape.NARROW)
        marks.legend_below(axes, 1 if shape is Shape.NARROW else 3, label_lines=2)
        return canvas.finished(
            figure, name=f"{name}-{shape}", title=title, description=describe(chart, says)
        )


def describe(chart: ControlChart, says: str) -> str:
    """Say what the picture shows, for those who do not see it."""
    last = chart.last
    if last is None:
        return "No week is on this chart."
    said = [
        f"{says}: {last.percent:.0f} in the week of {_day(last.begins)} ({last.count} of {last.of})"
    ]
    if last.high is not None and last.low is not None:
        said.append(f"expected between {last.low:.0f} and {last.high:.0f}")
    for signal, where in _SIGNALS.items():
        flagged = [_day(p.begins) for p in chart.points if p.signal == signal]
        if flagged:
            said.append(f"{where} in the week of {words.listing(flagged)}")
    if not any(p.signal for p in chart.points) and chart.judged:
        said.append("no week lies outside its limits")
    return ". ".join(part[:1].upper() + part[1:] for part in said) + "."


def _limits(axes: Axes, points: Sequence[Point]) -> list[float]:
    known = [p for p in points if p.high is not None]
    if not known:
        return []
    # A limit holds for its whole week, so it is drawn as a step, not as a slope.
    days = _axis([*known, None])
    low, middle, high = (
        [getattr(p, part) or 0.0 for p in known] for part in ("low", "middle", "high")
    )
    axes.fill_between(
        days, [*low, low[-1]], [*high, high[-1]], step="post", color=canvas.PRIOR, alpha=0.16,
        linewidth=0, label="what chance explains",
    )  # fmt: skip
    axes.step(
        days, [*middle, middle[-1]], where="post", color=canvas.PRIOR, linewidth=1.2,
        dashes=(5, 2), label="weeks before",
    )  # fmt: skip
    return high


def _shares(axes: Axes, points: Sequence[Point]) -> list[float]:
    days: Any = [p.begins + _WEEK / 2 for p in points]
    shares = [p.percent for p in points]
    axes.plot(days, shares, color=canvas.POSTERIOR, linewidth=1.2, marker="o", markersize=4.5,
              label="each week")  # fmt: skip
    for signal, name in _SIGNALS.items():
        some = [p for p in points if p.signal == signal]
        if some:
            axes.plot(
                [p.begins + _WEEK / 2 for p in some], [p.percent for p in some],  # type: ignore[arg-type]
                linestyle="none", marker=_MARKERS[signal], markersize=10, color=canvas.LIMIT,
                zorder=5, markeredgecolor="white", label=name, clip_on=False,
            )  # fmt: skip
    return shares


def _revisions(axes: Axes, points: Sequence[Point], revisions: Sequence[tuple[date, str]]) -> None:
    from matplotlib import dates

    kit: Any = dates
    first, last = points[0].begins, points[-1].begins + _WEEK
    for day, label in revisions:
        if first < day < last:
            axes.axvline(kit.date2num(day), color=canvas.INK, linewidth=0.9, dashes=(2, 2))
            late = (day - first) > 0.6 * (last - first)
            axes.text(
                kit.date2num(day), 0.98, f" {label} ", fontsize=8, va="top", color=canvas.INK,
                ha="right" if late else "left",
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip


def _axis(points: Sequence[Point | None]) -> Any:
    known = [p.begins for p in points if p is not None]
    return [*known, known[-1] + _WEEK]


def _weeks(axes: Any, points: Sequence[Point], *, narrow: bool) -> None:
    from matplotlib import dates

    kit: Any = dates
    count = 3 if narrow else _MOST_LABELS
    step = max(-(-len(points) // count), 1)
    shown = points[::step]
    axes.set_xticks(
        [kit.date2num(p.begins) + _WEEK.days / 2 for p in shown], [_day(p.begins) for p in shown]
    )
    axes.set_xlim(points[0].begins, points[-1].begins + _WEEK)
    axes.set_xlabel("week that begins on")


def _day(day: date) -> str:
    return day.strftime("%-d %b %Y") if day.month == 1 else day.strftime("%-d %b")
