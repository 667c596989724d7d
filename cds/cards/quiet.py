"""Speaking seldom enough to be read: snooze what was answered, cap what remains, report both.

Only an answer snoozes. A card that was merely shown is shown again: hooks fire again and again
while one order is edited, and another clinician has not seen it. An answer holds for one rule, one
patient and one clinical state, and a more severe finding is never covered by an answer to a milder
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field

from cds.cards.trace import Matched
from cds.clinical.finding import SNOOZE_DAYS, Finding, Matter, Severity

_OWN = frozenset({"lab", "condition"})


class Outcome(StrEnum):
    """What CDS Hooks feedback can say about a card."""

    ACCEPTED = "accepted"
    OVERRIDDEN = "overridden"


class Answer(Struct, frozen=True):
    """A clinician's answer to one finding of this patient, from the feedback endpoint."""

    rule_id: str
    state_digest: str
    outcome: Outcome
    at: datetime
    severity: Severity


class QuietPolicy(Struct, frozen=True):
    """How much may be said at once, and for how many days an answer keeps a finding quiet."""

    max_cards: int = 5
    max_info: int = 3
    snooze_days: Mapping[Severity, int] = field(default_factory=lambda: SNOOZE_DAYS)
    rule_snooze_days: Mapping[str, int] = field(default_factory=dict)
    """Rules that say otherwise."""

    def snooze_of(self, rule_id: str, severity: Severity) -> timedelta:
        """Return how long an answer to this rule keeps it quiet."""
        return timedelta(days=self.rule_snooze_days.get(rule_id, self.snooze_days[severity]))


class Suppressed(Struct, frozen=True):
    """A finding that is not on any card, and why; the ledger keeps it."""

    rule_id: str
    matter: Matter
    severity: Severity
    state_digest: str
    reason: str
    subject: str | None = None
    until: datetime | None = None


class Spoken(Struct, frozen=True):
    """A finding with the digest of the state it speaks about, and the facts that made it."""

    finding: Finding
    digest: str
    facts: tuple[Matched, ...] = ()

    def suppressed(self, reason: str, until: datetime | None = None) -> Suppressed:
        """Return the record of not saying it."""
        finding = self.finding
        return Suppressed(
            finding.rule_id,
            finding.matter,
            finding.severity,
            self.digest,
            reason,
            finding.subject,
            until,
        )


def without_answered(
    spoken: Iterable[Spoken], answers: Sequence[Answer], policy: QuietPolicy, now: datetime
) -> tuple[list[Spoken], list[Suppressed]]:
    """Part the findings into those to say and those a clinician has answered in this state."""
    said, quiet = [], []
    for item in spoken:
        until = snoozed_until(item, answers, policy, now)
        if until is None:
            said.append(item)
        else:
            quiet.append(item.suppressed("answered", until))
    return said, quiet


def snoozed_until(
    item: Spoken, answers: Sequence[Answer], policy: QuietPolicy, now: datetime
) -> datetime | None:
    """Return until when an answer keeps this finding quiet, or None if it may speak now.

    Answers from the future (a client's clock ahead of ours) count from now on, not for longer.
    """
    finding = item.finding
    snooze = policy.snooze_of(finding.rule_id, finding.severity)
    ends = [
        min(answer.at, now) + snooze
        for answer in answers
        if answer.rule_id == finding.rule_id
        and answer.state_digest == item.digest
        and answer.severity >= finding.severity
    ]
    return max((end for end in ends if end > now), default=None)


def merged(spoken: Iterable[Spoken]) -> list[list[Spoken]]:
    """Group findings by matter and subject, the most urgent first in and among the groups."""
    groups: dict[tuple[Matter, str | None], list[Spoken]] = {}
    for item in spoken:
        groups.setdefault((item.finding.matter, item.finding.subject), []).append(item)
    for group in groups.values():
        group.sort(key=_urgency)
    order = list(Matter)
    return sorted(
        groups.values(),
        key=lambda group: (
            -group[0].finding.severity,
            order.index(group[0].finding.matter),
            group[0].finding.subject or "",
        ),
    )


def _urgency(item: Spoken) -> tuple[int, bool, str]:
    """The graver first; among limits of a dose, this patient's organs before what is general."""
    of_dose = item.finding.matter is Matter.DOSE
    own = of_dose and any(matched.fact.kind in _OWN for matched in item.facts)
    return -item.finding.severity, not own, item.finding.rule_id


def capped(
    groups: Sequence[list[Spoken]], policy: QuietPolicy
) -> tuple[list[list[Spoken]], list[Suppressed]]:
    """Keep as many groups as one person reads; critical ones are always kept."""
    kept: list[list[Spoken]] = []
    dropped: list[Suppressed] = []
    info = 0
    for group in groups:
        severity = group[0].finding.severity
        over = len(kept) >= policy.max_cards or (
            severity is Severity.INFO and info >= policy.max_info
        )
        if over and severity is not Severity.CRITICAL:
            dropped.extend(item.suppressed("over the limit of cards at once") for item in group)
            continue
        info += severity is Severity.INFO
        kept.append(group)
    return kept, dropped
