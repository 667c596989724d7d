"""A clock that stands still and a desk that only listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cds.services.answer import Answered
from cds.services.call import Caller, HookCall
from cds.services.clock import Clock

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@dataclass
class FakeClock:
    """Time that moves only when told."""

    now: datetime = NOW
    seconds: float = 1000.0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.seconds)

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class FakeDesk:
    """Keeps the calls it gets and answers as told."""

    calls: list[tuple[HookCall, Caller]] = field(default_factory=list)
    cards: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def answer(
        self, call: HookCall, caller: Caller, _knowledge: object, *, started: float
    ) -> Answered:
        self.calls.append((call, caller))
        if self.error:
            raise self.error
        return Answered({"cards": self.cards}, "silent", None)

    @property
    def last(self) -> HookCall:
        return self.calls[-1][0]
