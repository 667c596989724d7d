"""Why a card is shown: the facts that matched, with the limits that hold, in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from cds.demo.compare import rules_of
from tests.stories.conftest import story

if TYPE_CHECKING:
    from flask.testing import FlaskClient

ClientAt = Callable[[datetime], "FlaskClient"]


def why(client_at: ClientAt, identifier: str, rule: str) -> str:
    """The line of one rule on the card of a patient-view."""
    told = story(identifier)
    request = next(h for h in told.hooks if h.hook == "patient-view").request
    answer = client_at(told.now).post("/cds-services/tdm-patient-view", json=request)
    card = next(card for card in answer.get_json()["cards"] if rule in rules_of(card))
    lines: list[str] = card["detail"].splitlines()
    return next(line for line in lines if line.startswith(f"- `{rule}`"))


def test_a_number_stands_beside_the_limit_it_was_held_to(client_at: ClientAt) -> None:
    line = why(client_at, "cml-low-trough", "trough.cml-below-target")

    assert "level (Observation/ex-anders-level)" in line
    assert "trough high 720 ng/mL (below 1000)" in line
    assert "response: on track no" in line


def test_a_limit_of_an_alternative_that_did_not_hold_is_not_claimed(client_at: ClientAt) -> None:
    line = why(client_at, "cml-refill-gap", "trough.cml-below-target-adherence-doubtful")

    assert "trough high 610 ng/mL (below 1000)" in line
    assert "below 493.6" not in line
    assert "pdc 73 % (below 90)" in line


@pytest.mark.parametrize("word", ["setting", "occasion", "jurisdiction"])
def test_what_holds_for_every_card_is_not_repeated(client_at: ClientAt, word: str) -> None:
    assert word not in why(client_at, "cml-low-trough", "trough.cml-below-target")


def test_a_level_is_held_to_the_limit_of_the_disease_at_hand(client_at: ClientAt) -> None:
    line = why(client_at, "dose-limit-kidney", "trough.below-target-at-limit")

    assert "trough high 720 ng/mL (below 1000)" in line
