"""Worked cases at a glance: what a pharmacist expects of each, and what must not be said.

The expectations were written from the clinical catalogue before the product was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from cds.assess import assess
from cds.clinical.medication import GeneResult
from cds.clinical.regimen import OrderStatus, PlannedDose, Regimen, Supply
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Rulebook
from tests.assess.build import NOW, ago, condition, lab, level, medicine, order, record
from tests.assess.test_exposure import Models

BEHIND = (lab("bcr_abl_is", 45.0, days=208), lab("bcr_abl_is", 4.0, days=30))
MMR = (lab("bcr_abl_is", 0.06, days=150), lab("bcr_abl_is", 0.03, days=25))
COUNTS = (lab("anc", 3.0, days=3, unit="10*9/L"), lab("platelets", 210, days=3, unit="10*9/L"))
BODY = (lab("weight", 78, unit="kg"),)
SUPPLIED = tuple(
    Supply(ago(days=days), 30, 30, f"MedicationDispense/{days}") for days in range(210, 0, -30)
)
GIST = (condition("gist-advanced", "gist"),)
ALL = (condition("ph-all", "all"),)
TWICE = Regimen((PlannedDose(0, 300), PlannedDose(12, 300)), 24.0)
DRAFT = "MedicationRequest/draft"


@dataclass(frozen=True)
class Vignette:
    """A case: how it differs from a man with CML on 400 mg for seven months, supply complete."""

    name: str
    parts: Mapping[str, Any]
    says: tuple[str, ...] = ()
    not_says: tuple[str, ...] = ()
    occasion: Occasion = Occasion.PATIENT_VIEW
    jurisdiction: Jurisdiction = Jurisdiction.US
    labs: tuple[Any, ...] = BEHIND
    only: bool = field(default=False, kw_only=True)
    """Whether nothing else about level, dose, adherence or sample may be said."""


def low(mg: float = 720.0, **more: Any) -> dict[str, Any]:
    return {"levels": (level(mg, **more),)}


def draft(mg: float) -> tuple[Any, ...]:
    return (order(400, since_days=210), order(mg, draft=True, reference=DRAFT))


TAKEN, ASK, DOUBT = (
    "trough.cml-below-target",
    "trough.cml-below-target-ask-adherence",
    "trough.cml-below-target-adherence-doubtful",
)
CASES = [
    Vignette("low, behind, supplied", low(), (TAKEN,), (ASK, DOUBT), only=True),
    Vignette("low, behind, no supply data", {**low(), "supplies": ()}, (ASK,), (TAKEN,), only=True),
    Vignette(
        "low, behind, two of three months supplied",
        {**low(), "supplies": (SUPPLIED[0], SUPPLIED[-3], SUPPLIED[-1])},
        (DOUBT, "adherence.coverage-very-low-cml"),
        (TAKEN, ASK),
    ),
    Vignette(
        "low, major response", low(), ("trough.cml-below-target-responding",), (TAKEN,), labs=MMR
    ),
    Vignette(
        "300 ng/mL in major response",
        low(300),
        ("trough.very-low",),
        ("trough.cml-below-target-responding",),
        labs=MMR,
    ),
    Vignette(
        "low, major response, renewal",
        {**low(), "orders": draft(400)},
        labs=MMR,
        occasion=Occasion.ORDER_SIGN,
        only=True,
    ),
    Vignette(
        "low, no response on record",
        low(),
        ("trough.cml-below-target-response-unknown",),
        (TAKEN,),
        labs=(),
    ),
    Vignette("in range, major response", low(1250), labs=MMR, only=True),
    Vignette("in range, behind", low(1400), ("trough.sufficient-response-not-on-track",), (TAKEN,)),
    Vignette(
        "3400 without toxicity",
        low(3400),
        ("trough.high-without-toxicity",),
        ("trough.high-with-toxicity",),
        labs=MMR,
    ),
    Vignette(
        "2 h after the dose",
        low(2100, hours_post_dose=2),
        ("sampling.too-early-with-estimate",),
        (TAKEN, "trough.sufficient-response-not-on-track"),
    ),
    Vignette(
        "18 h after the dose", low(700, hours_post_dose=18), (TAKEN, "sampling.corrected-to-trough")
    ),
    Vignette(
        "30 h after the dose, on both sides",
        low(700, hours_post_dose=30),
        ("sampling.corrected-straddles-cml-target",),
        (TAKEN,),
    ),
    Vignette(
        "48 h after the dose", low(700, hours_post_dose=48), ("sampling.interrupted",), (TAKEN,)
    ),
    Vignette("time unknown", low(700, hours_post_dose=None), ("sampling.time-unknown",), (TAKEN,)),
    Vignette(
        "twice daily, 12 h",
        {**low(900, hours_post_dose=12), "orders": (order(regimen=TWICE),)},
        (),
        ("sampling.too-early", "sampling.twice-daily-window"),
    ),
    Vignette(
        "twice daily, 24 h",
        {**low(500, hours_post_dose=24), "orders": (order(regimen=TWICE),)},
        ("sampling.interrupted", "sampling.twice-daily-window"),
        ("trough.very-low", TAKEN),
    ),
    Vignette("120 days old", low(700, days=120), (), (TAKEN, "sampling.interrupted")),
    Vignette("dried blood", low(700, specimen="dried-blood"), ("sampling.not-plasma",), (TAKEN,)),
    Vignette(
        "12000 ng/mL", low(12000), ("sampling.implausible",), ("trough.high-without-toxicity",)
    ),
    Vignette("120 ng/mL", low(120), (DOUBT, "trough.very-low"), (TAKEN,)),
    Vignette(
        "rifampicin",
        {**low(480), "medicines": (medicine("rifampicin", days=60),)},
        ("trough.below-target-inducer",),
        (TAKEN, ASK, DOUBT),
    ),
    Vignette(
        "T315I",
        {**low(), "genes": (GeneResult("t315i", "T315I", "Observation/g"),)},
        ("response.t315i",),
        (TAKEN, "response.warning-6-months"),
    ),
    Vignette(
        "600 mg in the US",
        {**low(800), "orders": (order(600),)},
        ("trough.below-target-at-limit",),
        (TAKEN,),
    ),
    Vignette(
        "600 mg in the EU",
        {**low(800), "orders": (order(600),)},
        (TAKEN,),
        ("trough.below-target-at-limit",),
        jurisdiction=Jurisdiction.EU,
    ),
    Vignette(
        "600 mg is being ordered",
        {**low(), "orders": draft(600)},
        (),
        (TAKEN, "trough.ordered-dose-jump"),
        Occasion.ORDER_SIGN,
    ),
    Vignette(
        "800 mg is being ordered",
        {**low(), "orders": draft(800)},
        (TAKEN, "trough.ordered-dose-jump", "dosing.above-us-chronic-phase-maximum"),
        (),
        Occasion.ORDER_SIGN,
    ),
    Vignette(
        "300 mg is being ordered, trough 1300",
        {**low(1300), "orders": draft(300)},
        ("trough.ordered-dose-below-target",),
        (TAKEN,),
        Occasion.ORDER_SIGN,
    ),
    Vignette(
        "a rise without a level or supply",
        {"orders": draft(600), "supplies": ()},
        ("adherence.ask-before-increase",),
        (),
        Occasion.ORDER_SIGN,
    ),
    Vignette(
        "GIST stable at 900",
        {**low(900), "conditions": GIST},
        ("trough.gist-between-thresholds",),
        (TAKEN,),
        labs=(lab("disease_status", None, days=20, coded="stable"),),
    ),
    Vignette(
        "GIST progression at 900",
        {**low(900), "conditions": GIST},
        ("trough.gist-below-target", "trough.gist-progression-check-level"),
        (),
        labs=(lab("disease_status", None, days=20, coded="progression"),),
    ),
    Vignette(
        "GIST progression at 1500",
        {**low(1500), "conditions": GIST},
        ("trough.gist-sufficient-progression",),
        ("trough.gist-progression-check-level",),
        labs=(lab("disease_status", None, days=20, coded="progression"),),
    ),
    Vignette(
        "ALL at 700",
        {**low(700), "conditions": ALL, "orders": (order(600),)},
        ("trough.all-below-cml-target",),
        (TAKEN, "trough.below-target-at-limit"),
        labs=(lab("bcr_abl_is", 0.5, days=20),),
    ),
    Vignette(
        "a child at 620",
        {**low(620), "age": 9.0, "orders": (order(300),)},
        ("paediatrics.borrowed-target",),
        (TAKEN, ASK, DOUBT),
    ),
    Vignette(
        "a day before the eighteenth birthday",
        {**low(620), "age": 17.99},
        ("paediatrics.borrowed-target",),
        (TAKEN,),
    ),
    Vignette(
        "five days after a rise",
        {
            **low(800),
            "orders": (
                order(400, status=OrderStatus.STOPPED, stopped_days=7),
                order(600, since_days=7, reference="MedicationRequest/2"),
            ),
        },
        ("sampling.not-steady-state",),
        (TAKEN, "trough.below-target-at-limit"),
    ),
]
_OWN = ("trough.", "adherence.", "sampling.", "dosing.", "paediatrics.")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_case_gets_what_it_must_and_not_what_it_must_not(
    case: Vignette, rulebook: Rulebook, models: Models
) -> None:
    parts = {"orders": (order(400, since_days=210),), "supplies": SUPPLIED, **case.parts}
    patient = record(**parts, labs=(*COUNTS, *BODY, *case.labs))
    setting = Setting(case.occasion, case.jurisdiction)
    verdict = assess(patient, rulebook, models, setting, now=NOW).verdict
    said = {finding.rule_id for finding in verdict.findings if not finding.silent}

    assert verdict.agreed
    assert set(case.says) <= said
    assert not set(case.not_says) & said
    if case.only:
        assert {rule for rule in said if rule.startswith(_OWN)} == set(case.says)
