"""A JSON object -> a HookCall, strictly or leniently as the client is registered.

Strict answers 400 and names every field that departs from CDS Hooks 2.0. Lenient normalises what
real clients are known to send, records each deviation, and refuses only what cannot be understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds.clinical.setting import Occasion
from cds.services.call import Deviation, FhirAccess, HookCall
from cds.web.contexts import CONTEXTS, ContextShape
from cds.web.errors import Issue, Refusal

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ID = re.compile(r"[A-Za-z0-9\-.]+")
_REFERENCE = re.compile(r"[A-Za-z]+/[^/\s]+")
_URL = re.compile(r"https?://\S+")
_LONGEST_ID = 1024
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


def read_call(
    body: Mapping[str, Any],
    *,
    service: str,
    hooks: Mapping[Occasion, Collection[str]],
    lenient: bool,
) -> HookCall:
    """Check and normalise one request for `service`; `hooks` maps its hooks to prefetch keys."""
    reader = _Reader(lenient)
    body = reader.without_nulls(body, "")
    hook = _hook(reader, body, hooks)
    instance = _hook_instance(reader, body)
    context = reader.required_object(body, "context")
    fhir = _fhir_access(reader, body)
    _extension(reader, body)
    prefetch = _prefetch(reader, body, hooks.get(hook, ()) if hook else ())
    if hook is None or context is None:
        raise reader.refusal()
    shape = CONTEXTS[hook]
    context = reader.without_nulls(context, "context.")
    patient = _patient_id(reader, context)
    user = _user_id(reader, context, shape)
    context = _orders(reader, context, shape)
    _same_patient(reader, body, patient)
    if reader.issues or patient is None or instance is None:
        raise reader.refusal()
    encounter = context.get("encounterId")
    return HookCall(
        service=service,
        hook=hook,
        hook_instance=instance,
        patient_id=patient,
        context={**context, "patientId": patient},
        user_id=user,
        encounter_id=encounter if isinstance(encounter, str) else None,
        prefetch=prefetch,
        fhir=fhir,
        deviations=tuple(reader.deviations),
    )


@dataclass
class _Reader:
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


def _hook(
    reader: _Reader, body: Mapping[str, Any], hooks: Mapping[Occasion, Collection[str]]
) -> Occasion | None:
    value = body.get("hook")
    if value is None:
        reader.wrong("hook", "hook is required", "required")
        return None
    found = next((hook for hook in hooks if hook.value == value), None)
    if found is None:
        names = " or ".join(hook.value for hook in hooks)
        reader.wrong("hook", f"this service answers {names}")
    return found


def _hook_instance(reader: _Reader, body: Mapping[str, Any]) -> str | None:
    value = body.get("hookInstance")
    if value is None:
        reader.wrong("hookInstance", "hookInstance is required", "required")
        return None
    if not isinstance(value, str) or not value or len(value) > _LONGEST_ID:
        reader.wrong("hookInstance", "hookInstance must be a UUID")
        return None
    if not _UUID.fullmatch(value) and not reader.deviates(
        "hookInstance", "hook-instance-not-uuid", "hookInstance must be a UUID"
    ):
        return None
    return value


def _patient_id(reader: _Reader, context: Mapping[str, Any]) -> str | None:
    place = "context.patientId"
    value = context.get("patientId")
    if value is None:
        reader.wrong(place, "patientId is required", "required")
        return None
    if not isinstance(value, str):
        reader.wrong(place, "patientId must be a string")
        return None
    if value.startswith("Patient/") and reader.deviates(
        place, "patient-id-is-reference", "patientId must be the bare id"
    ):
        value = value.removeprefix("Patient/")
    if not _ID.fullmatch(value) or len(value) > _LONGEST_ID:
        reader.wrong(place, "patientId must be a FHIR id")
        return None
    return value


def _user_id(reader: _Reader, context: Mapping[str, Any], shape: ContextShape) -> str | None:
    place = "context.userId"
    value = context.get("userId")
    if value is None:
        if shape.user_required:
            reader.deviates(place, "user-missing", "userId is required")
        return None
    kind, _, identifier = value.partition("/") if isinstance(value, str) else ("", "", "")
    valid = kind in shape.users and _ID.fullmatch(identifier) and len(value) <= _LONGEST_ID
    if valid:
        return value
    expected = " or ".join(f"{name}/id" for name in shape.users)
    reader.deviates(place, "user-unexpected", f"userId must be {expected}")
    return None


def _orders(reader: _Reader, context: dict[str, Any], shape: ContextShape) -> dict[str, Any]:
    """Check the orders and the selections among them."""
    if shape.orders is None:
        return context
    place = f"context.{shape.orders}"
    orders = context.get(shape.orders)
    if orders is None:
        reader.wrong(place, f"{shape.orders} is required", "required")
        return context
    if not isinstance(orders, dict) or orders.get("resourceType") != shape.orders_are:
        found = orders.get("resourceType") if isinstance(orders, dict) else None
        if found in _OLDER_FHIR:
            reader.wrong(place, "an order of an older FHIR version; this service reads FHIR R4")
        else:
            reader.wrong(place, f"{shape.orders} must be a {shape.orders_are}", "structure")
        return context
    if shape.orders_are != "Bundle":
        return context
    references = _bundle_references(reader, orders, place)
    if shape.selections:
        return _selections(reader, context, references)
    return context


def _bundle_references(reader: _Reader, bundle: Mapping[str, Any], place: str) -> set[str]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        reader.wrong(f"{place}.entry", "entry must be an array", "structure")
        return set()
    references = set()
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        where = f"{place}.entry[{index}].resource"
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(kind, str) or not kind:
            reader.wrong(where, "each entry must carry a resource", "structure")
        elif kind in _OLDER_FHIR:
            reader.wrong(where, "an order of an older FHIR version; this service reads FHIR R4")
        else:
            references.add(f"{kind}/{resource.get('id')}")
    return references


def _selections(reader: _Reader, context: dict[str, Any], references: set[str]) -> dict[str, Any]:
    place = "context.selections"
    value = context.get("selections")
    if value is None or value == []:
        # Without a selection every draft is what the user is looking at.
        reader.deviates(place, "selections-missing", "selections must name at least one order")
        return {**context, "selections": sorted(references)}
    strings = isinstance(value, list) and all(
        isinstance(item, str) and _REFERENCE.fullmatch(item) for item in value
    )
    if not strings:
        reader.wrong(place, "selections must be an array of references such as MedicationRequest/1")
        return context
    if not set(value) <= references:
        reader.deviates(place, "selection-unknown", "selections must point into draftOrders")
    return context


def _fhir_access(reader: _Reader, body: Mapping[str, Any]) -> FhirAccess | None:
    server = body.get("fhirServer")
    authorization = body.get("fhirAuthorization")
    if server is None:
        if authorization is not None:
            reader.wrong("fhirServer", "fhirAuthorization needs a fhirServer", "required")
        return None
    if not isinstance(server, str) or not _URL.fullmatch(server):
        reader.wrong("fhirServer", "fhirServer must be an http(s) URL")
        return None
    if authorization is None:
        return FhirAccess(server)
    if not isinstance(authorization, dict):
        reader.wrong("fhirAuthorization", "fhirAuthorization must be an object", "structure")
        return None
    return FhirAccess(server, _access_token(reader, authorization))


def _access_token(reader: _Reader, authorization: Mapping[str, Any]) -> str | None:
    token = authorization.get("access_token")
    # The token goes into a header: anything but visible ASCII could start another one.
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        reader.wrong("fhirAuthorization.access_token", "access_token is required", "required")
        return None
    if authorization.get("token_type") != "Bearer":
        reader.deviates("fhirAuthorization.token_type", "token-type", "token_type must be Bearer")
    expires = authorization.get("expires_in")
    if isinstance(expires, int) and expires <= 0:
        reader.wrong("fhirAuthorization.expires_in", "the access token has expired")
    elif not isinstance(expires, int) or isinstance(expires, bool):
        reader.deviates(
            "fhirAuthorization.expires_in", "token-lifetime", "expires_in must be an integer"
        )
    for name in ("scope", "subject"):
        if not isinstance(authorization.get(name), str) or not authorization[name]:
            reader.deviates(f"fhirAuthorization.{name}", f"token-{name}", f"{name} is required")
    return token


def _same_patient(reader: _Reader, body: Mapping[str, Any], patient: str | None) -> None:
    """A token for one patient must not come with the context of another."""
    authorization = body.get("fhirAuthorization")
    granted = authorization.get("patient") if isinstance(authorization, dict) else None
    if patient is None or granted is None:
        return
    if not isinstance(granted, str) or granted.removeprefix("Patient/") != patient:
        reader.wrong("fhirAuthorization.patient", "the token is for another patient")


def _extension(reader: _Reader, body: Mapping[str, Any]) -> None:
    if "extension" in body and not isinstance(body["extension"], dict):
        reader.deviates("extension", "extension-not-object", "extension must be an object")


def _prefetch(
    reader: _Reader, body: Mapping[str, Any], declared: Collection[str]
) -> dict[str, Any]:
    """Keep what stands under declared keys; null stays null, it means that there is no data."""
    value = body.get("prefetch")
    if value is None:
        return {}
    if not isinstance(value, dict):
        if not reader.deviates("prefetch", "prefetch-not-object", "prefetch must be an object"):
            return {}
        return {}
    kept = {}
    for key in declared:
        if key not in value:
            continue
        item = value[key]
        if isinstance(item, dict) and "resourceType" not in item and "resource" in item:
            place = f"prefetch.{key}"
            if not reader.deviates(place, "prefetch-wrapped", "must be the resource itself"):
                continue
            if not _succeeded(item.get("response")):
                continue
            item = item["resource"]
        elif item is not None and not _is_resource(item):
            reader.deviations.append(Deviation("prefetch-not-resource", f"prefetch.{key}"))
        _refuse_older_fhir(reader, item, f"prefetch.{key}")
        kept[key] = item
    return kept


def _refuse_older_fhir(reader: _Reader, item: Any, place: str) -> None:
    if not isinstance(item, dict):
        return
    kinds = [item.get("resourceType")]
    entries = item.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        kinds.append(resource.get("resourceType") if isinstance(resource, dict) else None)
    if any(isinstance(kind, str) and kind in _OLDER_FHIR for kind in kinds):
        reader.wrong(place, "resources of an older FHIR version; this service reads FHIR R4")


def _succeeded(response: Any) -> bool:
    """Whether a pre-1.0 prefetch wrapper reports success (or nothing)."""
    status = response.get("status") if isinstance(response, dict) else None
    return status is None or str(status).startswith("2")


def _is_resource(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("resourceType"), str)


def _shown(key: str) -> str:
    """A field name that is safe to repeat: names come from the request too."""
    return key if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", key) else "(unreadable name)"
