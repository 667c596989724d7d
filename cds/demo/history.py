"""An invented past for the demo, so that the safety board has something to show.

The decisions just made for the story patients are repeated over the weeks before today, with
answers that chance picks. Everything stands under the client `synthetic`, which the board names.
In the last weeks a fault is played: a laboratory sends levels whose unit cannot be read, and a rule
about low levels falls silent.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from cds.store import CardRow, FeedbackEntry, Kind, LedgerEntry, Store

CLIENT = "synthetic"
_WEEKS = 34
_FAULT_WEEKS = 5
_EARLIER_WEEKS = 14
"""Before this, an earlier revision of the rulebook decided."""
_DECISIONS_A_WEEK = (34, 52)
_FALLS_SILENT = "trough.cml-below-target"
_UNREADABLE = "level-unit-unreadable"
_COMMON = 4
"""How much more often than others the story is repeated that the fault concerns."""
_OUTCOMES = {"accepted": 38, "overridden": 34, "": 28}
"""How often cards are answered so, in invented percent; the rest stay without answer."""
_COMMENTS = (
    "Invented: seen in clinic, dose stays until the next level",
    "Invented: patient reports vomiting, level to be repeated",
    "Invented: level was drawn in the evening, not a trough",
    "Invented: already discussed with the transplant team",
    "Invented: rule does not know that the inducer was stopped last week",
)
_COMMENT_SHARE = 0.3


class Week(Struct, frozen=True):
    """What is written for one week."""

    decisions: tuple[LedgerEntry, ...]
    answers: tuple[FeedbackEntry, ...]
    received: datetime


def invent_history(
    store: Store, reasons: Sequence[tuple[str, str]], now: datetime, seed: int = 1
) -> int:
    """Write the invented weeks; returns how many decisions they hold."""
    patterns = [entry for entry in store.bare_decisions() if entry.counted.panel is not None]
    written = 0
    for week in invented_weeks(patterns, reasons, now, seed):
        store.record_all(week.decisions)
        store.add_feedback(CLIENT, "synthetic", week.answers, week.received)
        written += len(week.decisions)
    return written


def invented_weeks(
    patterns: Sequence[LedgerEntry], reasons: Sequence[tuple[str, str]], now: datetime, seed: int
) -> Iterator[Week]:
    """The past from the oldest week on; the same seed gives the same past."""
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    unread = [p for p in patterns if _has(p, Kind.UNREAD, _UNREADABLE)]
    weights = [_COMMON if _has(p, Kind.FIRED, _FALLS_SILENT) else 1 for p in patterns]
    for ago in range(_WEEKS if patterns else 0, 0, -1):
        begins = now - timedelta(weeks=ago)
        faulty = ago <= _FAULT_WEEKS and bool(unread)
        drawn = chance.choices(patterns, weights, k=chance.randint(*_DECISIONS_A_WEEK))
        decisions = [
            _repeated(
                unread[0] if faulty and _has(pattern, Kind.FIRED, _FALLS_SILENT) else pattern,
                begins,
                ago,
                chance,
            )
            for pattern in drawn
        ]
        answers = [
            answer
            for decision in decisions
            for shown in decision.cards
            for answer in _answer(shown, decision.at, reasons, chance)
        ]
        yield Week(tuple(decisions), tuple(answers), begins + timedelta(days=7))


def _repeated(
    pattern: LedgerEntry, begins: datetime, ago: int, chance: random.Random
) -> LedgerEntry:
    cards = tuple(
        replace(
            card,
            uuid=_uuid(chance),
            suggestions=tuple(_uuid(chance) for _ in card.suggestions),
        )
        for card in pattern.cards
    )
    earlier = ago > _EARLIER_WEEKS
    return replace(
        pattern,
        evaluation=_uuid(chance),
        at=begins + timedelta(minutes=chance.randrange(7 * 24 * 60)),
        client=CLIENT,
        hook_instance=_uuid(chance),
        patient=f"invented-{chance.randrange(400)}",
        rulebook_revision="invented" * 8 if earlier else pattern.rulebook_revision,
        cards=cards,
        body=None,
    )


def _answer(
    shown: CardRow, at: datetime, reasons: Sequence[tuple[str, str]], chance: random.Random
) -> Iterator[FeedbackEntry]:
    weights: Mapping[str, int] = _OUTCOMES
    outcome = chance.choices(list(weights), list(weights.values()))[0]
    if outcome == "accepted" and not shown.suggestions:
        outcome = ""  # there is nothing on this card to accept
    if not outcome:
        return
    overridden = outcome == "overridden"
    # A few reasons are given often and most seldom, as everywhere.
    system, code = reasons[min(int(chance.expovariate(0.45)), len(reasons) - 1)]
    yield FeedbackEntry(
        card=shown.uuid,
        outcome=outcome,
        outcome_at=at + timedelta(minutes=chance.randint(1, 30)),
        suggestions=() if overridden else (shown.suggestions[0],),
        reason_system=system if overridden else None,
        reason_code=code if overridden else None,
        comment=chance.choice(_COMMENTS)
        if overridden and chance.random() < _COMMENT_SHARE
        else None,
    )


def _has(pattern: LedgerEntry, kind: Kind, item: str) -> bool:
    return any(count.kind is kind and count.item == item for count in pattern.counted.counts)


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
