"""One assessment as a picture, by name: for the page, for print and for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from cds.assess.assessment import Assessment, DoseOption
from cds.report.plots import canvas, course, interval, labs, level

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Shape(StrEnum):
    """For a page or paper, or for a telephone held upright."""

    WIDE = "wide"
    NARROW = "narrow"


SIZES = {Shape.WIDE: (7.6, 3.7), Shape.NARROW: (3.7, 4.3)}


class Request(Struct, frozen=True):
    """What is to be drawn."""

    assessment: Assessment
    shape: Shape
    imagined: DoseOption | None = None
    sample_h: float | None = None

    @property
    def narrow(self) -> bool:
        """Whether there is little room."""
        return self.shape is Shape.NARROW


class Drawing(Struct, frozen=True):
    """One kind of picture."""

    title: str
    draw: Callable[[Request], Figure]
    describe: Callable[[Request], str]
    can_draw: Callable[[Assessment], bool]
    """Whether there is anything to draw, without drawing it."""

    def words(self, assessment: Assessment, imagined: DoseOption | None = None) -> str:
        """The picture in words."""
        return self.describe(Request(assessment, Shape.WIDE, imagined))


FIGURES: Mapping[str, Drawing] = {
    "level": Drawing(
        "The days around the level",
        lambda r: level.draw(r.assessment, *SIZES[r.shape], narrow=r.narrow),
        lambda r: level.describe(r.assessment),
        level.can_draw,
    ),
    "interval": Drawing(
        "Doses compared over one interval",
        lambda r: interval.draw(
            r.assessment,
            *SIZES[r.shape],
            narrow=r.narrow,
            imagined=r.imagined,
            sample_h=r.sample_h,
        ),
        lambda r: interval.describe(r.assessment, r.imagined),
        interval.can_draw,
    ),
    "course": Drawing(
        "Levels and doses over the course",
        lambda r: course.draw(r.assessment, *SIZES[r.shape], narrow=r.narrow),
        lambda r: course.describe(r.assessment),
        course.can_draw,
    ),
    "labs": Drawing(
        "Results over the course",
        lambda r: labs.draw(r.assessment, SIZES[r.shape][0], narrow=r.narrow),
        lambda r: labs.describe(r.assessment),
        labs.can_draw,
    ),
}


def picture(
    assessment: Assessment,
    figure: str = "level",
    *,
    shape: Shape = Shape.WIDE,
    imagined: DoseOption | None = None,
    sample_h: float | None = None,
) -> str | None:
    """Return one picture as SVG, or None when this assessment has nothing to draw in it."""
    drawing = FIGURES[figure]
    if not drawing.can_draw(assessment):
        return None
    request = Request(assessment, shape, imagined, sample_h)
    name = f"{figure}-{shape}"
    with canvas.drawing(name):
        return canvas.finished(
            drawing.draw(request),
            name=name,
            title=drawing.title,
            description=drawing.describe(request),
        )
