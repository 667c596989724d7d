"""An order of something else is not the moment for a low trough - only for what bears on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cds.assess.assessment import Assessment
from cds.cards.quiet import Spoken
from cds.cards.relevance import about_the_order
from cds.clinical.finding import Finding, Matter, Severity
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
