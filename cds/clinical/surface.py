"""Body surface area from weight and height."""

from __future__ import annotations

import math
from typing import Final

_BODY_MASS_INDEX: Final = (7.0, 100.0)
"""kg/m2; no body is beyond them: one of weight and height is a slip of decimal, unit or field."""


def mosteller_m2(kg: float, cm: float) -> float | None:
    """Body surface area in m2 by Mosteller, sqrt(cm x kg / 3600) (N Engl J Med 1987;317:1098).

    None for a weight and a height that no body has together.
    """
    least, most = _BODY_MASS_INDEX
    if kg <= 0 or cm <= 0 or not least <= kg / (cm / 100.0) ** 2 <= most:
        return None
    return math.sqrt(kg * cm / 3600.0)
