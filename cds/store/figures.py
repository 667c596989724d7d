"""What the safety board counts, as values.

A card counts once however often it was shown, because hooks fire again while an order is edited; of
several answers to it the last one counts, for the revision of the rule that was answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from msgspec import Struct, field


class Window(Struct, frozen=True):
    """Which days are counted, both ends included, and whose."""

    first: date
    last: date
    client: str | None = None

    @classmethod
    def always(cls) -> Window:
        """Everything there is."""
        return cls(date.min, date.max)


class RuleFigures(Struct, frozen=True):
    """What became of one revision of one rule."""

    rule: str
    revision: int
    evaluated: int = 0
    """Decisions in which it was asked."""
    fired: int = 0
    shadow: int = 0
    """Decisions in which it would have spoken, were it not only being tried out."""
    undecided: int = 0
    unread: int = 0
    """Of the undecided: decisions in which something could not be read."""
    suppressed: int = 0
    shown: int = 0
    """Different cards that carried it."""
    shown_on_orders: int = 0
    """Of these: cards shown while an order was signed or renewed."""
    accepted: int = 0
    overridden: int = 0
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(system, code) of the override reason -> cards; ("", "") where none was given."""
    missing: Mapping[str, int] = field(default_factory=dict)
    """Fact that was wanting -> decisions left undecided."""

    @property
    def unanswered(self) -> int:
        """Cards of which nobody said what became of them: not the same as overridden."""
        return self.shown - self.accepted - self.overridden


class Figures(Struct, frozen=True):
    """All figures of one window."""

    rules: tuple[RuleFigures, ...]
    decisions: int
    orders: int
    """Decisions made while an order was signed or renewed."""
    unread: Mapping[tuple[str, str], int]
    """(code, impact) of what could not be read -> decisions."""
    revisions: tuple[tuple[date, str], ...]
    """Each rulebook revision with the day it first decided."""
    clients: Mapping[str, int]
    """Who asked -> decisions."""


class Week(Struct, frozen=True):
    """One rule in one week."""

    rule: str
    begins: date
    evaluated: int
    fired: int
    """For a rule that is being tried out: would have fired."""
    undecided: int
    revisions: tuple[int, ...]
    """Revisions of the rule that were asked in that week."""


class Comment(Struct, frozen=True):
    """What a user wrote on a card."""

    at: datetime
    outcome: str
    rules: tuple[str, ...]
    reason: tuple[str, str] | None
    text: str
    evaluation: str
    client: str
