"""What an evaluation hands back: findings, and for every rule what became of it."""

from __future__ import annotations

from msgspec import Struct

from cds.clinical.finding import Finding
from cds.rulebook.facts import Fact
from cds.rulebook.rule import Outcome, Status


class MatchedFacts(Struct, frozen=True):
    """One combination of facts that made a rule fire, by binding."""

    facts: tuple[tuple[str, Fact], ...]

    def __getitem__(self, binding: str) -> Fact:
        return dict(self.facts)[binding]


class RuleTrace(Struct, frozen=True):
    """What became of one rule and what decided."""

    rule_id: str
    revision: int
    status: Status
    outcome: Outcome
    matches: tuple[MatchedFacts, ...] = ()
    missing: tuple[str, ...] = ()
    """`binding.attribute` that would have decided; also for a rule that fired on other facts."""
    because: tuple[str, ...] = ()
    """In words: what no fact satisfies (silent), or why the rule is not asked (not applicable)."""
    silent: bool = False
    """A considered silence: it fires only here."""


class Verdict(Struct, frozen=True):
    """The conclusion of one evaluation; findings are empty whenever the evaluators disagree."""

    findings: tuple[Finding, ...]
    shadow: tuple[Finding, ...]
    trace: tuple[RuleTrace, ...]
    agreed: bool
    disagreement: str | None
    revision: str
    speaking: tuple[RuleTrace, ...] = ()
    """Of the trace, what is no silence: the few rules that fired, and those left undecided."""

    def of(self, rule_id: str) -> RuleTrace:
        """The trace of one rule."""
        return next(trace for trace in self.trace if trace.rule_id == rule_id)
