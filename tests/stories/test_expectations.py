"""What a clinical pharmacologist expects of a chart, written before the product was asked.

Each case is one chart over the real service: the rules that must speak and those that must not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from cds.demo.compare import rules_of
from tests.stories.chart import Chart, at, behind, responding, treated
from tests.stories.conftest import Ask

GIST, ALL = "GIST, metastatic", "Philadelphia chromosome positive acute lymphoblastic leukaemia"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CONFIRMED = ("response.failure-3-months",), ("response.warning-3-months",)
OVERDUE = "response.pcr-overdue-off-therapy"
FEEDING = "safety.breast-feeding"
TAKEN = ("trough.cml-below-target",)


class Case(NamedTuple):
    """A chart and what it must lead to; `silent` if to no card at all."""

    name: str
    chart: Callable[[], Chart]
    says: tuple[str, ...] = ()
    not_says: tuple[str, ...] = ()
    label: str = "us"
    silent: bool = False


def given_once(chart: Chart, what: str, days: float) -> Chart:
    """A dose on the ward, of which no order is on record."""
    return chart.keep(
        "administrations",
        "MedicationAdministration",
        medicationCodeableConcept={"text": what},
        effectiveDateTime=at(days),
    )


def stopping(chart: Chart) -> Chart:
    return chart.order(400, status="stopped", id="medications-0")


def nursing(days: float) -> Chart:
    stopped = treated(days=0, age=36, sex="female").imatinib(days=800, status="stopped", until=days)
    return stopped.diagnosis("Lactating", days=5)


def milestone(days: float, percent: float) -> Chart:
    return treated(days=days).lab("is", 60, days).lab("is", percent, 3)


def in_mr4(days: float, first: float, last: float) -> Chart:
    chart = treated(days=days)
    for at_day in (first, (first + last) / 2, last):
        chart.lab("is", 0.004, at_day)
    return chart


def off(days: float, tested: float) -> Chart:
    chart = treated(days=0).imatinib(days=2800, status="stopped", until=days)
    return chart.lab("is", 0.003, 1500).lab("is", 0.002, tested)


def both() -> Chart:
    return treated(days=0).diagnosis(GIST, days=300).lab("status", "Stable disease", 10)


def ordering(what: str) -> Chart:
    return responding().medicine(what, draft=True)


CASES = [
    Case(
        "sunitinib is signed while imatinib goes on",
        lambda: treated(GIST).medicine("sunitinib", 50, draft=True),
        ("interactions.second-kinase-inhibitor-gist",),
    ),
    Case(
        "avapritinib is signed together with the stop of imatinib",
        lambda: stopping(treated(GIST).gene("PDGFRA D842V").medicine("avapritinib", draft=True)),
        silent=True,
    ),
    Case(
        "quinidine in a combination", lambda: ordering("Nuedexta"), ("interactions.narrow-margin",)
    ),
    Case("breast-feeding 10 days after the last dose", lambda: nursing(10), (FEEDING,)),
    Case("breast-feeding 40 days after the last dose", lambda: nursing(40), (), (FEEDING,)),
    Case("breast-feeding 20 days after it in Europe", lambda: nursing(20), (), (FEEDING,), "eu"),
    Case(
        "pegaspargase given on the ward ten days ago",
        lambda: given_once(treated(ALL, mg=600, days=40), "Oncaspar", 10),
        ("interactions.asparaginase",),
    ),
    Case(
        "HES: from 100 to 400 mg is the step of the European label",
        lambda: treated("Hypereosinophilic syndrome", mg=100).order(400),
        (),
        ("trough.ordered-dose-jump",),
        "eu",
    ),
    Case(
        "neutrophils 0.8 twelve days ago and none since",
        lambda: treated(looked=False).lab("anc", 0.8, 12),
        ("toxicity.low-count-not-repeated",),
        ("toxicity.cytopenia-first",),
    ),
    Case(
        "the same, counted again",
        lambda: treated(looked=False).lab("anc", 0.8, 12).lab("anc", 1.8),
        (),
        ("toxicity.low-count-not-repeated",),
    ),
    Case(
        "ALT six times the limit three weeks ago and none since",
        lambda: treated(looked=False).lab("alt", 240, 21),
        ("toxicity.liver-test-not-repeated",),
        ("toxicity.transaminases-hold",),
    ),
    Case(
        "creatinine doubled, no filtration rate on record",
        lambda: responding().lab("creatinine", 80, 212).lab("creatinine", 190),
        ("toxicity.creatinine-risen",),
    ),
    Case(
        "creatinine up by a third",
        lambda: responding().lab("creatinine", 80, 212).lab("creatinine", 106),
        (),
        ("toxicity.creatinine-risen",),
    ),
    Case(
        "1.2 mg/L and 1.2 umol/L of one draw: the conflict leads",
        lambda: behind().level(1.2, unit="mg/L").level(1.2, unit="umol/L"),
        ("sampling.values-conflict",),
        ("sampling.unit-converted",),
    ),
    Case(
        "a rise while a hold is due: the level is not called sufficient",
        lambda: responding(mg=600).lab("anc", 0.7).level(3600, mg=600).order(400, 2),
        ("toxicity.cytopenia-first", "dosing.increase-with-severe-toxicity"),
        ("trough.increase-despite-sufficient-level",),
    ),
]


CASES += [
    Case(
        "CML and GIST on record, the order does not say for which",
        lambda: both().imatinib().level(1050),
        ("trough.indication-unknown",),
        ("response.pcr-overdue", "trough.gist-between-thresholds"),
    ),
    Case(
        "the same, the order points to the GIST",
        lambda: both().imatinib(reasonReference=[{"reference": "Condition/dx-1"}]).level(1050),
        ("trough.gist-between-thresholds",),
        ("response.pcr-overdue",),
    ),
    Case(
        "the same, the order names the CML by code",
        lambda: (
            both().imatinib(reasonCode=[{"coding": [{"system": ICD, "code": "C92.10"}]}]).level(700)
        ),
        ("trough.cml-below-target-response-unknown",),
        ("trough.gist-below-target-ask-adherence",),
    ),
    Case(
        "low counts are held by what holds for both diseases",
        lambda: both().imatinib().lab("anc", 0.7),
        ("toxicity.cytopenia-first",),
    ),
    Case(
        "GIST known from the reason of the order alone",
        lambda: (
            Chart(60, "male").imatinib(reasonCode=[{"text": GIST}]).lab("status", "SD").level(900)
        ),
        ("trough.gist-between-thresholds",),
        ("trough.indication-unknown",),
    ),
]
CASES += [
    Case(
        "CML: stable disease is no molecular response",
        lambda: treated().lab("status", "Stable disease", 20).level(700),
        ("trough.cml-below-target-response-unknown",),
        ("trough.cml-below-target-responding",),
    ),
    Case(
        "CML: progression counts without a transcript",
        lambda: treated().lab("status", "Progressive disease", 20).level(700),
        TAKEN,
    ),
]
CASES += [
    Case(
        f"12 % at 3 months, then 11 % {days} days later",
        lambda days=days: (
            treated(days=148).lab("is", 80, 148).lab("is", 12, 3 + days).lab("is", 11, 3)
        ),
        says,
        not_says,
    )
    for days, says, not_says in ((56, *CONFIRMED), (20, *CONFIRMED[::-1]))
]
CASES += [
    Case(
        "80 % at the start, then 12 % at 3 months: nothing is confirmed",
        lambda: milestone(85, 12),
        *CONFIRMED[::-1],
    ),
    Case(
        "mutation Y253H beside a warning response",
        lambda: milestone(430, 0.3).gene("BCR::ABL1 Y253H detected"),
        ("response.abl1-mutation",),
    ),
    Case(
        "Y253H looked for and not found",
        lambda: milestone(430, 0.3).gene("BCR::ABL1 Y253H not detected"),
        (),
        ("response.abl1-mutation",),
    ),
    Case(
        "TSH 30 on levothyroxine without a thyroid, the pair long known",
        lambda: (
            responding()
            .procedure("Total thyroidectomy")
            .medicine("levothyroxine", 0.1, days=2000)
            .lab("tsh", 30)
        ),
        ("interactions.levothyroxine-tsh-high",),
    ),
    Case(
        "a stop after three years, MR4 for eight months",
        lambda: stopping(in_mr4(1100, 240, 20)),
        ("response.stop-before-criteria",),
    ),
    Case("a stop after seven years of MR4", lambda: stopping(in_mr4(2600, 1500, 20)), silent=True),
    Case(
        "a stop because of a switch",
        lambda: stopping(in_mr4(1100, 240, 20).medicine("dasatinib", 100, draft=True)),
        (),
        ("response.stop-before-criteria",),
    ),
    Case("off imatinib for 95 days, tested 70 days ago", lambda: off(95, 70), (OVERDUE,)),
    Case("off imatinib for 95 days, tested 30 days ago", lambda: off(95, 30), (), (OVERDUE,)),
    Case("off imatinib for two years, tested 70 days ago", lambda: off(730, 70), (), (OVERDUE,)),
    Case(
        "aggressive mastocytosis with eosinophilia is begun",
        lambda: treated("Aggressive systemic mastocytosis with eosinophilia", days=0).order(100),
        ("safety.eosinophilia-start",),
    ),
    Case(
        "the same as two entries",
        lambda: (
            treated("Aggressive systemic mastocytosis", days=0)
            .diagnosis("Eosinophilia", "D72.10")
            .order(100)
        ),
        ("safety.eosinophilia-start",),
    ),
    Case(
        "200 mg after years of MR4 is a planned step",
        lambda: in_mr4(2200, 1500, 60).order(200),
        (),
        ("trough.ordered-dose-jump", "dosing.low-dose-adult-cml"),
    ),
    Case(
        "co-codamol is paracetamol",
        lambda: ordering("Co-codamol 30/500").lab("alt", 160),
        ("interactions.paracetamol-liver",),
    ),
]
CASES += [
    Case(
        f"neutrophils {first:g} and {second:g} of one draw: the lower counts",
        lambda first=first, second=second: (
            treated(looked=False).lab("anc", first).lab("anc", second)
        ),
        ("toxicity.cytopenia-first",),
    )
    for first, second in ((0.8, 1.9), (1.9, 0.8))
]
CASES += [
    Case(
        "ALT 250 and 25 U/L of one draw: the higher counts",
        lambda: treated(looked=False).lab("alt", 25).lab("alt", 250),
        ("toxicity.transaminases-hold",),
    ),
    Case(
        "a final count counts before a preliminary one",
        lambda: treated(looked=False).lab("anc", 1.9).lab("anc", 0.8, status="preliminary"),
        (),
        ("toxicity.cytopenia-first",),
    ),
]
CASES += [
    Case(
        "thirty tablets of 100 mg a month are no supply for 400 mg a day",
        lambda: behind(supplied=False).supply(mg=100).level(700),
        ("trough.cml-below-target-adherence-doubtful", "adherence.coverage-very-low-cml"),
        TAKEN,
    ),
    Case(
        "a hundred and twenty of them are",
        lambda: behind(supplied=False).supply(mg=400).level(700),
        TAKEN,
        ("adherence.coverage-very-low-cml",),
    ),
]
CASES += [
    Case(
        "a low trough, supply complete, non-adherence recorded",
        lambda: behind().level(700).diagnosis("Nonadherence to medication", "Z91.148", 20),
        ("trough.cml-below-target-adherence-doubtful",),
        TAKEN,
    ),
    Case(
        "the same in words alone",
        lambda: behind().level(700).diagnosis("Medication non-adherence", days=20),
        ("trough.cml-below-target-adherence-doubtful",),
        TAKEN,
    ),
    Case(
        "the same a year ago",
        lambda: behind().level(700).diagnosis("Nonadherence to medication", "Z91.148", 365),
        TAKEN,
    ),
    Case(
        "a rise, supply complete, non-adherence recorded",
        lambda: behind().diagnosis("Nonadherence to medication", "Z91.148", 20).order(600),
        ("adherence.increase-despite-non-adherence",),
        ("adherence.ask-before-increase",),
    ),
]
CASES += [
    Case(
        f"a low trough, {words} three days before the sample",
        lambda words=words: behind().level(550).diagnosis(words, days=5),
        ("sampling.interrupted",),
        TAKEN,
    )
    for words in ("Vomiting", "Nausea with vomiting", "Übelkeit und Erbrechen")
]
CASES += [
    Case(
        f"a low trough, {words} {days} days ago",
        lambda words=words, days=days: behind().level(550).diagnosis(words, days=days),
        TAKEN,
        ("sampling.interrupted",),
    )
    for words, days in (("Vomiting", 60), ("No vomiting", 5), ("Vomiting prophylaxis", 5))
]
CASES += [
    Case(
        f"a low trough; comment: {comment}",
        lambda comment=comment: behind().level(550, note=[{"text": comment}]),
        TAKEN if usable else ("sampling.interrupted",),
        () if usable else TAKEN,
    )
    for comment, usable in (
        ("Patient missed the last two doses before the sample.", False),
        ("Zwei Einnahmen vergessen", False),
        ("No missed doses.", True),
        ("Low levels may reflect missed doses.", True),
    )
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_chart_gets_what_an_expert_expects(case: Case, ask: Ask) -> None:
    cards: list[dict[str, Any]] = ask(case.chart().request(), case.label)
    spoken = {rule for card in cards for rule in rules_of(card)}
    assert set(case.says) <= spoken
    assert not set(case.not_says) & spoken
    if case.silent:
        assert cards == []
