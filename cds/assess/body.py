"""Body measures that dosing needs and that must often be computed from others."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from cds.clinical.moment import Moment
from cds.clinical.person import Sex
from cds.clinical.record import PatientRecord
from cds.clinical.surface import mosteller_m2

# Creatinine: umol/L in 1 mg/dL.
_UMOL_L_PER_MG_DL = 88.4


class BodySurface(Struct, frozen=True):
    """Body surface area in m2, when it was measured and how it was obtained."""

    m2: float
    measured: Moment
    basis: str
    """`reported` or `mosteller`."""


def body_surface(record: PatientRecord) -> BodySurface | None:
    """The most recent of a reported area and one from weight and height.

    From weight (kg) and height (cm) by Mosteller; its date is that of the older of the two
    measurements. Weight and height that no body has together give none.
    """
    reported = record.latest_lab("bsa")
    weight, height = record.latest_lab("weight"), record.latest_lab("height")
    found = []
    if reported is not None and reported.value:
        found.append(BodySurface(reported.value, reported.at, "reported"))
    if weight is not None and height is not None and weight.value and height.value:
        older = min(weight.at, height.at, key=lambda m: m.at)
        area = mosteller_m2(weight.value, height.value)
        if area is not None:
            found.append(BodySurface(area, older, "mosteller"))
    return max(found, key=lambda b: b.measured.at, default=None)


class Clearance(Struct, frozen=True):
    """Creatinine clearance in mL/min, from when, and the result it rests on."""

    ml_min: float
    measured: Moment
    reference: str


def creatinine_clearance(record: PatientRecord, now: datetime) -> Clearance | None:
    """The more recent of a measured creatinine clearance and one by formula.

    An estimated filtration rate per body surface does not stand in for it, because the limits of
    the label are clearances.
    """
    measured, creatinine = record.latest_lab("crcl"), record.latest_lab("creatinine")
    if measured is not None and measured.value is not None:
        newer = creatinine is not None and creatinine.at.at > measured.at.at
        computed = _cockcroft_gault(record, now) if newer else None
        return computed or Clearance(measured.value, measured.at, measured.reference)
    return _cockcroft_gault(record, now)


def _cockcroft_gault(record: PatientRecord, now: datetime) -> Clearance | None:
    """(140 - age) x kg / (72 x creatinine in mg/dL), x 0.85 in women [Nephron 1976;16:31]."""
    creatinine, weight = record.latest_lab("creatinine"), record.latest_lab("weight")
    age, sex = record.person.age_years(now), record.person.sex
    if creatinine is None or not creatinine.value or weight is None or not weight.value:
        return None
    if age is None or sex is None:
        return None
    mg_dl = creatinine.value / _UMOL_L_PER_MG_DL
    factor = 0.85 if sex is Sex.FEMALE else 1.0
    ml_min = max(140.0 - age, 0.0) * weight.value * factor / (72.0 * mg_dl)
    return Clearance(ml_min, creatinine.at, creatinine.reference)
