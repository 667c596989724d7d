"""Assessments made by hand, so that a card can be tested without rules, models or FHIR."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from cds.assess.assessment import (
    Assessment,
    Course,
    DoseOption,
    Exposure,
    ExposureState,
    Gate,
    GatedLevel,
    Versions,
)
from cds.assess.policy import DoseLimits, Policy, Target
from cds.cards import CardContent
from cds.cards.wire import OverrideReason
from cds.clinical.codes import Code
from cds.clinical.finding import Finding, Matter, Severity, SourceCitation
from cds.clinical.level import Level, ResultStatus
from cds.clinical.moment import Moment
from cds.clinical.person import Person
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus, PlannedDose, Regimen
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.clinical.terminology import Drug, LevelCode, Product
from cds.rulebook import Fact, Verdict, catalogue

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DRAFT = "MedicationRequest/renewal"
LEVEL = "Observation/level-1"

DRUG = Drug(
    name="imatinib",
    names=frozenset({"imatinib"}),
    molar_mass=493.6,
    salt_molar_mass=589.7,
    salt_names=frozenset({"imatinib mesylate"}),
    ingredient_codes=frozenset({Code(RXNORM, "282388")}),
    products={
        Code(RXNORM, "403878"): Product(Code(RXNORM, "403878"), 100.0, "tablet"),
        Code(RXNORM, "403879"): Product(Code(RXNORM, "403879"), 400.0, "tablet"),
    },
    strengths_mg=(100.0, 400.0),
    solution_mg_ml=80.0,
    level_codes={
        Code("http://loinc.org", "57844-3"): LevelCode(Code("http://loinc.org", "57844-3")),
    },
)

CONTENT = CardContent(
    name="Imatinib therapeutic drug monitoring",
    drug=DRUG,
    jurisdiction=Jurisdiction.US,
    override_reasons={
        "will-monitor": OverrideReason(code="m", system="urn:reasons", display="Will monitor"),
    },
)

PICARD = SourceCitation("picard-2007", "Picard 2007 Blood", "https://doi.org/10.1182/x", True)
HEARSAY = SourceCitation("hearsay", "Said at a congress", None, False)


def fact(kind: str, **values: Any) -> Fact:
    """A fact in which everything that must be known and is not said is neutral."""
    attributes = catalogue().kinds[kind].attributes
    neutral = {name: a.neutral() for name, a in attributes.items() if a.always}
    return Fact(kind, neutral | values)


def low_trough(**changes: Any) -> Finding:
    """A warning on exposure that asks for everything a card can compute."""
    finding = Finding(
        rule_id="trough.cml-below-target",
        revision=3,
        matter=Matter.EXPOSURE,
        severity=Severity.WARNING,
        summary="Imatinib trough 720 ng/mL is below 1000 ng/mL and the response is not on track",
        detail="The level is lower than most responders have. Ask about missed doses first.",
        show=("level", "dose-table", "adherence"),
        suggest=("raise-dose", "order-level"),
        override_reasons=("will-monitor",),
        citations=(PICARD,),
        references=(LEVEL,),
    )
    return replace(finding, **changes)


def finding(rule_id: str, matter: Matter, severity: Severity, **changes: Any) -> Finding:
    """A finding with nothing but words."""
    words = f"{rule_id} speaks"
    return replace(Finding(rule_id, 1, matter, severity, words, f"{words} at length."), **changes)


def option(amount_mg: float, trough: float, **changes: Any) -> DoseOption:
    """A once-daily dose of 400 and 100 mg tablets with a plausible outlook."""
    of_400, rest = divmod(amount_mg, 400)
    tablets = tuple((mg, n) for mg, n in ((400.0, of_400), (100.0, rest / 100)) if n)
    made = DoseOption(
        amount_mg=amount_mg,
        interval_h=24.0,
        tablets=tablets,
        trough_ng_ml=trough,
        trough_low_ng_ml=trough * 0.8,
        trough_high_ng_ml=trough * 1.25,
        percent_below=99.6 if trough < 900 else 12.0,
        percent_in=0.3 if trough < 900 else 88.0,
        percent_above=0.0,
        auc24_mg_h_l=30.0,
    )
    return replace(made, **changes)


def exposure(**changes: Any) -> Exposure:
    """A reliable fit in which 600 mg is the best of three doses."""
    current = option(400, 740, is_current=True)
    made = Exposure(
        state=ExposureState.FITTED,
        model_id="gotta-2014",
        model_title="Gotta 2014",
        model_verified=True,
        current=current,
        options=(
            option(600, 1110, is_best=True),
            current,
            option(800, 1480, why_not="over the label's maximum for this indication"),
        ),
        levels_used=(LEVEL,),
    )
    return replace(made, **changes)


def gated_level(**changes: Any) -> GatedLevel:
    """720 ng/mL, 24 h after the dose."""
    level = Level(
        reference=LEVEL,
        status=ResultStatus.FINAL,
        reported_value="720",
        reported_unit="ng/mL",
        ng_ml=720.0,
        sampled=Moment(NOW - timedelta(days=2)),
    )
    made = GatedLevel(
        level=level,
        gate=Gate.TROUGH,
        reason="inside the window",
        is_latest=True,
        hours_post_dose=24.0,
        timing_basis="administration",
        trough_ng_ml=720.0,
        trough_low_ng_ml=720.0,
        trough_high_ng_ml=720.0,
        correction="none",
    )
    return replace(made, **changes)


def order(reference: str, amount_mg: float, *, is_draft: bool, **changes: Any) -> DrugOrder:
    """A once-daily order of the drug."""
    status = OrderStatus.DRAFT if is_draft else OrderStatus.ACTIVE
    regimen = Regimen((PlannedDose(0.0, amount_mg),), 24.0)
    return replace(DrugOrder(reference, status, (regimen,), is_draft=is_draft), **changes)


def draft_resource(identifier: str = "renewal") -> dict[str, Any]:
    """The draft as the request carried it."""
    return {
        "resourceType": "MedicationRequest",
        "id": identifier,
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "403879"}]},
        "subject": {"reference": "Patient/p1"},
        "requester": {"reference": "Practitioner/dr"},
        "dosageInstruction": [
            {
                "text": "400 mg once daily with food",
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 400, "unit": "mg"}}],
            }
        ],
    }


def assessment(
    *findings: Finding,
    facts: tuple[Fact, ...] = (),
    occasion: Occasion = Occasion.ORDER_SIGN,
    **changes: Any,
) -> Assessment:
    """An adult on 400 mg with one level and one draft; the findings are what the rules said."""
    made = Assessment(
        record=PatientRecord(
            Person("p1"),
            orders=(
                order(DRAFT, 400, is_draft=True),
                order("MedicationRequest/now", 400, is_draft=False),
            ),
        ),
        setting=Setting(occasion),
        now=NOW,
        policy=Policy(
            Target(1000.0, 3000.0, None, None, True, None, ("picard-2007",)),
            DoseLimits(
                max_daily_mg=800.0,
                min_daily_mg=300.0,
                usual_start_mg=400.0,
                once_daily_max_mg=600.0,
                intervals_h=(24.0, 12.0),
                strengths_mg=(100.0, 400.0),
                steps_mg=(300.0, 400.0, 600.0, 800.0),
                why=(),
                sources=(),
            ),
            ("gotta-2014",),
        ),
        course=Course(
            indication="cml",
            disease="cml",
            population="adult",
            regimen=None,
            active=True,
            on_hold=False,
            starting=False,
            started=NOW - timedelta(days=210),
            dose_changed=None,
            stopped=None,
            start_daily_mg=400.0,
            current_order="MedicationRequest/now",
        ),
        levels=(gated_level(),),
        exposure=exposure(),
        problems=(),
        facts=facts,
        verdict=Verdict(findings, (), (), True, None, "r" * 64),
        versions=Versions("1.0", "r" * 64, "2026.11", {"gotta-2014": "d" * 64}),
    )
    return replace(made, **changes)
