"""Short builders for records: a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cds.clinical.labs import Lab
from cds.clinical.level import Level, ResultStatus, TimingClaim
from cds.clinical.medication import Condition, Medicine, UseState
from cds.clinical.moment import Moment
from cds.clinical.person import Person, Sex
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus, PlannedDose, Regimen, TakenDose

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def ago(*, days: float = 0.0, hours: float = 0.0) -> Moment:
    """A moment before NOW."""
    return Moment(NOW - timedelta(days=days, hours=hours))


def once_daily(mg: float, **more: object) -> Regimen:
    return Regimen((PlannedDose(0.0, mg),), 24.0, **more)  # type: ignore[arg-type]


def order(
    mg: float = 400.0,
    *,
    since_days: float = 200.0,
    reference: str = "MedicationRequest/1",
    status: OrderStatus = OrderStatus.ACTIVE,
    draft: bool = False,
    strength_mg: float | None = None,
    stopped_days: float | None = None,
    regimen: Regimen | None = None,
) -> DrugOrder:
    return DrugOrder(
        reference,
        OrderStatus.DRAFT if draft else status,
        (regimen or once_daily(mg),),
        authored=ago(days=since_days),
        is_draft=draft,
        strength_mg=strength_mg,
        stopped=None if stopped_days is None else ago(days=stopped_days),
    )


def level(
    ng_ml: float | None = 900.0,
    *,
    days: float = 2.0,
    hours_post_dose: float | None = 24.0,
    reference: str = "Observation/level",
    status: ResultStatus = ResultStatus.FINAL,
    claims: tuple[TimingClaim, ...] | None = None,
    **more: object,
) -> Level:
    if claims is None:
        stated = hours_post_dose is not None
        claims = (TimingClaim(hours_post_dose or 0.0, "comment"),) if stated else ()
    return Level(
        reference=reference,
        status=status,
        reported_value="-" if ng_ml is None else f"{ng_ml:g}",
        reported_unit=None if ng_ml is None else "ng/mL",
        ng_ml=ng_ml,
        sampled=ago(days=days),
        timing=claims,
        **more,  # type: ignore[arg-type]
    )


def lab(key: str, value: float | None, *, days: float = 3.0, **more: object) -> Lab:
    unit = str(more.pop("unit", "1"))
    return Lab(key, unit, value, ago(days=days), f"Observation/{key}-{days:g}", **more)  # type: ignore[arg-type]


def taken(*, days: float, mg: float | None = 400.0, was_taken: bool = True) -> TakenDose:
    return TakenDose(
        ago(days=days), mg, was_taken, f"MedicationAdministration/{days:g}", "administration"
    )


def medicine(*ingredients: str, days: float = 10.0, **more: object) -> Medicine:
    return Medicine(
        ingredients,
        ingredients[0].capitalize(),
        more.pop("state", UseState.ACTIVE),  # type: ignore[arg-type]
        f"MedicationRequest/{ingredients[0]}",
        started=ago(days=days),
        **more,  # type: ignore[arg-type]
    )


def condition(*keys: str, days: float = 400.0, **more: object) -> Condition:
    return Condition(keys, keys[0], f"Condition/{keys[0]}", True, onset=ago(days=days), **more)  # type: ignore[arg-type]


def record(*, age: float = 54.0, sex: Sex | None = Sex.MALE, **parts: object) -> PatientRecord:
    """An adult man with CML unless the test says otherwise."""
    parts.setdefault("conditions", (condition("cml-cp", "cml"),))
    born = Moment(NOW - timedelta(days=age * 365.25))
    return PatientRecord(Person("p", sex, born), **parts)  # type: ignore[arg-type]
