"""From a matplotlib figure to an SVG that any page may show.

matplotlib writes inline styles, which a strict content security policy blocks, and ids that collide
when two pictures stand on one page. Both are rewritten here, so the same file serves the page, the
printer and the terminal user. matplotlib is imported by the functions that draw: a process that
never shows a picture does not pay for it.
"""

from __future__ import annotations

import io
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_FONTS = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_FONT = re.compile(r"^(?:(italic|oblique)\s+)?(?:(\d+|bold)\s+)?([\d.]+px)\b")

INK = "#1d2b36"
QUIET = "#5d6b75"
RULE = "#c9d1d6"
# Okabe and Ito's colours, told apart by colour-blind readers; shapes and dashes say the same again.
POSTERIOR = "#0072b2"
PRIOR = "#8a8f94"
TARGET = "#009e73"
LIMIT = "#d55e00"
BEST = "#b46a00"
IMAGINED = "#8f2d6b"

_ONE_AT_A_TIME = threading.Lock()
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "path.simplify": True,
}


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Hold the style of our pictures; `name` makes the ids of a picture its own.

    matplotlib keeps its style for the whole process and makes ticks only when it writes, so one
    picture is drawn at a time, from its first line to the last.
    """
    from matplotlib import rc_context

    style: Any = {**_STYLE, "svg.hashsalt": name}
    with _ONE_AT_A_TIME, rc_context(style):
        yield


def new_figure(width_in: float, height_in: float, rows: tuple[float, ...]) -> tuple[Figure, Any]:
    """Return a figure with one panel per entry of `rows`, which are relative heights."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasSVG(figure)
    panels = figure.subplots(
        len(rows), 1, sharex=True, squeeze=False,
        gridspec_kw={"height_ratios": rows, "hspace": 0.18},
    )  # fmt: skip
    return figure, [panel[0] for panel in panels]


def finished(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Return the figure as SVG."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _rewritten(written.getvalue(), name, title, description)


def place_panels(figure: Figure, legend_rows: int, label_lines: int) -> None:
    """Leave room in inches for labels and legend: laying out by trial would draw everything twice.

    `label_lines` counts the lines of text below the lowest axis.
    """
    width, height = figure.get_size_inches()
    below = 0.12 + 0.17 * label_lines + 0.19 * legend_rows
    figure.subplots_adjust(
        left=0.68 / width, right=1 - 0.12 / width, top=1 - 0.1 / height, bottom=below / height
    )


def quiet_grid(axes: Axes) -> None:
    """Draw thin horizontal lines behind everything."""
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.6)


def _rewritten(text: str, name: str, title: str, description: str) -> str:
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(text)  # noqa: S314 - written by matplotlib a moment ago
    for parent in [*root.iter()]:
        for child in [*parent]:
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    used = _references(root)
    for element in root.iter():
        _spread_style(element)
        _own_ids(element, used, name)
    root.attrib.update({
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-description",
        "font-family": _FONTS,
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    })  # fmt: skip
    about = ET.Element(f"{{{SVG}}}desc", {"id": f"{name}-description"})
    about.text = description
    root.insert(0, about)
    heading = ET.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    return ET.tostring(root, encoding="unicode")


def _references(root: ET.Element) -> set[str]:
    """Ids that something in the picture points at."""
    found: set[str] = set()
    for element in root.iter():
        for value in element.attrib.values():
            found.update(re.findall(r"url\(#([^)]+)\)", value))
        found.add(element.get(f"{{{_XLINK}}}href", "").removeprefix("#"))
    return found


def _spread_style(element: ET.Element) -> None:
    """Turn `style="fill: x"` into `fill="x"`: attributes need no permission of a page's policy."""
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = (piece.strip() for piece in part.partition(":"))
        if key == "font":
            found = _FONT.match(value)
            if found:
                slant, weight, size = found.groups()
                element.set("font-size", size)
                if weight:
                    element.set("font-weight", weight)
                if slant:
                    element.set("font-style", slant)
        elif key and key != "font-family":
            element.set(key, value)


def _own_ids(element: ET.Element, used: set[str], name: str) -> None:
    identifier = element.attrib.pop("id", None)
    if identifier in used:
        element.set("id", f"{name}-{identifier}")
    for key, value in element.attrib.items():
        if "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
    link = element.get(f"{{{_XLINK}}}href")
    if link is not None and link.startswith("#"):
        element.set(f"{{{_XLINK}}}href", f"#{name}-{link[1:]}")
