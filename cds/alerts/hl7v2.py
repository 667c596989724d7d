"""HL7 v2 ORU^R01 -> Observations, and the acknowledgement: as most laboratories send results.

Only results about the monitored drug are taken. The time of the sample is the time of the
Observation (OBX-14, else OBR-7; the specimen's own time, SPM-17, goes along), never the time of the
report. A correction under the same order number is the same Observation in another version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final

import hl7  # type: ignore[import-untyped]
from msgspec import Struct

from cds.alerts.sightings import version_of
from cds.clinical.codes import Code
from cds.clinical.terminology import Drug
from cds.fhir.mentions import mentions

_SYSTEMS: Final = MappingProxyType({"LN": "http://loinc.org", "SCT": "http://snomed.info/sct"})
_STATUS: Final = MappingProxyType(
    {
        "F": "final",
        "U": "final",
        "C": "corrected",
        "A": "amended",
        "P": "preliminary",
        "R": "preliminary",
        "S": "preliminary",
        "I": "registered",
        "D": "entered-in-error",
        "W": "entered-in-error",
        "X": "cancelled",
    }
)
_TIME: Final = re.compile(
    r"(?P<date>\d{8})((?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(\.\d{1,4})?)?"
    r"(?P<zone>[+-]\d{4})?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"([<>]=?)?\s*(-?\d{1,12}(\.\d{1,12})?)", re.ASCII)
_MOST_SEGMENTS: Final = 2000
_MOST_PARTS: Final = 50_000
"""Fields, repetitions and components of a message; each costs more than its bytes."""


class MessageError(Exception):
    """A message that cannot be taken; `ack` is AR (will never be) or AE (not now)."""

    def __init__(self, why: str, ack: str = "AR") -> None:
        super().__init__(why)
        self.why = why
        self.ack = ack


class Result(Struct, frozen=True):
    """One result of the message as an Observation without its patient."""

    resource: dict[str, Any]
    version: str


class Message(Struct, frozen=True):
    """What is taken from an ORU^R01."""

    sender: str
    control_id: str
    patient_number: str
    birth_date: str
    """ISO, as far as the message gives it; empty when it does not."""
    results: tuple[Result, ...]


@dataclass(slots=True)
class _Order:
    """The OBR, SPM and OBX segments that belong together."""

    request: Any
    results: list[tuple[Any, list[str]]] = field(default_factory=list)
    specimen: Any = None


def read_message(text: str, drug: Drug) -> Message:
    """Read an ORU^R01. Raises MessageError; never anything else."""
    segments = _segments(text)
    header = segments[0]
    kind = _field(header, 9).split("^")
    if kind[:2] != ["ORU", "R01"]:
        raise MessageError("only ORU^R01 is accepted")
    if any(_name(segment) == "MSH" for segment in segments[1:]):
        # Only the first would be acknowledged, and results of one be read as those of another.
        raise MessageError("there are several messages in one frame; send one in each")
    patients = [segment for segment in segments if _name(segment) == "PID"]
    patient = patients[0] if patients else None
    number = _number_of(patient)
    if any(_number_of(other) != number for other in patients):
        # The standard allows it, and a result under the wrong patient is the worst that can happen.
        raise MessageError("the message is about several patients; send one for each")
    results = tuple(
        result
        for order in _orders(segments[1:])
        for observed, notes in order.results
        if (result := _result(order, observed, notes, drug)) is not None
    )
    if results and not number:
        raise MessageError("PID-3 names no patient")
    return Message(
        sender=f"{_field(header, 3)}|{_field(header, 4)}"[:120],
        control_id=_field(header, 10)[:60],
        patient_number=number,
        birth_date=(_time(_field(patient, 7)) or "")[:10],
        results=results,
    )


def acknowledgement(text: str, code: str, at: str, why: str = "") -> str:
    """The ACK for a message; it repeats nothing of it but the addresses and the control id."""
    fields = text.split("\r", maxsplit=1)[0].split("|") if text.startswith("MSH|") else []
    fields += [""] * (12 - len(fields))
    sender, facility, receiver, place = (_plain(fields[n]) for n in (2, 3, 4, 5))
    control = _plain(fields[9])
    header = f"MSH|^~\\&|{receiver}|{place}|{sender}|{facility}|{at}||ACK^R01^ACK|{control}|P|2.5.1"
    return f"{header}\rMSA|{code}|{control}{'|' + why if why else ''}\r"


def _number_of(patient: Any) -> str:
    return _component(_field(patient, 3).split("~")[0], 0)


def _plain(value: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "", value)[:60]


def _segments(text: str) -> list[Any]:
    if text.count("\r") > _MOST_SEGMENTS:
        raise MessageError("the message has too many segments")
    if sum(map(text.count, "|^~&")) > _MOST_PARTS:
        raise MessageError("the message has too many fields")
    # The encoding characters everyone uses; others are legal, and nobody sends them.
    if not text.startswith("MSH|^~\\&|"):
        raise MessageError("the message does not begin with MSH|^~\\&|")
    try:
        return [segment for segment in hl7.parse(text) if len(segment) and _name(segment)]
    except (hl7.HL7Exception, IndexError, ValueError, KeyError, RecursionError):
        raise MessageError("the message cannot be read") from None


def _orders(segments: list[Any]) -> Iterator[_Order]:
    order: _Order | None = None
    for segment in segments:
        name = _name(segment)
        if name == "OBR":
            if order is not None:
                yield order
            order = _Order(segment)
        elif order is not None and name == "OBX":
            order.results.append((segment, []))
        elif order is not None and name == "NTE" and order.results:
            order.results[-1][1].append(_unescaped(_field(segment, 3)))
        elif order is not None and name == "SPM":
            order.specimen = segment
    if order is not None:
        yield order


def _result(order: _Order, observed: Any, notes: list[str], drug: Drug) -> Result | None:
    code = _concept(_field(observed, 3))
    known = any(Code(c["system"], c["code"]) in drug.level_codes for c in code["coding"])
    if not known and not mentions([code], drug):
        return None
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": _identity(order, observed),
        "status": _STATUS.get(_field(observed, 11), "unknown"),
        "code": code,
        **_value(observed),
    }
    sampled = _time(_field(observed, 14)) or _time(_field(order.request, 7))
    if sampled:
        resource["effectiveDateTime"] = sampled
    issued = _time(_field(order.request, 22))
    if issued and len(issued) > 19:
        resource["issued"] = issued
    if notes:
        resource["note"] = [{"text": note} for note in notes if note]
    collected = _time(_component(_field(order.specimen, 17), 0)) if order.specimen else None
    if collected:
        specimen = {
            "resourceType": "Specimen",
            "id": "specimen",
            "type": {"text": _component(_unescaped(_field(order.specimen, 4)), 1)},
            "collection": {"collectedDateTime": collected},
        }
        resource["contained"] = [specimen]
        resource["specimen"] = {"reference": "#specimen"}
    return Result(resource, version_of(resource))


def _identity(order: _Order, observed: Any) -> str:
    """The same for every version of one result: by the laboratory's number of the order."""
    number = _field(order.request, 3) or _field(order.request, 2) or _field(order.request, 7)
    parts = (number, _component(_field(observed, 3), 0), _field(observed, 4))
    return "hl7-" + hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]


def _concept(written: str) -> dict[str, Any]:
    parts = [_unescaped(part) for part in written.split("^")] + [""] * 6
    coding = [
        {"system": _SYSTEMS.get(system, f"urn:hl7-v2:{system}"), "code": code}
        for code, system in ((parts[0], parts[2]), (parts[3], parts[5]))
        if code
    ]
    shown = " | ".join(part for part in (parts[1], parts[4]) if part)
    return {"coding": coding} | ({"text": shown} if shown else {})


def _value(observed: Any) -> dict[str, Any]:
    written = _unescaped(_field(observed, 5)).replace("^", "")
    number = _NUMBER.fullmatch(written.strip())
    unit = _component(_unescaped(_field(observed, 6)), 0)
    if number is None:
        return {"valueString": written} if written else {}
    try:
        value = Decimal(number[2])
    except InvalidOperation:
        return {"valueString": written}
    quantity: dict[str, Any] = {"value": value}
    if number[1]:
        quantity["comparator"] = number[1]
    if unit:
        quantity["unit"] = unit
    return {"valueQuantity": quantity}


def _time(written: str) -> str | None:
    """A FHIR dateTime, as precise and as zoned as the message's."""
    found = _TIME.fullmatch(written.strip())
    if found is None:
        return None
    day = f"{found['date'][:4]}-{found['date'][4:6]}-{found['date'][6:]}"
    if not found["hour"]:
        return day
    zone = f"{found['zone'][:3]}:{found['zone'][3:]}" if found["zone"] else ""
    return f"{day}T{found['hour']}:{found['minute']}:{found['second'] or '00'}{zone}"


def _name(segment: Any) -> str:
    return str(segment[0])


def _field(segment: Any, number: int) -> str:
    """A field as written; empty when the segment is shorter."""
    if segment is None or number >= len(segment):
        return ""
    return str(segment[number])


def _component(written: str, number: int) -> str:
    parts = written.split("^")
    return parts[number].strip() if number < len(parts) else ""


def _unescaped(written: str) -> str:
    r"""The text of a field: \T\ is an ampersand, \.br\ a line."""
    for escape, meaning in (
        ("\\F\\", "|"),
        ("\\S\\", "^"),
        ("\\T\\", "&"),
        ("\\R\\", "~"),
        ("\\.br\\", "\n"),
        ("\\E\\", "\\"),
    ):
        written = written.replace(escape, meaning)
    return written
