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
