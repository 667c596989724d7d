"""Does a response say what the story expects?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cds.demo.stories import ExpectedCard

_EXTENSION = "org.imatinib-tdm.evaluation"


def differences(expected: Sequence[ExpectedCard], response: Mapping[str, Any]) -> list[str]:
    """Return what is missing, wrong or too much, in words; empty when the answer is as expected.

    Cards are told apart by their rules. Summaries are not compared here: numbers of days in them
    depend on the hour at which the story is played.
    """
    cards = list(response.get("cards", []))
    found: list[str] = []
    for wanted in expected:
        card = next((card for card in cards if set(rules_of(card)) == set(wanted.rules)), None)
        rules = ", ".join(wanted.rules)
        if card is None:
            found.append(f"missing: the {wanted.indicator} card of {rules}")
            continue
        cards.remove(card)
        if card["indicator"] != wanted.indicator:
            found.append(f"{rules}: {card['indicator']} instead of {wanted.indicator}")
        found += _offer_differences(wanted, card)
    found += [f"not expected: the card of {', '.join(rules_of(card))}" for card in cards]
    return found


def rules_of(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the rules behind a card."""
    evaluation = card.get("extension", {}).get(_EXTENSION, {})
    return tuple(rule["id"] for rule in evaluation.get("rules", ()))


def _offer_differences(wanted: ExpectedCard, card: Mapping[str, Any]) -> list[str]:
    suggestions = card.get("suggestions", [])
    offered = [str(suggestion["label"]) for suggestion in suggestions]
    recommended = next((str(s["label"]) for s in suggestions if s.get("isRecommended")), None)
    rules = ", ".join(wanted.rules)
    found = []
    if offered != list(wanted.offers):
        found.append(f"{rules}: offers {offered} instead of {list(wanted.offers)}")
    if recommended != wanted.recommended:
        found.append(f"{rules}: recommends {recommended!r} instead of {wanted.recommended!r}")
    return found
