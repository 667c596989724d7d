"""Whether raw resources mention the monitored drug at all: the cheap question before the dear one.

Most hook calls concern patients who never took the drug; they are answered without the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from cds.clinical.terminology import Drug

_LIKE_ASCII: Final = str.maketrans("ıİſK", "iisk")
"""Letters that are an ASCII letter in another case, to `re.IGNORECASE`."""


def mentions(resources: Iterable[Any], drug: Drug) -> bool:
    """Whether a code or a name of the drug stands anywhere in the resources.

    May say yes too often (a refuted allergy), never no too often: codes are compared without their
    system and names inside any text. Never raises.
    """
    codes = _codes(drug)
    name, stems = _name(drug.names), _stems(drug.names)
    for resource in reversed(list(resources)):  # orders being written come last
        plain, other = _texts(resource)
        if not (codes.isdisjoint(plain) and codes.isdisjoint(other)):
            return True
        said = "\n".join(plain).lower()
        if any(stem in said for stem in stems) or any(map(name.search, other)):
            return True
    return False


def _texts(resource: Any) -> tuple[list[str], list[str]]:
    """Every text in a resource: those in ASCII, which are many and searched as one; the others."""
    plain: list[str] = []
    other: list[str] = []
    pending: list[Any] = [resource]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            (plain if value.isascii() else other).append(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return plain, other


def _codes(drug: Drug) -> frozenset[str]:
    known = (*drug.ingredient_codes, *drug.products, *drug.level_codes)
    return frozenset(code.code for code in known)


@lru_cache(maxsize=8)
def _name(names: frozenset[str]) -> re.Pattern[str]:
    pattern = "|".join(re.escape(name) for name in sorted(names))
    return re.compile(pattern or r"(?!)", re.IGNORECASE)


@lru_cache(maxsize=8)
def _stems(names: frozenset[str]) -> tuple[str, ...]:
    """What an ASCII text that holds a name holds in lower case; a name in another is left out."""
    folded = {name.translate(_LIKE_ASCII).lower() for name in names}
    possible = [name for name in folded if name.isascii()]
    return tuple(name for name in possible if not any(o in name for o in possible if o != name))
