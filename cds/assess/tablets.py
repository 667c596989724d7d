"""Which doses tablets can make."""

from __future__ import annotations

import math
from collections.abc import Sequence


def makeable_step(strengths_mg: Sequence[float]) -> float:
    """The smallest difference between doses of whole tablets: the smallest strength, in mg."""
    return min(strengths_mg)


def tablets_for(amount_mg: float, strengths_mg: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """(strength, number) of whole tablets, largest strength first; () if they cannot make it."""
    left, counts = amount_mg, []
    for strength in sorted(strengths_mg, reverse=True):
        number = math.floor(left / strength + 1e-9)
        if number:
            counts.append((float(strength), float(number)))
            left -= number * strength
    return tuple(counts) if abs(left) < 1e-6 else ()


def nearest_makeable(amount_mg: float, strengths_mg: Sequence[float]) -> float:
    """The amount of whole tablets nearest to `amount_mg`, at least one tablet."""
    step = makeable_step(strengths_mg)
    return max(step, round(amount_mg / step) * step)


def rounded_down(amount_mg: float, strengths_mg: Sequence[float], limit_mg: float) -> float | None:
    """The largest amount of whole tablets not above `amount_mg` and the limit, None if none."""
    step = makeable_step(strengths_mg)
    amount = math.floor(min(amount_mg, limit_mg) / step + 1e-9) * step
    return amount or None
