"""What every picture shares: the target band, the bands of a curve, observed levels, dose ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cds.assess.policy import Target
from cds.report import words
from cds.report.curves import Ribbon
from cds.report.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDE, _LOW, _HIGH, _TOP = 0, 1, 3, 4  # rows of curves.PROBS


def target_band(axes: Axes, target: Target) -> None:
    """Shade the trough target; the upper limit gets a line of its own."""
    low, high = words.number(target.low_ng_ml), words.number(target.high_ng_ml)
    axes.axhspan(
        target.low_ng_ml, target.high_ng_ml, color=canvas.TARGET, alpha=0.10, linewidth=0,
        label=f"trough target {low} to {high}",
    )  # fmt: skip
    axes.axhline(target.low_ng_ml, color=canvas.TARGET, linewidth=0.9)
    axes.axhline(
        target.high_ng_ml, color=canvas.LIMIT, linewidth=1.0, dashes=(6, 2, 1, 2),
        label="upper limit of the target",
    )  # fmt: skip


def ribbon(axes: Axes, x: Any, curve: Ribbon, colour: str, name: str) -> None:
    """Draw a curve with its 5-95 and 25-75 % bands."""
    q = curve.quantiles
    axes.fill_between(x, q[_WIDE], q[_TOP], color=colour, alpha=0.14, linewidth=0)
    axes.fill_between(x, q[_LOW], q[_HIGH], color=colour, alpha=0.24, linewidth=0)
    axes.plot(x, curve.line, color=colour, linewidth=1.8, label=name)


def outline(axes: Axes, x: Any, curve: Ribbon, colour: str, name: str) -> None:
    """Draw a curve dashed, its 5-95 % band only as thin lines: it is there to compare with."""
    q = curve.quantiles
    axes.plot(x, q[_WIDE + 2], color=colour, linewidth=1.3, dashes=(5, 2), label=name)
    for edge in (q[_WIDE], q[_TOP]):
        axes.plot(x, edge, color=colour, linewidth=0.7, dashes=(1, 2))


def observed(axes: Axes, x: Any, y: Sequence[float], *, used: bool) -> None:
    """Mark levels: filled ones were used, open ones were not."""
    if len(y):
        axes.plot(
            x, y, linestyle="none", marker="o" if used else "D", markersize=7 if used else 6,
            markerfacecolor=canvas.INK if used else "white", markeredgecolor=canvas.INK,
            markeredgewidth=1.2, zorder=5,
            label="level, used by the model" if used else "level, not used by the model",
        )  # fmt: skip


def dose_ticks(axes: Axes, x: Any) -> None:
    """Mark doses by ticks on the lower edge."""
    if len(x):
        axes.plot(
            x, [0.0] * len(x), linestyle="none", marker="|", markersize=11, markeredgewidth=1.6,
            color=canvas.QUIET, clip_on=False, label="dose",
            transform=axes.get_xaxis_transform(), zorder=4,
        )  # fmt: skip


def legend_below(axes: Axes, columns: int, label_lines: int) -> None:
    """Put the legend under the picture, where it covers nothing, and make room for it."""
    handles, labels = axes.get_legend_handles_labels()
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure")
    width = float(figure.get_size_inches()[0])
    figure.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0.3 / width, 0.0), ncols=columns,
        handlelength=2.2, frameon=False, fontsize=8.0, borderaxespad=0.2, labelspacing=0.35,
    )  # fmt: skip
    canvas.place_panels(figure, -(-len(labels) // columns), label_lines)


def from_zero(axes: Axes, *highest: float) -> None:
    """Let the axis of concentration begin at zero and leave room above."""
    axes.set_ylim(0.0, 1.08 * max(highest))
