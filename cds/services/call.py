"""A hook call that was read and checked, without anything of HTTP or Flask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from cds.clinical.setting import Jurisdiction, Occasion


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """The client's FHIR server for this call; the token lives as long as the call."""

    base: str
    token: str | None = field(default=None, repr=False)


class Deviation(Struct, frozen=True):
    """A departure from CDS Hooks that was read leniently; `code` is from a closed set."""

    code: str
    field: str


class HookCall(Struct, frozen=True):
    """One call of a service: who, about whom, and what came along.

    `prefetch` holds what the client sent under the keys that the service declares: a resource,
    None (the client says there is no data) or something else that is no resource.
    """

    service: str
    hook: Occasion
    hook_instance: str
    patient_id: str
    context: Mapping[str, Any]
    user_id: str | None = None
    encounter_id: str | None = None
    prefetch: Mapping[str, Any] = {}
    fhir: FhirAccess | None = None
    deviations: tuple[Deviation, ...] = ()


class Caller(Struct, frozen=True):
    """Who calls: a registered client, or the open loopback."""

    id: str
    fhir_base: str | None
    lenient: bool
    jurisdiction: Jurisdiction
    time_zone: str
    body_bytes: int
    open_loopback: bool = False
