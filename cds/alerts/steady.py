"""The wall clock, and whether somebody set it.

Leases end at a time, because whoever takes over may have been started since. A clock that is set
forward lets all of them end at once, in the hands of workers that are at work; two of them would
then do the same. So the clock is compared with seconds that are measured, and after a step nothing
is taken over until every lease given before it has ended by those seconds too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

_STEP_S: Final = 1.0
"""Less is how a clock is corrected that runs too fast or too slow."""


@dataclass
class WatchedClock:
    """Tells the time, and since when it has been told without a step; for one thread at a time."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    _last: tuple[datetime, float] | None = field(default=None, init=False)
    _steady_since: float = field(default=float("-inf"), init=False)

    def read(self) -> tuple[datetime, bool]:
        """The time, and whether the clock was set since it was last read, or never read before."""
        measured, now = self.monotonic(), self.now()
        before, self._last = self._last, (now, measured)
        if before is None:
            return now, True
        differ = (now - before[0]).total_seconds() - (measured - before[1])
        stepped = abs(differ) > _STEP_S
        if stepped:
            self._steady_since = measured
        return now, stepped

    def steady_s(self) -> float:
        """For how many seconds the clock has not been set, as far as we know."""
        return self.monotonic() - self._steady_since
