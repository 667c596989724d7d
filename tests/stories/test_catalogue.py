"""Every row of the clinical catalogue speaks over the real service on a record that calls for it.

A rule that only its own tests can reach would be a rule nobody hears. Each row has one chart; rows
that are considered silences get no card. `us` and `eu` name the label a row belongs to alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from cds.clinical.finding import Severity
from cds.demo.compare import rules_of
from cds.services.knowledge import Knowledge
from tests.stories.chart import Chart, behind, child, responding, starting, treated
from tests.stories.conftest import Ask

GIST, ALL = "GIST, metastatic", "Philadelphia chromosome positive acute lymphoblastic leukaemia"
EOSINOPHILIC = "Chronic eosinophilic leukaemia"


class Row(NamedTuple):
    """A row, the rule that speaks for it and how gravely, and the chart."""

    row: str
    rule: str
    severity: str
    chart: Callable[[], Chart]
    labels: tuple[str, ...] = ("us", "eu")
    hook: str = ""


def gist(**more: Any) -> Chart:
    return treated(GIST, **more)


def progressing(**more: Any) -> Chart:
    return gist(**more).lab("status", "Progressive disease", 20)


def stable(**more: Any) -> Chart:
    return gist(**more).lab("status", "Stable disease", 20)


def leukaemia() -> Chart:
    return treated(ALL, mg=600)


def eosinophilic(**more: Any) -> Chart:
    return treated(EOSINOPHILIC, mg=100, **more).gene("FIP1L1::PDGFRA")


def with_order(what: str, mg: float | None = None, times: int = 1) -> Callable[[], Chart]:
    return lambda: responding().medicine(what, mg, times, draft=True)


def swollen(**more: Any) -> Chart:
    return responding(**more).diagnosis("Periorbital oedema", "R60.0", 20)


def held() -> Chart:
    return treated(days=0).supply().imatinib(400, status="on-hold")


def milestone(days: float, percent: float) -> Chart:
    return treated(days=days).lab("is", 60, days).lab("is", percent, 5)


def deep() -> Chart:
    chart = treated(days=2300)
    for days in (1200, 1000, 800, 600, 400, 200, 40):
        chart.lab("is", 0.003, days)
    return chart


def off_treatment() -> Chart:
    chart = treated(days=0).imatinib(400, days=2300, status="stopped", until=200)
    return chart.lab("is", 0.003, 250).lab("is", 0.4, 10)


def with_allergy() -> Chart:
    confirmed = {"clinicalStatus": "active", "verificationStatus": "confirmed"}
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"
    coded = {
        field: {"coding": [{"system": system + field.removesuffix("Status").lower(), "code": code}]}
        for field, code in confirmed.items()
    }
    chart = responding().order(400)
    chart.kept["allergies"] = [
        {
            "resourceType": "AllergyIntolerance",
            "id": "allergy",
            "patient": {"reference": "Patient/p1"},
            "type": "allergy",
            "code": {"text": "imatinib"},
        }
        | coded
    ]
    return chart


US, EU = ("us",), ("eu",)
LATE = {"supplied": False}
SELECT = "order-select"
ROWS = [
    Row("TT-01", "trough.cml-below-target", "warning", lambda: behind().level(720)),
    Row("TT-02", "trough.cml-below-target-responding", "info", lambda: responding().level(720)),
    Row("TT-03", "", "", lambda: responding().level(1400)),
    Row("TT-04", "trough.very-low", "warning", lambda: responding().level(400)),
    Row("TT-05", "trough.high-with-toxicity", "warning", lambda: swollen().level(3300)),
    Row("TT-06", "trough.high-without-toxicity", "info", lambda: responding().level(3300)),
    Row("TT-07", "trough.high-normal", "info", lambda: responding().level(2400)),
    Row("TT-08", "trough.gist-below-target", "warning", lambda: progressing().level(900)),
    Row("TT-09", "trough.gist-between-thresholds", "info", lambda: stable().level(900)),
    Row("TT-10", "trough.gist-progression-check-level", "warning", progressing),
    Row("TT-11", "trough.kit-exon-9-below-800", "info", lambda: gist().gene("KIT exon 9")),
    Row("TT-12", "trough.all-below-cml-target", "info", lambda: leukaemia().level(800, mg=600)),
    Row("TT-13", "trough.inflammation-inflates", "info", lambda: gist().lab("crp", 90).level(1500)),
    Row("TT-14", "trough.first-level-due", "info", responding),
    Row(
        "TT-15",
        "trough.repeat-after-interaction-change",
        "info",
        lambda: responding(days=300).level(1200, days=60).medicine("fluconazole", 200, days=20),
    ),
    Row(
        "TT-16",
        "trough.fall-from-own-usual",
        "warning",
        lambda: responding(days=400).level(1500, days=120).level(1450, days=60).level(600),
    ),
    Row("TT-17", "trough.toxicity-without-level", "info", swollen),
    Row("TT-18", "trough.toxicity-with-low-level", "info", lambda: swollen().level(800)),
    Row(
        "TT-19",
        "trough.ordered-dose-above-range",
        "warning",
        lambda: (
            responding(days=300).level(2700, days=60).level(2900, days=30).level(2800).order(600)
        ),
    ),
    Row("SQ-01", "sampling.not-steady-state", "info", lambda: treated(days=7).level(640)),
    Row("SQ-02", "", "", lambda: responding().level(1400, hours=22)),
    Row("SQ-03", "sampling.corrected-to-trough", "info", lambda: responding().level(1500, 30)),
    Row("SQ-04", "sampling.too-early-with-estimate", "info", lambda: responding().level(2500, 4)),
    Row("SQ-05", "sampling.time-unknown", "info", lambda: responding().level(900, None)),
    Row("SQ-06", "sampling.twice-daily-window", "info", lambda: responding(times=2).level(900, 3)),
    Row("SQ-07", "sampling.unit-converted", "info", lambda: responding().level(1.8, unit="umol/L")),
    Row("SQ-08", "sampling.unit-unreadable", "warning", lambda: responding().level(1.8, unit=None)),
    Row(
        "SQ-09",
        "trough.first-level-due",
        "info",
        lambda: responding().level(50, status="entered-in-error"),
    ),
    Row("SQ-10", "sampling.implausible", "warning", lambda: responding().level(15000)),
    Row("SQ-11", "sampling.interrupted", "info", lambda: responding().level(900, hours=40)),
    Row(
        "SQ-12",
        "sampling.not-plasma",
        "info",
        lambda: responding().level(900, specimen={"display": "Dried blood spot"}),
    ),
    Row(
        "SQ-14",
        "sampling.preliminary",
        "info",
        lambda: responding().level(900, status="preliminary"),
    ),
    Row("DI-01", "interactions.strong-inducer", "critical", with_order("rifampicin", 600)),
    Row("DI-02", "interactions.moderate-inducer", "warning", with_order("efavirenz", 600)),
    Row("DI-03", "interactions.st-johns-wort", "warning", with_order("Hypericum extract")),
    Row(
        "DI-04",
        "interactions.inducer-stopped",
        "warning",
        lambda: responding().medicine("rifampicin", 600, days=90, status="stopped", until=12),
    ),
    Row("DI-05", "interactions.strong-inhibitor", "warning", with_order("voriconazole", 200, 2)),
    Row(
        "DI-06",
        "interactions.moderate-inhibitor",
        "info",
        lambda: responding().medicine("diltiazem", 180, days=5),
    ),
    Row(
        "DI-07",
        "interactions.inhibitor-stopped",
        "info",
        lambda: (
            treated(days=0)
            .imatinib(400, days=210, status="stopped", until=60)
            .imatinib(300, days=60)
            .medicine("clarithromycin", 500, 2, days=60, status="completed", until=10)
        ),
    ),
    Row("DI-08", "interactions.simvastatin", "warning", with_order("simvastatin", 20)),
    Row("DI-09", "interactions.atorvastatin", "info", with_order("atorvastatin", 20)),
    Row("DI-10", "interactions.immunosuppressant", "warning", with_order("tacrolimus", 2, 2)),
    Row("DI-11", "interactions.narrow-margin", "critical", with_order("pimozide", 2)),
    Row("DI-12", "interactions.opioid", "warning", with_order("fentanyl patch")),
    Row("DI-13", "interactions.coumarin", "warning", with_order("acenocoumarol", 2)),
    Row("DI-14", "interactions.doac", "info", with_order("apixaban", 5, 2)),
    Row("DI-15", "interactions.cyp2d6-narrow", "info", with_order("flecainide", 100, 2)),
    Row("DI-16", "interactions.paracetamol-high-dose", "info", with_order("paracetamol", 1000, 4)),
    Row(
        "DI-17",
        "interactions.levothyroxine-without-thyroid",
        "warning",
        lambda: with_order("levothyroxine", 0.1)().procedure("Total thyroidectomy"),
    ),
    Row(
        "DI-18",
        "interactions.asparaginase",
        "warning",
        lambda: leukaemia().medicine("pegaspargase", draft=True),
    ),
    Row("DI-19", "", "", with_order("omeprazole", 40)),
    Row("DI-20", "interactions.gemfibrozil", "info", with_order("gemfibrozil", 600, 2)),
    Row(
        "DI-21",
        "interactions.azole-vincristine",
        "critical",
        lambda: (
            leukaemia().medicine("vincristine", 2, days=3).medicine("posaconazole", 300, draft=True)
        ),
    ),
    Row("DI-22", "", "", with_order("ondansetron", 8)),
    Row("DI-23", "interactions.dihydropyridine", "info", with_order("amlodipine", 5)),
    Row("DI-24", "interactions.bortezomib-docetaxel", "warning", with_order("docetaxel", 100)),
    Row(
        "DI-25",
        "interactions.dexamethasone",
        "info",
        lambda: leukaemia().medicine("dexamethasone", 10, days=5),
    ),
    Row("DI-26", "interactions.second-kinase-inhibitor", "critical", with_order("nilotinib", 300)),
    Row("DI-27", "interactions.duplicate-order", "warning", lambda: treated().imatinib(days=20)),
    Row(
        "DI-28",
        "interactions.grapefruit",
        "info",
        lambda: responding().medicine("Grapefruit juice"),
    ),
    Row("DI-29", "interactions.clozapine", "warning", with_order("clozapine", 100)),
    Row("TX-01", "toxicity.cytopenia-first", "critical", lambda: responding().lab("anc", 0.9)),
    Row(
        "TX-02",
        "toxicity.cytopenia-again",
        "critical",
        lambda: responding().lab("anc", 0.8, 100).lab("anc", 2.0, 80).lab("anc", 0.9),
    ),
    Row(
        "TX-03", "toxicity.cytopenia-advanced", "critical", lambda: leukaemia().lab("platelets", 8)
    ),
    Row(
        "TX-04",
        "toxicity.counts-recovered",
        "info",
        lambda: held().lab("anc", 0.8, 20).lab("anc", 1.8).lab("platelets", 120),
    ),
    Row(
        "TX-05",
        "toxicity.cytopenia-dfsp",
        "critical",
        lambda: treated("Dermatofibrosarcoma protuberans", times=2).lab("anc", 0.9),
    ),
    Row(
        "TX-06",
        "toxicity.cytopenia-low-start",
        "critical",
        lambda: eosinophilic().lab("platelets", 45),
    ),
    Row("TX-07", "toxicity.transaminases-hold", "critical", lambda: responding().lab("alt", 248)),
    Row(
        "TX-08",
        "toxicity.liver-recovered",
        "info",
        lambda: held().lab("alt", 248, 20).lab("alt", 60),
    ),
    Row("TX-09", "toxicity.transaminases-rising", "info", lambda: responding().lab("alt", 150)),
    Row(
        "TX-10",
        "toxicity.weight-gain-fast",
        "warning",
        lambda: responding().lab("weight", 78, 8).lab("weight", 80.6, 1),
    ),
    Row(
        "TX-11",
        "toxicity.fluid-retention",
        "critical",
        lambda: responding().diagnosis("Pleural effusion", "J90", 3),
    ),
    Row("TX-12", "toxicity.ejection-fraction", "warning", lambda: responding().lab("lvef", 45)),
    Row(
        "TX-13",
        "toxicity.severe-skin-reaction",
        "critical",
        lambda: responding().diagnosis("Stevens-Johnson syndrome", "L51.1", 2),
    ),
    Row(
        "TX-14",
        "toxicity.haemoglobin-fall-gist",
        "critical",
        lambda: gist().lab("hemoglobin", 13.0, 9).lab("hemoglobin", 10.5, 1),
    ),
    Row("TX-15", "toxicity.tumour-lysis", "warning", lambda: starting().lab("wbc", 180)),
    Row(
        "TX-16",
        "toxicity.kidney-function",
        "warning",
        lambda: responding().lab("egfr", 95, 215).lab("egfr", 58),
    ),
    Row("TX-17", "toxicity.creatine-kinase", "warning", lambda: responding().lab("ck", 1300)),
    Row("TX-18", "toxicity.lipase", "info", lambda: responding().lab("lipase", 150)),
    Row("TX-19", "toxicity.blood-count-overdue", "info", lambda: treated(looked=False)),
    Row("TX-20", "toxicity.liver-tests-overdue", "info", lambda: treated(looked=False)),
    Row(
        "TX-21",
        "toxicity.cytopenia-high-level",
        "info",
        lambda: responding().lab("anc", 0.9).level(2400),
    ),
    Row("DO-01", "dosing.above-absolute-maximum", "critical", lambda: responding().order(600, 2)),
    Row("DO-02", "dosing.chronic-phase-start", "info", lambda: starting(mg=600), hook=SELECT),
    Row("DO-03", "dosing.advanced-phase-start", "warning", lambda: starting(ALL), hook=SELECT),
    Row("DO-04", "dosing.single-dose-too-large", "warning", lambda: responding().order(800)),
    Row(
        "DO-05",
        "dosing.severe-hepatic-impairment-start",
        "warning",
        lambda: starting().lab("bilirubin", 4.0),
        US,
    ),
    Row(
        "DO-06",
        "dosing.moderate-renal-impairment",
        "warning",
        lambda: responding().lab("crcl", 30).order(600),
        US,
    ),
    Row(
        "DO-07",
        "dosing.mild-renal-impairment",
        "warning",
        lambda: responding(mg=600).lab("crcl", 50).order(400, 2),
        US,
    ),
    Row(
        "DO-08",
        "dosing.severe-renal-impairment",
        "warning",
        lambda: starting().lab("crcl", 15),
        US,
    ),
    Row(
        "DO-09",
        "dosing.renal-impairment-start-eu",
        "info",
        lambda: starting(mg=600).lab("crcl", 50),
        EU,
    ),
    Row("DO-10", "dosing.not-makeable", "info", lambda: responding().order(450)),
    Row("DO-11", "dosing.low-dose-adult-cml", "warning", lambda: responding().order(200)),
    Row(
        "DO-12",
        "dosing.gastrectomy-check-level",
        "info",
        lambda: gist().procedure("Subtotal gastrectomy"),
    ),
    Row(
        "DO-13",
        "dosing.increase-with-severe-toxicity",
        "warning",
        lambda: responding().lab("anc", 0.9).order(600),
    ),
    Row(
        "DO-14",
        "dosing.take-with-meal",
        "info",
        lambda: treated(days=0).order(400, dosageInstruction=PLAIN),
    ),
    Row(
        "DO-15",
        "dosing.adjuvant-gist-stopped-early",
        "info",
        lambda: treated("GIST, adjuvant after resection", days=400).order(
            400, status="stopped", id="medications-0"
        ),
    ),
    Row(
        "DO-16",
        "dosing.fip1l1-pdgfra-start",
        "info",
        lambda: eosinophilic(days=0).order(400),
        hook=SELECT,
    ),
    Row("RS-01", "response.warning-3-months", "warning", lambda: milestone(95, 15)),
    Row("RS-02", "response.warning-6-months", "warning", behind),
    Row("RS-03", "response.failure-6-months", "critical", lambda: milestone(190, 15)),
    Row("RS-04", "response.warning-12-months", "warning", lambda: milestone(370, 0.5)),
    Row("RS-05", "response.failure-12-months", "critical", lambda: milestone(370, 2.5)),
    Row(
        "RS-06",
        "response.mmr-lost",
        "warning",
        lambda: treated(days=900).lab("is", 0.05, 300).lab("is", 0.4, 60).lab("is", 0.6, 5),
    ),
    Row("RS-07", "response.t315i", "critical", lambda: behind().gene("BCR::ABL1 T315I")),
    Row("RS-08", "response.pdgfra-d842v", "critical", lambda: gist().gene("PDGFRA D842V")),
    Row("RS-09", "response.pcr-overdue", "info", lambda: treated().lab("is", 5, 150)),
    Row("RS-10", "response.treatment-free-remission", "info", deep),
    Row("RS-11", "response.mmr-lost-off-therapy", "critical", off_treatment),
    Row(
        "RS-12",
        "response.check-before-switch",
        "info",
        lambda: milestone(370, 2.5).medicine("dasatinib", 100, draft=True),
        hook=SELECT,
    ),
    Row("PG-01", "pharmacogenetics.cyp2c8-4", "info", lambda: responding().gene("CYP2C8*1/*4")),
    Row(
        "PG-02", "pharmacogenetics.abcg2-421a", "info", lambda: responding().gene("ABCG2 c.421C>A")
    ),
    Row("PG-03", "", "", lambda: responding().level(1400).gene("CYP3A5*3/*3")),
    Row("PE-01", "paediatrics.dose-high", "warning", lambda: child().order(500)),
    Row("PE-02", "paediatrics.cap-all", "critical", lambda: child(ALL).order(700)),
    Row("PE-03", "paediatrics.body-surface-old", "info", lambda: child(measured=200).order(300)),
    Row("PE-04", "paediatrics.cytopenia-first", "critical", lambda: child().lab("anc", 0.9)),
    Row("PE-05", "paediatrics.liver-hold", "critical", lambda: child().lab("alt", 248)),
    Row("PE-06", "paediatrics.growth", "warning", lambda: child(measured=200)),
    Row("PE-07", "paediatrics.borrowed-target", "info", lambda: child().level(900, mg=300)),
    Row("PE-08", "paediatrics.young-cml", "warning", lambda: child(age=1, days=0).order(200)),
    Row(
        "PE-09",
        "paediatrics.cytopenia-advanced",
        "critical",
        lambda: child(ALL).lab("anc", 0.4),
        EU,
    ),
    Row(
        "PS-01",
        "safety.pregnancy",
        "critical",
        lambda: responding(age=30, sex="female").diagnosis("Pregnancy", "Z33.1", 20),
    ),
    Row("PS-02", "safety.contraception", "warning", lambda: starting(age=30, sex="female")),
    Row(
        "PS-03",
        "safety.breast-feeding",
        "warning",
        lambda: responding(age=30, sex="female").diagnosis("Breast-feeding", "Z39.1", 20),
    ),
    Row("PS-04", "safety.hepatitis-b-test", "warning", lambda: starting(looked=False)),
    Row(
        "PS-05",
        "safety.hepatitis-b-carrier",
        "warning",
        lambda: responding().lab("hbsag", "reactive"),
    ),
    Row("PS-06", "safety.eosinophilia-start", "warning", lambda: eosinophilic(days=0).order(100)),
    Row("PS-07", "safety.allergy", "critical", with_allergy),
    Row("PS-08", "", "", starting),
    Row("AD-01", "adherence.coverage-low", "warning", lambda: treated(**LATE).supply(every=35)),
    Row(
        "AD-02",
        "adherence.coverage-very-low-cml",
        "critical",
        lambda: treated(**LATE).supply(every=45),
    ),
    Row(
        "AD-03", "adherence.level-below-expected", "warning", lambda: treated().level(50, bound="<")
    ),
    Row(
        "AD-04",
        "adherence.levels-vary",
        "info",
        lambda: (
            treated().level(2400, days=150).level(500, days=120).level(2200, days=60).level(600)
        ),
    ),
    Row("AD-05", "adherence.ask-before-increase", "info", lambda: behind(**LATE).order(600)),
    Row(
        "AD-06", "adherence.refill-late", "info", lambda: treated(**LATE).supply(first=226, last=40)
    ),
    Row(
        "AD-07",
        "adherence.response-lost",
        "warning",
        lambda: treated(days=900).lab("is", 0.05, 100).lab("is", 0.6, 5),
    ),
    Row("AD-08", "adherence.adolescent", "info", lambda: treated(age=16, **LATE).supply(every=35)),
    Row(
        "AD-09",
        "adherence.level-fine-supply-low",
        "info",
        lambda: treated(**LATE).supply(every=42).level(1400),
    ),
    Row(
        "missed dose",
        "adherence.missed-dose-advice-us",
        "info",
        lambda: treated(**LATE).supply(every=35),
        US,
    ),
]
PLAIN = [
    {
        "text": "once daily",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": {"value": 400, "unit": "mg"}}],
    }
]
READABLE = 2850
"""Letters of a card's detail: more is not read. Most cards have half of it."""
ELSEWHERE = {
    "PG-04": "orders of laboratory tests are not read",
    "SQ-13": "the reader keeps the latest of several reports (tests/fhir)",
}


@pytest.mark.parametrize(
    ("row", "label"), [pytest.param(r, u, id=f"{r.row}-{u}") for r in ROWS for u in r.labels]
)
def test_a_row_speaks_where_it_should(row: Row, label: str, ask: Ask, knowledge: Knowledge) -> None:
    cards = ask(row.chart().request(row.hook), label)
    spoken = {rule for card in cards for rule in rules_of(card)}
    assert all(len(_as_read(card["detail"])) <= READABLE for card in cards)
    if not row.rule:
        assert spoken <= {"trough.first-level-due"}
        return
    assert row.rule in spoken
    rule = next(r for r in knowledge.rulebook.rules if r.id == row.rule)
    assert rule.then.severity is Severity[row.severity.upper()]


def _as_read(detail: str) -> str:
    """A detail without the addresses of its links and the signs of Markdown."""
    seen = re.sub(r"\]\([^)]*\)|\n\| ---.*|[*`\\[\]]", "", detail)
    return seen.replace("&gt;", ">").replace("&lt;", "<")


def test_every_row_of_the_rulebook_has_a_chart(knowledge: Knowledge) -> None:
    named = {rule.row for rule in knowledge.rulebook.rules if rule.row}
    assert named <= {row.row for row in ROWS}
    assert not named & set(ELSEWHERE)


def _said(cards: list[dict[str, Any]], rule: str) -> str:
    return str(next(card["detail"] for card in cards if rule in rules_of(card)))


def test_no_dose_is_weighed_beside_a_pregnancy(ask: Ask) -> None:
    low = behind(age=30, sex="female").level(720)
    assert "trough.cml-below-target" in {r for c in ask(low.request(), "us") for r in rules_of(c)}
    cards = ask(low.diagnosis("Pregnancy", "Z33.1", 20).request(), "us")
    assert [rules_of(card) for card in cards] == [
        ("safety.pregnancy",),
        ("response.warning-6-months",),
    ]


def test_a_measured_trough_far_from_the_estimate_is_explained(ask: Ask) -> None:
    high = _said(ask(swollen().level(3300).request(), "us"), "trough.high-with-toxicity")
    assert "Measured 3300, expected" in high
    assert "itself is above the target range" in high
    low = _said(ask(behind().level(720).request(), "us"), "trough.cml-below-target")
    assert "Measured" not in low


@pytest.mark.parametrize(("status", "said"), [("preliminary", True), ("final", False)])
def test_a_preliminary_result_acts_and_is_said(status: str, said: bool, ask: Ask) -> None:
    cards = ask(responding().lab("anc", 0.8, status=status).request(), "us")
    assert ("**Preliminary:** Neutrophils" in _said(cards, "toxicity.cytopenia-first")) is said


@pytest.mark.parametrize(
    ("chart", "rule", "summary"),
    [
        (lambda: responding().lab("anc", 1.0, bound="<"), "toxicity.cytopenia-first", "<1 "),
        (lambda: responding().lab("alt", 200, bound=">"), "toxicity.transaminases-hold", ">5 "),
        (
            lambda: treated(days=190).lab("is", 60, 188).lab("is", 10, 5, bound=">"),
            "response.failure-6-months",
            ">10%",
        ),
    ],
)
def test_a_bound_lies_beyond_the_limit_it_names(
    chart: Callable[[], Chart], rule: str, summary: str, ask: Ask
) -> None:
    cards = ask(chart().request(), "us")
    assert summary in next(c["summary"] for c in cards if rule in rules_of(c))
    assert "Reported as a bound" in _said(cards, rule)


def test_low_supply_is_said_once_while_a_rise_is_ordered(ask: Ask) -> None:
    cards = ask(behind(**LATE).supply(every=35).level(800).order(600).request(), "us")
    assert [rules_of(card) for card in cards] == [
        ("adherence.increase-despite-poor-supply",),
        ("response.warning-6-months",),
    ]
    assert "800 ng/mL" in cards[0]["detail"]


def test_the_label_maximum_leads_where_a_single_dose_is_also_too_large(ask: Ask) -> None:
    lead = {u: rules_of(ask(responding().order(800).request(), u)[0])[0] for u in ("us", "eu")}
    assert lead["us"] == "dosing.above-us-chronic-phase-maximum"
    assert lead["eu"] == "dosing.single-dose-too-large"


@pytest.mark.parametrize("unit", ["ug/mL", "mg/L", "mcg/mL", "\N{MICRO SIGN}g/ml"])
def test_every_spelling_of_a_milligram_a_litre_is_read(unit: str, ask: Ask) -> None:
    spelt = {"value": 0.72, "unit": unit}
    cards = ask(behind().level(1, valueQuantity=spelt).request(), "us")
    assert "Imatinib trough 720 ng/mL is below 1000 ng/mL" in cards[0]["summary"]


def test_the_dose_of_a_child_who_was_not_measured_is_said_not_to_be_checked(ask: Ask) -> None:
    cards = ask(treated("CML", age=9, mg=300).order(600).request(), "us")
    assert [rules_of(card) for card in cards] == [("paediatrics.body-surface-missing",)]
