"""What the model and the rules knew of the patient: covariates, laboratory results, medicines."""

from __future__ import annotations

from msgspec import Struct

from cds.assess.assessment import Assessment
from cds.clinical.labs import Lab
from cds.clinical.medication import Medicine
from cds.report import words
from cds.rulebook import Fact

_UNITS = {"kg": "kg", "cm": "cm", "years": "years", "m2": "m²", "g_dl": "g/dL", "g_l": "g/L"}
_SHOWN_RESULTS = 4


class Covariate(Struct, frozen=True):
    """One value that the model used."""

    name: str
    value: str
    imputed: bool
    """Not on record, so a typical value stands in."""


class LabRow(Struct, frozen=True):
    """One kind of result over time, oldest first."""

    name: str
    unit: str
    results: tuple[tuple[str, str], ...]
    """(date, value with comparator), the last few."""
    earlier: int


class MedicineRow(Struct, frozen=True):
    """Another medicine and what the interaction table says of it."""

    name: str
    state: str
    since: str
    until: str
    role: str


def covariates(assessment: Assessment) -> tuple[Covariate, ...]:
    """Return what the quoted model was told about the patient."""
    posterior = assessment.exposure.posterior
    if posterior is None:
        return ()
    imputed = dict(posterior.imputed)
    wanted = set(posterior.model.domain) | set(imputed)
    given = {name: value for name, value in posterior.case.covariates.items() if name in wanted}
    rows = [Covariate(_name(name), _value(name, value), False) for name, value in given.items()]
    rows += [Covariate(_name(name), _value(name, value), True) for name, value in imputed.items()]
    return tuple(rows)


def labs(assessment: Assessment) -> tuple[LabRow, ...]:
    """Return the results on record by kind, the last few of each."""
    zone = words.zone_of(assessment)
    by_key: dict[str, list[Lab]] = {}
    for lab in assessment.record.labs:
        by_key.setdefault(lab.key, []).append(lab)
    return tuple(
        LabRow(
            name=words.lab_name(key),
            unit=words.lab_unit(results[-1].unit),
            results=tuple(
                (words.day(lab.at.at, zone), _result(lab)) for lab in results[-_SHOWN_RESULTS:]
            ),
            earlier=max(len(results) - _SHOWN_RESULTS, 0),
        )
        for key, results in sorted(by_key.items())
    )


def medicines(assessment: Assessment) -> tuple[MedicineRow, ...]:
    """Return the other medicines, those that interact first."""
    roles = _roles(assessment.facts)
    zone = words.zone_of(assessment)
    rows = [
        MedicineRow(
            name=medicine.display,
            state="being ordered" if medicine.is_draft else str(medicine.state),
            since=words.moment(medicine.started, zone),
            until=words.moment(medicine.stopped, zone) if medicine.stopped else "",
            role=_role(medicine, roles),
        )
        for medicine in assessment.record.medicines
    ]
    return tuple(sorted(rows, key=lambda row: (not row.role, row.name)))


def _roles(facts: tuple[Fact, ...]) -> dict[str, str]:
    """Ingredient -> what it does to the monitored drug, from the interaction facts."""
    return {
        str(fact.values["ingredient"]): _interaction(fact)
        for fact in facts
        if fact.kind == "interaction"
    }


def _interaction(fact: Fact) -> str:
    strength, effect = fact.values.get("strength"), words.spoken(str(fact.values["effect"]))
    said = effect if strength in (None, "unknown") else f"{strength} {effect}"
    exposure = fact.values.get("exposure_percent")
    if isinstance(exposure, float):
        said += f": exposure about {words.number(exposure)} % of usual"
    return said


def _role(medicine: Medicine, roles: dict[str, str]) -> str:
    return "; ".join(roles[key] for key in medicine.ingredients if key in roles)


def _result(lab: Lab) -> str:
    if lab.value is None:
        return words.spoken(lab.coded or "no value")
    text = f"{lab.comparator or ''}{words.short(lab.value)}"
    return text if lab.status.value == "final" else f"{text} ({lab.status})"


def _name(key: str) -> str:
    for ending in _UNITS:
        if key.endswith(f"_{ending}"):
            return words.spoken(key.removesuffix(f"_{ending}"))
    return words.spoken(key)


def _value(key: str, value: object) -> str:
    unit = next((unit for ending, unit in _UNITS.items() if key.endswith(f"_{ending}")), "")
    if isinstance(value, int | float):
        return f"{words.short(float(value))} {unit}".strip()
    return str(value)
