"""The candidate regimens as rows: tablets, expected trough, and the chances below, in and above."""

from __future__ import annotations

from msgspec import Struct

from cds.assess.assessment import DoseOption, Exposure
from cds.report import words


class DoseRow(Struct, frozen=True):
    """One regimen as the report shows it."""

    option: DoseOption
    marks: tuple[str, ...]
    """Why a reader looks at this row: current, ordered, best fit, what-if."""

    @property
    def name(self) -> str:
        """The regimen in words."""
        return words.regimen(self.option)

    @property
    def tablets(self) -> str:
        """What to take each time."""
        return words.tablets(self.option)

    @property
    def chances(self) -> tuple[tuple[str, float, str], ...]:
        """(below | in | above, percent, percent in words), which add up to one whole."""
        option = self.option
        shares = (option.percent_below, option.percent_in, option.percent_above)
        return tuple(
            (name, share, words.percent(share))
            for name, share in zip(("below", "in", "above"), shares, strict=True)
        )


def dose_rows(exposure: Exposure, imagined: DoseOption | None = None) -> tuple[DoseRow, ...]:
    """Return every regimen that was weighed, by rising daily dose, each once."""
    found: list[DoseOption] = []
    for option in (*exposure.options, *_extra(exposure), *([imagined] if imagined else [])):
        if not any(same(option, other) for other in found):
            found.append(option)
    found.sort(key=lambda option: (option.daily_mg, -option.interval_h))
    return tuple(DoseRow(option, _marks(option, exposure, imagined)) for option in found)


def same(one: DoseOption, other: DoseOption) -> bool:
    """Whether two options are the same regimen."""
    return (one.amount_mg, one.interval_h) == (other.amount_mg, other.interval_h)


def _extra(exposure: Exposure) -> list[DoseOption]:
    """The current and the ordered regimen, should the ranking have left them out."""
    return [*([exposure.current] if exposure.current else []), *exposure.ordered.values()]


def _marks(option: DoseOption, exposure: Exposure, imagined: DoseOption | None) -> tuple[str, ...]:
    current = exposure.current
    holds = {
        "current": option.is_current or (current is not None and same(option, current)),
        "ordered": option.is_ordered or any(same(option, o) for o in exposure.ordered.values()),
        "best fit": option.is_best,
        "what-if": imagined is not None and same(option, imagined),
    }
    return tuple(mark for mark, it_does in holds.items() if it_does)
