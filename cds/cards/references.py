"""Which orders and which results a card is about, as FHIR references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cds.assess.assessment import Assessment
from cds.clinical.finding import Finding
from cds.clinical.medication import Medicine
from cds.clinical.regimen import DrugOrder, OrderStatus

_ORDERS = ("MedicationRequest/", "MedicationStatement/", "ServiceRequest/")


def implicated(findings: Sequence[Finding], assessment: Assessment) -> dict[str, list[str]]:
    """Return the order and observation references for the card's extension."""
    cited = _once(ref for finding in findings for ref in finding.references)
    orders = [ref for ref in cited if ref.startswith(_ORDERS)]
    orders += [o.reference for o in drafts_of_drug(assessment) if o.reference not in orders]
    current = assessment.course.current_order
    if current and current not in orders:
        orders.append(current)
    observations = [ref for ref in cited if ref.startswith("Observation/")]
    shows_level = {"level", "dose-table", "adherence", "exposure"}
    latest = assessment.latest_level
    if latest and any(shows_level & set(finding.show) for finding in findings):
        observations.append(latest.level.reference)
    return {"orders": orders, "observations": _once(observations)}


def drafts_of_drug(assessment: Assessment) -> list[DrugOrder]:
    """Return the orders of the monitored drug being written now, the selected ones if any are.

    An order whose end or hold is being signed is not among them: a suggestion may not undo it.
    """
    drafts = [
        order
        for order in assessment.record.orders
        if order.is_draft and order.status is OrderStatus.DRAFT
    ]
    return [order for order in drafts if order.selected] or drafts


def draft_medicines(findings: Iterable[Finding], assessment: Assessment) -> list[Medicine]:
    """Return the other medicines being ordered now that these findings are about."""
    cited = {ref for finding in findings for ref in finding.references}
    return [m for m in assessment.record.medicines if m.is_draft and m.reference in cited]


def _once(references: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(references))
