"""Get the data a decision needs: what was sent, and what must be fetched within the deadline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import httpx
from msgspec import Struct, field

from cds.fhir.client import FhirClient, ForbiddenBaseError, allowed_base
from cds.fhir.mentions import mentions
from cds.fhir.obtain import Obtained, obtain
from cds.fhir.prefetch import PrefetchKey, prefetch_keys
from cds.rulebook import Rulebook, once_per_rulebook
from cds.services.call import Caller, HookCall
from cds.services.clock import Clock
from cds.telemetry import log

_SHARE_FOR_FETCHING = 0.7
"""Part of the time that may be spent on fetching; the rest belongs to deciding and recording."""


class Missing(Struct, frozen=True):
    """A required prefetch key that was neither sent nor obtainable, and why."""

    key: str
    why: str


class Data(Struct, frozen=True):
    """What is there, what is not, and where it came from."""

    resources: Mapping[str, Any]
    unavailable: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    sources: Mapping[str, int] = field(default_factory=dict)
    concerned: bool = True
    """False when the monitored drug is mentioned nowhere."""


class Obtainer(Struct, frozen=True):
    """Completes the prefetch of calls. `transport` replaces the network in tests."""

    clock: Clock
    transport: httpx.BaseTransport | None = None

    def obtain(
        self, call: HookCall, caller: Caller, rulebook: Rulebook, *, started: float, deadline: float
    ) -> Data:
        """Obtain everything that can be had in time."""
        client = self._client(call, caller, started + (deadline - started) * _SHARE_FOR_FETCHING)
        drug = rulebook.drug
        with client or nullcontext():
            obtained = obtain(
                _keys(rulebook),
                call.prefetch,
                call.context,
                client,
                is_concerned=lambda resources: mentions(resources, drug),
            )
        return _data(obtained, refused=call.fhir is not None and client is None)

    def _client(self, call: HookCall, caller: Caller, until: float) -> FhirClient | None:
        """A client for the registered FHIR server, or None when there is none to be asked."""
        if call.fhir is None:
            return None
        registered = [caller.fhir_base] if caller.fhir_base else []
        try:
            base = allowed_base(call.fhir.base, registered, loopback=caller.open_loopback)
        except ForbiddenBaseError:
            # No connection is made. The address itself is not logged: a request wrote it.
            log().warning("fhir-base-refused", client=caller.id)
            return None
        return FhirClient(
            base,
            until,
            call.fhir.token,
            transport=self.transport,
            monotonic=self.clock.monotonic,
        )


@once_per_rulebook
def _keys(rulebook: Rulebook) -> tuple[PrefetchKey, ...]:
    return prefetch_keys(rulebook.drug, rulebook.terminology)


def _data(obtained: Obtained, *, refused: bool) -> Data:
    missing = [Missing(key, _why(obtained.unavailable[key], refused)) for key in obtained.missing]
    return Data(
        resources=obtained.resources,
        unavailable=obtained.unavailable,
        missing=tuple(missing),
        sources=Counter(str(source) for source in obtained.sources.values()),
        concerned=obtained.concerned,
    )


def _why(reason: str, refused: bool) -> str:
    if refused:
        return f"{reason}; fhirServer is not the one this client is registered with"
    return reason
