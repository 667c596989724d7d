"""Why each rule fired, could not decide or stayed silent, and what the advice rests on."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from cds.assess.assessment import Assessment
from cds.clinical.finding import Finding, SourceCitation
from cds.rulebook import Outcome, Rulebook, RuleTrace
from cds.rulebook.explain import Branch, explain


class Reason(Struct, frozen=True):
    """One line of an explanation: holds (True), does not (False), unknown (None)."""

    depth: int
    holds: bool | None
    words: str

    @property
    def sign(self) -> str:
        """The state in a word, for those who see no colour."""
        return {True: "yes", False: "no", None: "unknown"}[self.holds]


class RuleRow(Struct, frozen=True):
    """One rule and what became of it."""

    id: str
    revision: int
    status: str
    title: str
    group: str
    because: tuple[str, ...]
    reasons: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


class RuleAccount(Struct, frozen=True):
    """All rules by outcome."""

    fired: tuple[RuleRow, ...]
    undecided: tuple[RuleRow, ...]
    silent: tuple[RuleRow, ...]
    not_asked: tuple[RuleRow, ...]
    agreed: bool
    """Whether both evaluators of the rules came to the same verdict."""

    @property
    def count(self) -> int:
        """How many rules the rulebook has."""
        parts = (self.fired, self.undecided, self.silent, self.not_asked)
        return sum(len(part) for part in parts)


def account(assessment: Assessment, rulebook: Rulebook) -> RuleAccount:
    """Return what became of every rule; those that fired or could not decide with their tree."""
    by_outcome: dict[Outcome, list[RuleRow]] = {outcome: [] for outcome in Outcome}
    for trace in assessment.verdict.trace:
        by_outcome[trace.outcome].append(_row(trace, assessment, rulebook))
    return RuleAccount(
        fired=tuple(by_outcome[Outcome.FIRED]),
        undecided=tuple(by_outcome[Outcome.UNDECIDED]),
        silent=tuple(by_outcome[Outcome.SILENT]),
        not_asked=tuple(by_outcome[Outcome.NOT_APPLICABLE]),
        agreed=assessment.verdict.agreed,
    )


def citations(assessment: Assessment, rulebook: Rulebook) -> tuple[SourceCitation, ...]:
    """Return the sources of the findings, the target and the limits, each once."""
    found = {c.key: c for finding in assessment.verdict.findings for c in finding.citations}
    policy = assessment.policy
    for key in (*policy.target.sources, *policy.limits.sources):
        if key in rulebook.sources:
            found.setdefault(key, rulebook.sources[key])
    return tuple(found.values())


def _row(trace: RuleTrace, assessment: Assessment, rulebook: Rulebook) -> RuleRow:
    rule = rulebook.rule(trace.rule_id)
    verdict = assessment.verdict
    shown = trace.outcome in (Outcome.FIRED, Outcome.UNDECIDED)
    return RuleRow(
        id=rule.id,
        revision=rule.revision,
        status=str(rule.status),
        title=rule.title,
        group=rule.group,
        because=trace.because,
        reasons=tuple(_reasons(rule.id, assessment, rulebook)) if shown else (),
        missing=trace.missing,
        findings=tuple(
            finding
            for finding in (*verdict.findings, *verdict.shadow)
            if finding.rule_id == rule.id
        ),
    )


def _reasons(rule_id: str, assessment: Assessment, rulebook: Rulebook) -> Iterator[Reason]:
    explanation = explain(rulebook, assessment.facts, assessment.setting, rule_id)[0]
    branches = explanation.why
    if len(branches) == 1:  # one alternative needs no line of its own
        branches = branches[0].below or branches
    for branch in branches:
        yield from _lines(branch, 0)


def _lines(branch: Branch, depth: int) -> Iterator[Reason]:
    yield Reason(depth, branch.holds, branch.words)
    for below in branch.below:
        yield from _lines(below, depth + 1)
