"""What the number of a dose or of a strength counts: mass, volume, tablets, or mg per m2 or kg."""

from __future__ import annotations

from typing import Final

from cds.clinical.units import UnitError, convert, dimension_of
from cds.fhir.elements import UCUM, Element, text
from cds.fhir.problems import ReadError
from cds.fhir.vocabulary import words

COUNT_UNITS: Final = words(
    "tab tabs tab(s) tablet tablets tablet(s) {tbl} {tablet} {tab} tbl cap caps capsule capsules "
    "capsule(s) {capsule} {cap} cap(s) tablette tabletten kapsel unit {unit} piece 1 pill pills "
    "{pill} tbl. tabl tabl. filmtablette filmtabletten kapseln hartkapsel hartkapseln stück stk "
    "stk. {stück} {stueck} comprimé comprimés cp cpr gélule gélules comprimido comprimidos cápsula "
    "cápsulas compressa compresse tableta tabletas 錠 カプセル"
) | {"oral tablet", "oral capsule", "film-coated tablet"}
_COUNT_SYSTEMS: Final = frozenset({"http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm"})
_COUNT_CODES: Final = frozenset({"TAB", "ORTAB", "CAP", "ORCAP", "ERTAB", "FCTAB", "CHEWTAB"})


def unit_kind(quantity: Element) -> tuple[str, str]:
    """What a dose quantity counts: (`mass`|`volume`|`count`|`per-area`|`per-mass`, UCUM unit).

    Raises ReadError if the unit is missing, unknown, or its code and its words disagree.
    """
    unit, code, system = (text(quantity, name) for name in ("unit", "code", "system"))
    if not unit and not code:
        raise ReadError("dose-unit-missing", "The dose has a number but no unit.", "doseQuantity")
    if code in _COUNT_CODES and (system in _COUNT_SYSTEMS or system is None):
        by_code: tuple[str, str] | None = ("count", "1")
    else:
        by_code = _kind(code) if code and system in {UCUM, None} else None
    by_unit = _kind(unit) if unit else None
    if by_code and by_unit and by_code != by_unit and not _same_number(by_code, by_unit):
        message = f"The dose is in {unit!r}, but its unit code is {code!r}."
        raise ReadError("dose-unit-conflict", message, "doseQuantity")
    found = by_code or by_unit
    if found is None:
        message = f"The dose unit {(unit or code or '')[:20]!r} is not one this service reads."
        raise ReadError("dose-unit-unknown", message, "doseQuantity")
    return found


def _kind(unit: str) -> tuple[str, str] | None:
    squeezed = unit.strip().lower()
    if squeezed in COUNT_UNITS:
        return "count", "1"
    compact = squeezed.replace(" ", "").replace("²", "2").replace("^", "")
    if compact in {"mg/m2", "mg/sqm", "mg/m2/dose", "mg/{m2}"}:
        return "per-area", "mg/m2"
    if compact in {"mg/kg", "mg/kg/dose"}:
        return "per-mass", "mg/kg"
    try:
        dimension = dimension_of(unit)
    except UnitError:
        return None
    return (dimension, unit) if dimension in {"mass", "volume"} else None


def _same_number(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if one[0] != other[0]:
        return False
    return one[0] == "count" or convert(1, one[1], other[1]) == 1.0
