"""The context of a call: about whom, by whom, and which orders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cds.fhir.elements import local_reference, reference_of
from cds.web.contexts import ContextShape
from cds.web.reading.reader import ID, LONGEST_ID, Reader, as_bundle, is_older_fhir, type_of

_REFERENCE = re.compile(r"[A-Za-z]+/[^/\s]+")
_OLDER = "an order of an older FHIR version; this service reads FHIR R4"


def read_patient_id(reader: Reader, context: Mapping[str, Any]) -> str | None:
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
    if not ID.fullmatch(value) or len(value) > LONGEST_ID:
        reader.wrong(place, "patientId must be a FHIR id")
        return None
    return value


def read_user_id(reader: Reader, context: Mapping[str, Any], shape: ContextShape) -> str | None:
    place = "context.userId"
    value = context.get("userId")
    if value is None:
        if shape.user_required:
            reader.deviates(place, "user-missing", "userId is required")
        return None
    user = value if isinstance(value, str) else ""
    kind, _, identifier = user.partition("/")
    if kind in shape.users and ID.fullmatch(identifier) and len(user) <= LONGEST_ID:
        return user
    expected = " or ".join(f"{name}/id" for name in shape.users)
    reader.deviates(place, "user-unexpected", f"userId must be {expected}")
    return None


def read_orders(reader: Reader, context: dict[str, Any], shape: ContextShape) -> dict[str, Any]:
    """Check the orders and the selections among them."""
    if shape.orders is None:
        return context
    place = f"context.{shape.orders}"
    orders = context.get(shape.orders)
    if orders is None:
        reader.wrong(place, f"{shape.orders} is required", "required")
        return context
    if is_older_fhir(orders):
        reader.wrong(place, _OLDER)
        return context
    meant = as_bundle(orders) if shape.orders_are == "Bundle" else None
    if meant is not None:
        if not reader.deviates(place, "bundle-untyped", f"{shape.orders} must be a Bundle"):
            return context
        orders = meant
        context = {**context, shape.orders: meant}
    if type_of(orders) != shape.orders_are:
        reader.wrong(place, f"{shape.orders} must be a {shape.orders_are}", "structure")
        return context
    if shape.orders_are != "Bundle":
        return context
    names = _names_of_drafts(reader, orders, place)
    if shape.selections:
        return _selections(reader, context, names)
    return context


def _names_of_drafts(reader: Reader, bundle: Mapping[str, Any], place: str) -> dict[str, str]:
    """What each draft may be called, by reference or by its entry's address -> its reference."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        reader.wrong(f"{place}.entry", "entry must be an array", "structure")
        return {}
    names = {}
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        where = f"{place}.entry[{index}].resource"
        if resource is None or type_of(resource) is None:
            reader.wrong(where, "each entry must carry a resource", "structure")
        elif is_older_fhir(resource):
            reader.wrong(where, _OLDER)
        else:
            reference = names[reference_of(resource)] = reference_of(resource)
            address = entry.get("fullUrl")
            if isinstance(address, str) and address:
                names[address] = reference
    return names


def _selections(
    reader: Reader, context: dict[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    place = "context.selections"
    value = context.get("selections")
    references = set(names.values())
    if value is None or value == []:
        # Without a selection every draft is what the user is looking at.
        reader.deviates(place, "selections-missing", "selections must name at least one order")
        return {**context, "selections": sorted(references)}
    wanted = "selections must be an array of references such as MedicationRequest/1"
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        reader.wrong(place, wanted)
        return context
    by_id: dict[str, list[str]] = defaultdict(list)
    for reference in references:
        by_id[reference.partition("/")[2]].append(reference)
    chosen = [_reference(item, names, by_id) for item in value]
    if not all(one in references or _REFERENCE.fullmatch(one) for one in chosen):
        reader.wrong(place, wanted)
        return context
    if chosen != value:
        reader.deviates(place, "selection-not-relative", wanted)
    if not set(chosen) <= references:
        reader.deviates(place, "selection-unknown", "selections must point into draftOrders")
    return {**context, "selections": chosen}


def _reference(selected: str, names: Mapping[str, str], by_id: Mapping[str, Sequence[str]]) -> str:
    """The draft that is meant, also by its id alone, a version, or an absolute or URN address."""
    named = names.get(selected) or names.get(local_reference(selected))
    meant = [named] if named else by_id.get(selected, ())
    return meant[0] if len(meant) == 1 else selected
