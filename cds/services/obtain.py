"""Get the data a decision needs: what was sent, and what must be fetched within the deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds.services.call import Caller, HookCall
from cds.services.clock import Clock
from cds.services.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Missing:
    """A required prefetch key that was neither sent nor obtainable, and why."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Obtained:
    """What is there, what is not, and where it came from."""

    resources: Mapping[str, Any]
    unavailable: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    sources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Obtainer:
    clock: Clock

    def obtain(
        self, call: HookCall, caller: Caller, knowledge: Knowledge, deadline: float
    ) -> Obtained:
        return Obtained(dict(call.prefetch))
