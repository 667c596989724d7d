"""An order of something else is not the moment for a low trough - only for what bears on it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cds.assess.assessment import Assessment
from cds.cards.quiet import Spoken
from cds.cards.relevance import about_the_order
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.medication import Medicine, UseState
from cds.clinical.setting import Occasion
from tests.cards.patients import assessment, finding

ORDERING = [Occasion.ORDER_SELECT, Occasion.ORDER_SIGN]


def at_another_order(found: Finding, occasion: Occasion) -> Assessment:
    made = assessment(found, occasion=occasion)
    orders = tuple(order for order in made.record.orders if not order.is_draft)
    return replace(made, record=replace(made.record, orders=orders))


def speaks(found: Finding, made: Assessment) -> bool:
    said, quiet = about_the_order([Spoken(found, "d")], made)
    assert len(said) + len(quiet) == 1
    assert not quiet or quiet[0].reason == "not about this order"
    return bool(said)


@pytest.mark.parametrize("occasion", ORDERING)
@pytest.mark.parametrize("matter", [Matter.EXPOSURE, Matter.RESPONSE, Matter.MONITORING])
def test_what_does_not_bear_on_another_order_waits(occasion: Occasion, matter: Matter) -> None:
    found = finding("r", matter, Severity.WARNING)
    assert not speaks(found, at_another_order(found, occasion))


@pytest.mark.parametrize("occasion", ORDERING)
@pytest.mark.parametrize("matter", [Matter.INTERACTION, Matter.SAFETY])
def test_interactions_and_safety_speak_at_every_order(occasion: Occasion, matter: Matter) -> None:
    found = finding("r", matter, Severity.INFO)
    assert speaks(found, at_another_order(found, occasion))


def test_what_is_critical_never_waits() -> None:
    found = finding("r", Matter.TOXICITY, Severity.CRITICAL)
    assert speaks(found, at_another_order(found, Occasion.ORDER_SIGN))


def test_an_order_of_the_drug_itself_hears_everything() -> None:
    found = finding("r", Matter.EXPOSURE, Severity.INFO)
    assert speaks(found, assessment(found, occasion=Occasion.ORDER_SIGN))


def test_the_chart_hears_everything() -> None:
    found = finding("r", Matter.EXPOSURE, Severity.INFO)
    assert speaks(found, at_another_order(found, Occasion.PATIENT_VIEW))


def _medicine(state: UseState, *, is_draft: bool = False) -> Medicine:
    return Medicine(
        ("atorvastatin",), "Atorvastatin", state, "MedicationRequest/m", None, None, is_draft
    )


@pytest.mark.parametrize(
    ("medicine", "heard"),
    [
        (_medicine(UseState.DRAFT, is_draft=True), True),
        (_medicine(UseState.ACTIVE), False),
        (_medicine(UseState.STOPPED), True),
    ],
    ids=["being ordered", "taken", "just stopped"],
)
def test_a_note_on_an_interacting_medicine_speaks_when_that_medicine_is_ordered(
    medicine: Medicine, heard: bool
) -> None:
    found = finding(
        "r", Matter.INTERACTION, Severity.INFO, subject="x", references=(medicine.reference,)
    )
    made = assessment(found, occasion=Occasion.ORDER_SIGN)
    with_it = replace(made, record=replace(made.record, medicines=(medicine,)))
    assert speaks(found, with_it) is heard
    starting = replace(with_it, course=replace(with_it.course, starting=True))
    assert speaks(found, starting)
    warning = replace(found, severity=Severity.WARNING)
    assert speaks(warning, with_it)


def test_a_note_that_only_asks_for_a_level_is_silent_beside_a_graver_one_that_asks_for_it() -> None:
    note = finding("n", Matter.MONITORING, Severity.INFO, suggest=("order-level",))
    grave = finding("g", Matter.INTERACTION, Severity.WARNING, suggest=("order-level",))
    made = assessment(note, grave, occasion=Occasion.PATIENT_VIEW)
    said, quiet = about_the_order([Spoken(note, "1"), Spoken(grave, "2")], made)
    assert [item.finding.rule_id for item in said] == ["g"]
    assert [item.reason for item in quiet] == ["the level is asked for by a graver finding"]
    assert about_the_order([Spoken(note, "1")], made)[0]


def test_what_a_rule_says_about_the_medicine_being_ordered_is_to_the_point() -> None:
    """A change of drug is an order of another medicine; the advice before it must not wait."""
    reference = "MedicationRequest/dasatinib"
    found = finding("r", Matter.RESPONSE, Severity.INFO, references=(reference,))
    made = at_another_order(found, Occasion.ORDER_SIGN)
    other = Medicine(("dasatinib",), "dasatinib", UseState.DRAFT, reference, is_draft=True)
    assert not speaks(found, made)
    assert speaks(found, replace(made, record=replace(made.record, medicines=(other,))))
