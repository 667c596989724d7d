"""What is harmless in how a resource is written, and is put right before the models see it.

Nothing is invented: spaces and empty values go, and where a time is incomplete only the models are
shown a complete one, to judge the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NAIVE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_SHORT_ZONE: Final = re.compile(
    r"(?P<minute>\d{4}-\d\d-\d\dT\d\d:\d\d)(?P<second>:\d\d(\.\d+)?)?(?P<zone>Z|[+-]\d\d:?\d\d)",
    re.ASCII,
)
_ZERO_DATE: Final = "0000-00-00"
"""What some databases write for no date; the readers leave it out (see `no_dates`)."""
_SHORT_TIME: Final = re.compile(r"\d\d:\d\d", re.ASCII)

MODIFIERS: Final = frozenset({"modifierExtension", "implicitRules"})
"""Elements that may change the meaning of what stands beside them."""


def tidy(value: Mapping[str, Any], modifiers: list[Any]) -> dict[str, Any]:
    """A copy without nulls and empty values, strings stripped; modifiers met are listed."""
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if key in MODIFIERS and item:
            modifiers.append(item)
        repaired = _trimmed(item) if type(item) is str else _tidied(item, modifiers)
        if repaired is not None:
            kept[key] = repaired
    return kept


def _tidied(value: Any, modifiers: list[Any]) -> Any:
    if isinstance(value, dict):
        return tidy(value, modifiers) or None
    if isinstance(value, list):
        items = [kept for item in value if (kept := _tidied(item, modifiers)) is not None]
        return items or None
    if isinstance(value, str):
        return _trimmed(value)
    return value


def _trimmed(value: str) -> str | None:
    """The string without surrounding spaces, and without NUL, with which interfaces pad fields."""
    return (value.replace("\0", "") if "\0" in value else value).strip() or None


def completed(shadow: dict[str, Any], loc: tuple[str | int, ...]) -> bool:
    """Make an incompletely written time or id acceptable to the models, in the shadow only.

    The readers see the original: nothing is invented, the models are merely asked about the rest.
    """
    holder, last = _holder(shadow, loc)
    if holder is None:
        return False
    value = holder[last]
    if loc == ("id",):
        holder[last] = "unusual-id"  # underscores and other signs do not make a result unusable
        return True
    if not isinstance(value, str):
        return False
    if loc[-2:] == ("valueQuantity", "value"):
        holder[last] = 0  # a result written as text (`1,72`) is a question about that result
        return True
    short = _SHORT_ZONE.fullmatch(value)
    if _NAIVE_TIME.fullmatch(value):
        holder[last] = (value if value.count(":") > 1 else value + ":00") + "Z"
    elif short:
        zone = (
            short["zone"] if short["zone"] == "Z" else f"{short['zone'][:3]}:{short['zone'][-2:]}"
        )
        holder[last] = short["minute"] + (short["second"] or ":00") + zone
    elif value.startswith(_ZERO_DATE):
        holder[last] = "0001-01-01"
    elif _SHORT_TIME.fullmatch(value):
        holder[last] = value + ":00"
    return bool(holder[last] != value)


def remove(root: dict[str, Any], loc: tuple[str | int, ...]) -> bool:
    """Take an element out that R4 does not know; False where a pydantic location leads nowhere."""
    holder, last = _holder(root, loc)
    if not isinstance(holder, dict):
        return False
    del holder[last]
    return True


def _holder(root: Any, loc: tuple[str | int, ...]) -> tuple[Any, Any]:
    """The container and key a pydantic location points to, or (None, None)."""
    if not loc:
        return None, None
    for step in loc[:-1]:
        root = _step(root, step)
    return (root, loc[-1]) if _step(root, loc[-1]) is not None else (None, None)


def _step(node: Any, step: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None
