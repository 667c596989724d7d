"""The prefetched data, as far as the service declared their keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cds.services.call import Deviation
from cds.web.reading.reader import Reader, as_bundle, is_older_fhir, type_of


def read_prefetch(
    reader: Reader, body: Mapping[str, Any], declared: Collection[str]
) -> dict[str, Any]:
    """Keep what stands under declared keys; null stays null, it means that there is no data."""
    value = body.get("prefetch")
    if value is None:
        return {}
    if not isinstance(value, dict):
        reader.deviates("prefetch", "prefetch-not-object", "prefetch must be an object")
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
        elif item is not None and type_of(item) is None:
            meant = as_bundle(item) if reader.lenient else None
            code = "prefetch-not-resource" if meant is None else "bundle-untyped"
            reader.deviations.append(Deviation(code, f"prefetch.{key}"))
            item = item if meant is None else meant
        _refuse_older_fhir(reader, item, f"prefetch.{key}")
        kept[key] = item
    return kept


def _refuse_older_fhir(reader: Reader, item: Any, place: str) -> None:
    entries = item.get("entry") if isinstance(item, dict) else None
    inside = [
        entry["resource"]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and "resource" in entry
    ]
    if any(map(is_older_fhir, (item, *inside))):
        reader.wrong(place, "resources of an older FHIR version; this service reads FHIR R4")


def _succeeded(response: Any) -> bool:
    """Whether a pre-1.0 prefetch wrapper reports success (or nothing)."""
    status = response.get("status") if isinstance(response, dict) else None
    return status is None or str(status).startswith("2")
