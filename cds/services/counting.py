"""What the ledger counts of a decision, so that the safety board can be asked by SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cds.assess import Assessment
from cds.clinical.problem import Impact
from cds.rulebook import Outcome, RuleTrace
from cds.services.decide import Decision
from cds.store import Count, Counted, Kind, Panel, PanelRule

_LOST = (Impact.LIMITS, Impact.PREVENTS)
_PANELS: dict[tuple[str, str, str], Panel] = {}
_MOST_PANELS = 64


def counted(decision: Decision) -> Counted:
    """Return what is counted of a decision; nothing when there was nothing to decide."""
    assessment = decision.assessment
    if assessment is None:
        return Counted()
    asked = _asked(
        assessment.verdict.trace,
        (
            assessment.versions.rulebook,
            assessment.setting.jurisdiction,
            assessment.setting.occasion,
        ),
    )
    return Counted(asked, (*_outcomes(assessment), *_suppressed(decision), *_unread(assessment)))


def _asked(trace: Iterable[RuleTrace], place: tuple[str, str, str]) -> Panel:
    """The panel of a revision, jurisdiction and occasion: which rules apply depends on no more."""
    panel = _PANELS.get(place)
    if panel is None:
        panel = Panel.of(
            PanelRule(one.rule_id, one.revision, one.status.value)
            for one in trace
            if one.outcome is not Outcome.NOT_APPLICABLE
        )
        if len(_PANELS) >= _MOST_PANELS:  # many edits ago
            _PANELS.clear()
        _PANELS[place] = panel
    return panel


def _outcomes(assessment: Assessment) -> Iterator[Count]:
    unread = any(problem.impact in _LOST for problem in assessment.problems)
    shadow = {finding.rule_id for finding in assessment.verdict.shadow}
    for trace in assessment.verdict.speaking:
        if trace.outcome is Outcome.FIRED:
            kind = Kind.SHADOW if trace.rule_id in shadow else Kind.FIRED
            yield Count(kind, trace.rule_id, trace.revision)
        elif trace.outcome is Outcome.UNDECIDED:
            missing = trace.missing[0] if trace.missing else ""
            yield Count(Kind.UNDECIDED, trace.rule_id, trace.revision, missing, unread)


def _suppressed(decision: Decision) -> Iterator[Count]:
    if decision.assessment is None or not decision.cards.suppressed:
        return
    revision = {t.rule_id: t.revision for t in decision.assessment.verdict.trace}
    for item in decision.cards.suppressed:
        yield Count(Kind.SUPPRESSED, item.rule_id, revision.get(item.rule_id, 0), item.reason)


def _unread(assessment: Assessment) -> Iterator[Count]:
    for problem in assessment.problems:
        if problem.impact in _LOST:
            yield Count(Kind.UNREAD, problem.code, detail=problem.impact.value)
