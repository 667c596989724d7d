"""What reading a request collects: what is wrong, and what was normalised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from cds.services.call import Deviation
from cds.web.errors import Issue, Refusal

ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]+")
"""Not `.` or `..`, which lead elsewhere in an address."""
LONGEST_ID = 1024
"""FHIR says 64 characters; ids of 150 to 200 are normal for one large vendor."""

_IDENTIFYING = frozenset({"hook", "hookInstance", "patientId"})
"""Fields whose emptiness is refused as what it is, not read as absence."""
_OLDER_FHIR = frozenset(
    {
        "MedicationOrder",
        "DiagnosticOrder",
        "DeviceUseRequest",
        "ProcedureRequest",
        "ReferralRequest",
    }
)
"""Order types of DSTU2 and STU3 that do not exist in R4."""


class Reader(Struct):
    lenient: bool
    issues: list[Issue] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)

    def wrong(self, place: str, message: str, code: str = "invalid") -> None:
        """Record what cannot be accepted."""
        self.issues.append(Issue(code, message, place))

    def deviates(self, place: str, code: str, message: str) -> bool:
        """Record a deviation; True when it may be normalised."""
        if not self.lenient:
            self.wrong(place, message)
            return False
        self.deviations.append(Deviation(code, place))
        return True

    def without_nulls(self, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Drop explicit nulls: in CDS Hooks a field without a value is omitted."""
        kept = {}
        for key, value in values.items():
            if value is None:
                self.deviates(f"{prefix}{_shown(key)}", "null-value", "must be omitted, not null")
            elif value == "" and key not in _IDENTIFYING:
                self.deviates(f"{prefix}{_shown(key)}", "empty-value", "must be omitted, not empty")
            else:
                kept[key] = value
        return kept

    def required_object(self, body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
        """Return the object called `name`, or record why there is none."""
        value = body.get(name)
        if isinstance(value, dict):
            return value
        if value is None:
            self.wrong(name, f"{name} is required", "required")
        else:
            self.wrong(name, f"{name} must be an object", "structure")
        return None

    def refusal(self) -> Refusal:
        """Return everything that is wrong as one refusal."""
        return Refusal(400, "request", self.issues)


def type_of(resource: Any) -> str | None:
    """The type of a resource, or None for what is none."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return kind if isinstance(kind, str) and kind else None


def as_bundle(value: Any) -> dict[str, Any] | None:
    """The Bundle that is meant by entries without a type or by resources alone; None for others."""
    if isinstance(value, dict) and "resourceType" not in value:
        entries = value.get("entry")
    elif isinstance(value, list) and all(type_of(resource) for resource in value):
        entries = [{"resource": resource} for resource in value]
    else:
        return None
    if not isinstance(entries, list) or not entries:
        return None
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def is_older_fhir(resource: Any) -> bool:
    """Whether a resource is of a type that R4 no longer has."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    return isinstance(kind, str) and kind in _OLDER_FHIR


def _shown(key: str) -> str:
    """A field name that is safe to repeat: names come from the request too."""
    return key if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", key) else "(unreadable name)"
