"""The numbers that hold for one patient: target, limits and tablets, each with its source.

The rules, the dose search and the card all read the same policy, so they cannot quote different
targets. Every number comes from `rules/tables`; this file only chooses rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from cds.clinical.terminology import Drug

Table = Mapping[Any, Any]
SAME_DOSE_MG = 0.5
"""Daily doses closer than this are one dose."""


class Target(Struct, frozen=True):
    """Trough target in ng/mL; `high` is a soft upper limit; `validated` for this indication."""

    low_ng_ml: float
    high_ng_ml: float
    best_ng_ml: float | None
    accepted_low_ng_ml: float | None
    validated: bool
    note: str | None
    sources: tuple[str, ...]


class DoseLimits(Struct, frozen=True):
    """Daily limits and makeable doses in mg for the indication and jurisdiction."""

    max_daily_mg: float
    min_daily_mg: float
    usual_start_mg: float | None
    once_daily_max_mg: float
    intervals_h: tuple[float, ...]
    strengths_mg: tuple[float, ...]
    steps_mg: tuple[float, ...]
    why: tuple[str, ...]
    """What set each limit, in words (label, renal function, child's cap)."""
    sources: tuple[str, ...]

    def steps_between(self, one_mg: float, other_mg: float) -> int:
        """Usual daily doses crossed on the way from one daily dose to the other."""
        low, high = sorted((one_mg, other_mg))
        crossed = (step for step in self.steps_mg if low + SAME_DOSE_MG < step)
        return sum(1 for step in crossed if step <= high + SAME_DOSE_MG)


class Policy(Struct, frozen=True):
    """Everything the card, the rules and the dose search must agree on."""

    target: Target
    limits: DoseLimits
    model_ids: tuple[str, ...]
    """Population models in order of preference for this patient."""


class Tables(Struct, frozen=True):
    """The tables an assessment reads, resolved for one jurisdiction."""

    targets: Table
    dosing: Table
    organ_function: Table
    interactions: Table
    toxicity: Table
    hepatotoxicity: Table
    adherence: Table
    milestones: Table
    monitoring: Table
    sampling: Table
    models: Table


def policy_for(
    tables: Tables,
    drug: Drug,
    *,
    indication: str | None,
    disease: str | None,
    population: str | None,
    crcl_ml_min: float | None,
    on_dialysis: bool = False,
) -> Policy:
    """Choose the rows for a patient; an unknown indication gets the table's `default` row."""
    return Policy(
        target=_target(tables.targets, disease),
        limits=_limits(tables, drug, indication, disease, population, crcl_ml_min, on_dialysis),
        model_ids=_models(tables.models, disease, population),
    )


def _target(targets: Table, disease: str | None) -> Target:
    row = targets.get(disease or "default") or targets["default"]
    return Target(
        low_ng_ml=float(row["low_ng_ml"]),
        high_ng_ml=float(row["high_ng_ml"]),
        best_ng_ml=_optional(row.get("best_ng_ml")),
        accepted_low_ng_ml=_optional(row.get("accepted_low_ng_ml")),
        validated=bool(row["validated"]),
        note=row.get("note"),
        sources=tuple(row["sources"]),
    )


def _limits(
    tables: Tables,
    drug: Drug,
    indication: str | None,
    disease: str | None,
    population: str | None,
    crcl_ml_min: float | None,
    on_dialysis: bool,
) -> DoseLimits:
    dosing = tables.dosing
    row = dosing.get(indication or "default") or dosing.get(disease or "") or dosing["default"]
    maximum, why = float(row["max_daily_mg"]), ["label maximum for the indication"]
    if population == "child":
        cap = dosing["child"].get("cap_all_mg" if disease == "all" else "cap_cml_mg")
        if cap is not None and cap <= maximum:
            maximum, why = float(cap), ["label maximum for children"]
    found = _renal(tables.organ_function, crcl_ml_min, on_dialysis=on_dialysis)
    if found is not None and found[0] < maximum:
        maximum, why = found[0], [found[1]]
    return DoseLimits(
        max_daily_mg=maximum,
        # A cap by organ function may lie below the usual minimum; then it is the only limit.
        min_daily_mg=min(float(row["min_daily_mg"]), maximum),
        usual_start_mg=_optional(row.get("usual_start_mg")),
        once_daily_max_mg=float(row.get("once_daily_max_mg", dosing["once_daily_max_mg"])),
        intervals_h=tuple(float(h) for h in dosing["intervals_h"]),
        strengths_mg=drug.strengths_mg,
        steps_mg=tuple(float(step) for step in row["steps_mg"]),
        why=tuple(why),
        sources=tuple(row["sources"]),
    )


def _renal(
    organ_function: Table, crcl_ml_min: float | None, *, on_dialysis: bool
) -> tuple[float, str] | None:
    """The largest daily dose (mg) that kidney function allows, and what sets it; None if none."""
    reading = organ_function["dialysis"]
    for name, row in organ_function["renal"].items():
        if on_dialysis:
            said = f"dialysis, read as {name} renal impairment"
            said += "" if reading["verified"] else " (our proposal, unverified)"
            applies = name == reading["read_as"]
        else:
            said = f"{name} renal impairment (creatinine clearance {crcl_ml_min or 0.0:.0f} mL/min)"
            applies = crcl_ml_min is not None and _within(row, crcl_ml_min)
        if applies and row.get("max_mg") is not None:
            return float(row["max_mg"]), said
    return None


def _within(row: Table, crcl_ml_min: float) -> bool:
    low, high = row.get("crcl_from"), row.get("crcl_below")
    return (low is None or crcl_ml_min >= low) and (high is None or crcl_ml_min < high)


def _models(models: Table, disease: str | None, population: str | None) -> tuple[str, ...]:
    rows = models[population or "adult"]
    return tuple(rows.get(disease or "default") or rows["default"])


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
