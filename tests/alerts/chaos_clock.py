"""A clock that the chaos sets while processes run: two numbers in a file that all of them map.

`base` is how far the time of the whole site, laboratory and FHIR server included, is from this
machine's; `step` how far the clock of receiver and worker is from the site's. Only the wall clock
can be set: seconds that are measured go on, as they do on a real machine.
"""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

ZONE = "Europe/Berlin"
CHANGES = (
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2027, 3, 28, 1, tzinfo=UTC),
)
"""When summer time ends and when it begins there."""


class SetClock:
    """The clock of the site and of ours, in seconds beside this machine's."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._held = mmap.mmap(file.fileno(), 16)

    def begin(self, at: datetime) -> None:
        """Let it be this time at the site."""
        struct.pack_into("d", self._held, 0, (at - datetime.now(UTC)).total_seconds())

    def step(self, seconds: float) -> None:
        """Set our clock this far ahead of the site's, or behind it."""
        struct.pack_into("d", self._held, 8, seconds)

    def site(self) -> datetime:
        """The true time."""
        base, _ = struct.unpack("dd", self._held)
        return datetime.now(UTC) + timedelta(seconds=base)

    def ours(self) -> datetime:
        """What receiver and worker believe."""
        base, step = struct.unpack("dd", self._held)
        return datetime.now(UTC) + timedelta(seconds=base + step)
