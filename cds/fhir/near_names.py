"""Misspelt medicines: a word one letter away from a known name is said, never taken for it.

Only words long enough that one letter hardly makes another medicine, with the same first letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LONG_ENOUGH: Final = 8


def near_name(said: str, names: Iterable[str]) -> str | None:
    """The first known name that a word of the text is one letter away from, or None."""
    words = [w for w in re.findall(r"[^\W\d_]+", said.lower()) if len(w) >= _LONG_ENOUGH - 1]
    for name in names:
        for word in words:
            if len(name) >= _LONG_ENOUGH and word[0] == name[0] and _one_letter_apart(word, name):
                return name
    return None


def _one_letter_apart(one: str, other: str) -> bool:
    """Whether one letter was left out, added, changed, or swapped with its neighbour."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, rest_other = one[start:], other[start:]
    if len(rest) == len(rest_other):
        swapped = rest[1:2] + rest[:1] + rest[2:]
        return rest[1:] == rest_other[1:] or swapped == rest_other
    longer, shorter = sorted((rest, rest_other), key=len, reverse=True)
    return longer[1:] == shorter
