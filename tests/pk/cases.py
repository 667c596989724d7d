"""Builders of cases shared by the tests, and the stored reference data."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import pk

DATA = Path(__file__).parent / "data"

#: Models whose concentrations are proportional to the dose: all but the one with binding.
LINEAR = tuple(n for n in pk.list_models() if pk.load_model(n).structure.linear)

ADULT = {"weight_kg": 70.0, "age_years": 50.0, "sex": "male", "indication": "cml"}
DAILY_400 = pk.Regimen(400.0, 24.0)


@cache
def stored(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def reference_cases() -> dict[str, Any]:
    return {case["id"]: case for case in stored("tucuxi_reference")["cases"]}


def reference_case(raw: Any) -> pk.Case:
    """A case of the reference file."""
    patient = raw["patient"]
    return pk.Case(
        covariates={
            "weight_kg": patient["bodyweight_kg"],
            "age_years": patient["age_y"],
            "sex": "male" if patient["sex_male"] else "female",
            "indication": "gist" if patient["gist"] else "cml",
        },
        doses=[
            pk.Dose(float(t), float(block["dose_mg"]))
            for block in raw["dosing"]
            for t in np.arange(block["start_h"], block["end_h"], block["interval_h"])
        ],
        levels=[pk.Level(s["t_h"], s["conc_ng_ml"]) for s in raw["samples"]],
    )


@cache
def cohort() -> tuple[pk.Case, ...]:
    """The simulated patients."""
    return tuple(
        pk.Case(
            covariates={
                "weight_kg": p["weight"],
                "age_years": p["age"],
                "sex": "male" if p["male"] else "female",
                "indication": "gist" if p["gist"] else "cml",
            },
            doses=[pk.Dose(t, p["dose_mg"]) for t in p["dose_times_h"]],
            levels=[pk.Level(t, y) for t, y in zip(p["sample_times_h"], p["y_ng_ml"], strict=True)],
        )
        for p in stored("simulated_cohort")["patients"]
    )


def daily(days: int, mg: float = 400.0, start_h: float = 0.0) -> list[pk.Dose]:
    return [pk.Dose(start_h + 24.0 * d, mg) for d in range(days)]


def subject() -> dict[str, Any]:
    """The subject every model can describe (all covariates known)."""
    return dict(stored("typical_subject")["subject"])
