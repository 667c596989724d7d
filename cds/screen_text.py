"""Words from elsewhere on a terminal: what they say is shown, what would drive it is not."""

from __future__ import annotations

import re

_DRIVING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""


def undriving(text: str) -> str:
    """Return text without control characters: a name must not drive the terminal."""
    return text if text.isprintable() else _DRIVING.sub("", text)
