"""The cards of one response with what was kept back, and the states that feedback answers."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from cds.cards.quiet import Suppressed
from cds.cards.wire import Card
from cds.clinical.finding import Severity


class FindingState(Struct, frozen=True):
    """A finding as it was put on a card: what feedback on the card will be an answer to."""

    card_uuid: str
    rule_id: str
    revision: int
    severity: Severity
    state_digest: str
    subject: str | None = None


class CardSet(Struct, frozen=True):
    """The cards of one response, what was kept back and why, and the states that were shown."""

    cards: tuple[Card, ...]
    suppressed: tuple[Suppressed, ...] = ()
    state_digests: tuple[FindingState, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """Return the CDS Hooks response; `cards` is there even when there is nothing to say."""
        return {"cards": [card.to_wire() for card in self.cards]}
