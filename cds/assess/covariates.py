"""The patient in the words of the population models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cds.assess.body import body_surface
from cds.assess.course import Therapy
from cds.clinical.record import PatientRecord
from cds.clinical.units import convert

# Covariate of the models -> (key of the result that carries it, the model's unit).
_FROM_LABS: Mapping[str, tuple[str, str]] = {
    "weight_kg": ("weight", "kg"),
    "height_cm": ("height", "cm"),
    "albumin_g_l": ("albumin", "g/L"),
    "agp_g_l": ("agp", "g/L"),
    "hemoglobin_g_dl": ("hemoglobin", "g/dL"),
    "wbc_10e9_l": ("wbc", "10*9/L"),
    "egfr_ml_min": ("egfr", "mL/min/{1.73_m2}"),
}
_INDICATIONS = {"cml": "cml", "gist": "gist", "all": "all"}


def covariates_of(record: PatientRecord, therapy: Therapy, now: datetime) -> dict[str, float | str]:
    """Covariates that are known; what a model needs beyond them it imputes visibly or refuses.

    Age is that at the last full hour (less than a millionth apart in clearance), so that two
    questions about one patient within minutes are the same question.
    """
    found: dict[str, float | str] = {}
    for name, (key, unit) in _FROM_LABS.items():
        lab = record.latest_lab(key)
        if lab is not None and lab.value is not None and lab.comparator is None:
            found[name] = convert(lab.value, lab.unit, unit)
    surface = body_surface(record)
    if surface is not None:
        found["bsa_m2"] = surface.m2
    age = record.person.age_years(now.replace(minute=0, second=0, microsecond=0))
    if age is not None:
        found["age_years"] = age
    if record.person.sex is not None:
        found["sex"] = record.person.sex.value
    if therapy.course.disease is not None:
        found["indication"] = _INDICATIONS.get(therapy.course.disease, "other")
    return found
