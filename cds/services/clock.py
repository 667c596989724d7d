"""The only place that reads the clock; everything below is told the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Clock(Struct, frozen=True):
    """Wall time for clinical facts and tokens, monotonic seconds for budgets."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
