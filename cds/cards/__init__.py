"""Assessment -> CDS Hooks cards: merged, capped, quiet where answered, and whole."""

from __future__ import annotations

from cds.cards.build import cards_for
from cds.cards.card_set import CardSet, FindingState
from cds.cards.content import CardContent
from cds.cards.quiet import Answer, Outcome, QuietPolicy, Suppressed
from cds.cards.terminal import Screen, render_response
from cds.cards.wire import Card, ReportLink, without_empties

__all__ = [
    "Answer",
    "Card",
    "CardContent",
    "CardSet",
    "FindingState",
    "Outcome",
    "QuietPolicy",
    "ReportLink",
    "Screen",
    "Suppressed",
    "cards_for",
    "render_response",
    "without_empties",
]
