"""How much work something is, the same on every machine: calls of functions, Python's and C's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def calls_of(work: Callable[[], Any]) -> tuple[Any, int]:
    """What `work` returns, and how many calls it took."""
    calls = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        return work(), calls
    finally:
        sys.setprofile(before)
