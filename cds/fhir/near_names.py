"""Misspelt medicines: a word one letter away from a known name is said, never taken for it.

Only words long enough that one letter hardly makes another medicine, with the same first letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

_LONG_ENOUGH: Final = 8


def near_name(said: str, names: Iterable[str]) -> str | None:
    """The first known name that a word of the text is one letter away from, or None."""
    known = _by_initial(tuple(names))
    words = {w for w in re.findall(r"[^\W\d_]+", said.lower()) if len(w) >= _LONG_ENOUGH - 1}
    near = (
        (place, name)
        for word in words
        for place, name in known.get(word[0], ())
        if _one_letter_apart(word, name)
    )
    return min(near, default=(0, None))[1]


@lru_cache(maxsize=4)
def _by_initial(names: tuple[str, ...]) -> Mapping[str, Sequence[tuple[int, str]]]:
    """Names that are long enough by their first letter, each with its place among all."""
    found: dict[str, list[tuple[int, str]]] = {}
    for place, name in enumerate(names):
        if len(name) >= _LONG_ENOUGH:
            found.setdefault(name[0], []).append((place, name))
    return found


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
