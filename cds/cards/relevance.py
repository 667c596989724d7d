"""While something else is ordered, only what bears on that order is said - or what cannot wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cds.assess.assessment import Assessment
from cds.cards.quiet import Spoken, Suppressed
from cds.cards.references import draft_medicines
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.medication import UseState
from cds.clinical.setting import Occasion

_ORDERING = (Occasion.ORDER_SELECT, Occasion.ORDER_SIGN)
_OF_ANY_ORDER = (Matter.INTERACTION, Matter.SAFETY)
_MEASURE = frozenset({"order-level", "missing-level"})
_WEIGHS_DOSES = frozenset({"raise-dose", "lower-dose", "milder-dose", "dose-table"})


def about_the_order(
    spoken: Iterable[Spoken], assessment: Assessment
) -> tuple[list[Spoken], list[Suppressed]]:
    """Part the findings into those to say now and those for another moment, or said already.

    When the drug itself is being ordered, everything about it is to the point. When another
    medicine is, a low trough or an overdue test would only interrupt: interactions, safety and
    whatever is critical still speak, and so does what a rule says about that very order; the rest
    waits for the chart or the drug's own order. A mere note on a medicine that is taken and not
    being ordered waits too. At any moment, a note that only asks for a level is silent beside a
    graver finding that asks for it, and nobody weighs doses of a drug whose use is in question.
    """
    everything = list(spoken)
    said, quiet = [], []
    for item in everything:
        reason = _why_not_now(item.finding, everything, assessment)
        if reason:
            quiet.append(item.suppressed(reason))
        else:
            said.append(item)
    return said, quiet


def _why_not_now(finding: Finding, spoken: Sequence[Spoken], assessment: Assessment) -> str | None:
    if assessment.setting.occasion in _ORDERING:
        ours = any(order.is_draft for order in assessment.record.orders)
        to_the_point = (
            finding.matter in _OF_ANY_ORDER
            or finding.severity is Severity.CRITICAL
            or bool(draft_medicines([finding], assessment))
        )
        if not ours and not to_the_point:
            return "not about this order"
        if _is_note_on_what_is_taken(finding, spoken, assessment):
            return "not about this order"
    if _weighs_doses_in_vain(finding, spoken):
        return "a critical safety finding comes before the dose"
    if finding.severity is Severity.INFO and finding.matter is Matter.MONITORING:
        graver = (o.finding for o in spoken if o.finding.severity > Severity.INFO)
        only_that = bool(finding.suggest) and _MEASURE.issuperset(finding.suggest)
        if only_that and any(not _MEASURE.isdisjoint(o.suggest) for o in graver):
            return "the level is asked for by a graver finding"
    return None


def _weighs_doses_in_vain(finding: Finding, spoken: Sequence[Spoken]) -> bool:
    """Whether this compares doses by the level while a critical safety finding stands.

    "Consider a higher dose" beside a pregnancy or an allergy to the drug would read as advice.
    """
    if finding.matter is not Matter.EXPOSURE or finding.severity is Severity.CRITICAL:
        return False
    stands = (o.finding.matter is Matter.SAFETY for o in spoken if _is_critical(o.finding))
    return not _WEIGHS_DOSES.isdisjoint((*finding.show, *finding.suggest)) and any(stands)


def _is_critical(finding: Finding) -> bool:
    return finding.severity is Severity.CRITICAL


def _is_note_on_what_is_taken(
    finding: Finding, spoken: Sequence[Spoken], assessment: Assessment
) -> bool:
    """Whether this is a note on an interacting medicine that is taken and nobody orders now.

    It is to the point where the drug is being started, and beside graver words on the same pair.
    """
    if finding.matter is not Matter.INTERACTION or finding.severity is not Severity.INFO:
        return False
    if assessment.course.starting:
        return False
    about = [m for m in assessment.record.medicines if m.reference in finding.references]
    taken = [m for m in about if not m.is_draft and m.state is UseState.ACTIVE]
    graver = any(
        o.finding.subject == finding.subject and o.finding.severity > Severity.INFO for o in spoken
    )
    return bool(about) and len(taken) == len(about) and not graver
