"""A JSON object -> a HookCall, strictly or leniently as the client is registered.

Strict answers 400 and names every field that departs from CDS Hooks 2.0. Lenient normalises what
real clients are known to send, records each deviation, and refuses only what cannot be understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from cds.clinical.setting import Occasion
from cds.services.call import HookCall
from cds.web.contexts import CONTEXTS
from cds.web.reading.access import check_same_patient, read_fhir_access
from cds.web.reading.context import read_orders, read_patient_id, read_user_id
from cds.web.reading.prefetch import read_prefetch
from cds.web.reading.reader import LONGEST_ID, Reader

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read_call(
    body: Mapping[str, Any],
    *,
    service: str,
    hooks: Mapping[Occasion, Collection[str]],
    lenient: bool,
) -> HookCall:
    """Check and normalise one request for `service`; `hooks` maps its hooks to prefetch keys."""
    reader = Reader(lenient)
    body = reader.without_nulls(body, "")
    hook = _hook(reader, body, hooks)
    instance = _hook_instance(reader, body)
    context = reader.required_object(body, "context")
    fhir = read_fhir_access(reader, body)
    _extension(reader, body)
    prefetch = read_prefetch(reader, body, hooks.get(hook, ()) if hook else ())
    if hook is None or context is None:
        raise reader.refusal()
    shape = CONTEXTS[hook]
    context = reader.without_nulls(context, "context.")
    patient = read_patient_id(reader, context)
    user = read_user_id(reader, context, shape)
    context = read_orders(reader, context, shape)
    check_same_patient(reader, body, patient)
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


def _hook(
    reader: Reader, body: Mapping[str, Any], hooks: Mapping[Occasion, Collection[str]]
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


def _hook_instance(reader: Reader, body: Mapping[str, Any]) -> str | None:
    value = body.get("hookInstance")
    if value is None:
        reader.wrong("hookInstance", "hookInstance is required", "required")
        return None
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        reader.wrong("hookInstance", "hookInstance must be a UUID")
        return None
    if not _UUID.fullmatch(value) and not reader.deviates(
        "hookInstance", "hook-instance-not-uuid", "hookInstance must be a UUID"
    ):
        return None
    return value


def _extension(reader: Reader, body: Mapping[str, Any]) -> None:
    if "extension" in body and not isinstance(body["extension"], dict):
        reader.deviates("extension", "extension-not-object", "extension must be an object")
