"""How long a claim holds, how long to settle, how long to wait after a failure, when to give up."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from msgspec import Struct

LONGEST_SETTLE: Final = timedelta(seconds=5)
_SHORTEST_WAIT: Final = timedelta(seconds=1)
_LONGEST_WAIT: Final = timedelta(hours=1)
_FEWEST_ATTEMPTS: Final = 20


class Patience(Struct, frozen=True):
    """How long a claim holds, how long to settle, and when to give up."""

    lease: timedelta = timedelta(seconds=60)
    settle: timedelta = timedelta(seconds=0.5)
    give_up: timedelta = timedelta(hours=72)

    def wait_after(self, attempts: int, failing: timedelta, rng: random.Random) -> timedelta:
        """Seconds doubling up to an hour, spread so that rows do not come back all at once.

        No longer than it has been failing, because every new reason is an attempt too and would
        let the last one wait long; and no longer than the attempts say, because the time it has
        been failing is wrong after a clock was set.
        """
        doubled = timedelta(seconds=2.0 ** min(attempts - 1, 12))
        wait = min(doubled, max(abs(failing), _SHORTEST_WAIT), _LONGEST_WAIT)
        return wait * rng.uniform(0.75, 1.0)

    def is_over(self, attempts: int, failing: timedelta) -> bool:
        """Whether to give up: both time and attempts must have run out.

        So that a clock that is set forward by days gives nothing up.
        """
        return failing >= self.give_up and attempts >= _FEWEST_ATTEMPTS
