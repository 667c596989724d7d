"""Whether raw resources mention the monitored drug at all: the cheap question before the dear one.

Most hook calls concern patients who never took the drug; they are answered without the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cds.clinical.terminology import Drug


def mentions(resources: Iterable[Any], drug: Drug) -> bool:
    """Whether a code or a name of the drug stands anywhere in the resources.

    May say yes too often (a refuted allergy), never no too often: codes are compared without their
    system and names inside any text. Never raises.
    """
    codes, name = _wanted(drug.names, _codes(drug))
    pending: list[Any] = list(resources)
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if value in codes or name.search(value):
                return True
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


def _codes(drug: Drug) -> frozenset[str]:
    known = (*drug.ingredient_codes, *drug.products, *drug.level_codes)
    return frozenset(code.code for code in known)


@lru_cache(maxsize=8)
def _wanted(names: frozenset[str], codes: frozenset[str]) -> tuple[frozenset[str], re.Pattern[str]]:
    pattern = "|".join(re.escape(name) for name in sorted(names))
    return codes, re.compile(pattern or r"(?!)", re.IGNORECASE)
