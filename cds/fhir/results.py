"""What all Observations have in common: which report counts, when it was sampled, its unit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from cds.clinical.level import Comparator, ResultStatus
from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.clinical.units import UnitError, canonical_unit, convert, dimension_of
from cds.fhir.elements import UCUM, Element, element, elements, number, reference_of, text
from cds.fhir.problems import ReadError
from cds.fhir.times import moment, span

_RANK: Final = {
    "preliminary": 1,
    "final": 2,
    "amended": 3,
    "corrected": 4,
}
_COUNTING: Final = {status: ResultStatus(status) for status in _RANK}
_WRITTEN_RANGE: Final = re.compile(
    r"(?:\d+(?:\.\d+)?\s*(?:-|–|to)|<=?|≤|up to)\s*(?P<high>\d+(?:\.\d+)?)(?P<unit>[^\d,.].*)?",
    re.IGNORECASE | re.ASCII,
)
GIGA: Final = frozenset({"G/L", "G/l"})
"""So laboratories in France and Switzerland write 10*9/L; of a protein the same signs are g/L."""
_COUNT: Final = dimension_of("10*9/L")
_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)

T = TypeVar("T")
_Identifier = tuple[str, str]
_Recency = tuple[datetime, datetime, int, str]


class Measured(Struct, frozen=True):
    """A Quantity as stated: value, unit as shown, UCUM unit if it is accepted, comparator."""

    value: Decimal
    shown_unit: str | None
    unit: str | None
    comparator: Comparator | None


def counting_status(observation: Element) -> ResultStatus | None:
    """The status if the result counts, else None (registered, cancelled, withdrawn, unknown)."""
    status = text(observation, "status")
    return _COUNTING.get(status) if status is not None else None


def latest_reports(
    observations: Iterable[tuple[Element, T]], zone: ZoneInfo, problems: list[Problem]
) -> list[tuple[Element, T, bool]]:
    """Each Observation with what is known of it, and whether no later report replaces it.

    A laboratory that amends a result may send a second resource under the same identifier; only
    the latest counts. Withdrawn reports never displace one that stands. One whose identity is
    malformed becomes a Problem.
    """
    sound: list[tuple[Element, T, _Identifier | None]] = []
    best: dict[_Identifier, tuple[_Recency, Element]] = {}
    for observation, known in observations:
        identifier = None
        if "identifier" in observation:
            try:
                identifier = _identifier(observation)
                if identifier is not None and counting_status(observation) is not None:
                    recency = _recency(observation, zone)
                    if identifier not in best or recency > best[identifier][0]:
                        best[identifier] = recency, observation
            except ReadError as error:
                problems.append(error.as_problem(reference_of(observation)))
                continue
        sound.append((observation, known, identifier))
    return [
        (observation, known, identifier not in best or best[identifier][1] is observation)
        for observation, known, identifier in sound
    ]


def measured(quantity: Element) -> Measured:
    """A Quantity, its unit only if code and words agree.

    Raises ReadError if there is no number, if unit and code disagree or the comparator is unknown.
    """
    value = number(quantity, "value")
    if value is None:
        raise ReadError("lab-value-unreadable", "The result has no value.", "valueQuantity.value")
    stated = text(quantity, "comparator")
    try:
        comparator = Comparator(stated) if stated is not None else None
    except ValueError:
        message = f"The comparator {str(stated)[:10]!r} is not one FHIR defines."
        raise ReadError("lab-value-unreadable", message, "valueQuantity.comparator") from None
    shown = text(quantity, "unit") or text(quantity, "code")
    return Measured(value, shown, quantity_unit(quantity), comparator)


def quantity_unit(quantity: Element) -> str | None:
    """The UCUM unit of a Quantity, or None if it is missing or not accepted.

    Raises ReadError if the code and the words are different units: the code is what computers
    read and the words are what the person saw, and neither may win silently.
    """
    written, code = text(quantity, "unit"), text(quantity, "code")
    system = text(quantity, "system")
    if written == code and system in {UCUM, None}:  # as most
        return _accepted(code) if code else None
    by_code = _accepted(code) if code and system in {UCUM, None} else None
    by_words = _accepted(written) if written else None
    if written in GIGA and by_code is not None and dimension_of(by_code) == _COUNT:
        by_words = by_code
    if by_code and by_words and by_code != by_words and not _equal(by_code, by_words):
        message = f"The unit is shown as {written!r} but coded as {code!r}."
        raise ReadError("level-unit-conflict", message, "valueQuantity")
    if code and by_code is None and system == UCUM:
        return None  # a unit code we do not accept is not outvoted by its words
    return by_code or by_words


def sampled_at(observation: Element, zone: ZoneInfo) -> Moment | None:
    """The time the value belongs to: a stated instant, or the end of a period.

    `issued` is when the result was reported and is never used.
    """
    at = moment(observation, "effectiveDateTime", zone)
    at = at or moment(observation, "effectiveInstant", zone)
    if at is not None:
        return at
    during = span(observation, "effectivePeriod", zone)
    return (during.end or during.start) if during is not None else None


def upper_limit(observation: Element, unit: str, molar_mass: float | None) -> float | None:
    """The laboratory's upper limit of normal in `unit`, if exactly one is stated."""
    if "referenceRange" not in observation:
        return None
    found: set[float] = set()
    for reference_range in elements(observation, "referenceRange"):
        if not _is_normal_range(reference_range):
            continue
        high = element(reference_range, "high")
        if high is not None:
            value = number(high, "value")
            stated = quantity_unit(high) if ("unit" in high or "code" in high) else None
        else:
            value, stated = _written_high(text(reference_range, "text") or "")
        stated = stated or quantity_unit(element(observation, "valueQuantity") or {})
        if value is None or stated is None:
            continue
        try:
            found.add(convert(value, stated, unit, molar_mass))
        except UnitError:
            continue  # a range in another dimension limits nothing
    return found.pop() if len(found) == 1 else None


def _written_high(written: str) -> tuple[Decimal | None, str | None]:
    """The upper end of a range in plain words (`0 - 40 U/L`, `< 40`) and its unit, if it has one.

    A number with a comma is not read: it may be a decimal or thousands.
    """
    found = _WRITTEN_RANGE.fullmatch(written.strip())
    if found is None:
        return None, None
    unit = (found["unit"] or "").strip()
    accepted = _accepted(unit) if unit else None
    return (Decimal(found["high"]), accepted) if accepted or not unit else (None, None)


def _is_normal_range(reference_range: Element) -> bool:
    """Whether a range is the normal one; FHIR: a range without a type is."""
    kind = element(reference_range, "type")
    if kind is None:
        return True
    codes = {text(coding, "code") for coding in elements(kind, "coding")}
    return "normal" in codes


def _identifier(observation: Element) -> _Identifier | None:
    for identifier in elements(observation, "identifier"):
        value = text(identifier, "value")
        if value:
            return text(identifier, "system") or "", value
    return None


def _recency(observation: Element, zone: ZoneInfo) -> _Recency:
    issued = moment(observation, "issued", zone)
    meta = element(observation, "meta") or {}
    updated = moment(meta, "lastUpdated", zone)
    rank = _RANK.get(str(observation.get("status")), 0)
    return (
        issued.at if issued else _LONG_AGO,
        updated.at if updated else _LONG_AGO,
        rank,
        str(observation.get("id", "")),
    )


def _accepted(unit: str) -> str | None:
    try:
        return canonical_unit(unit)
    except UnitError:
        return None


def _equal(one: str, other: str) -> bool:
    return dimension_of(one) == dimension_of(other) and convert(1, one, other) == 1.0
