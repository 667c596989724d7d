"""While something else is ordered, only what bears on that order is said - or what cannot wait."""

from __future__ import annotations

from collections.abc import Iterable

from cds.assess.assessment import Assessment
from cds.cards.quiet import Spoken, Suppressed
from cds.clinical.finding import Matter, Severity
from cds.clinical.setting import Occasion

_ORDERING = (Occasion.ORDER_SELECT, Occasion.ORDER_SIGN)
_OF_ANY_ORDER = (Matter.INTERACTION, Matter.SAFETY)


def about_the_order(
    spoken: Iterable[Spoken], assessment: Assessment
) -> tuple[list[Spoken], list[Suppressed]]:
    """Part the findings into those to say at this order and those for another moment.

    When the drug itself is being ordered, everything about it is to the point. When another
    medicine is, a low trough or an overdue test would only interrupt: interactions, safety and
    whatever is critical still speak, the rest waits for the chart or the drug's own order.
    """
    said, quiet = [], []
    other_order = assessment.setting.occasion in _ORDERING and not any(
        order.is_draft for order in assessment.record.orders
    )
    for item in spoken:
        finding = item.finding
        to_the_point = finding.matter in _OF_ANY_ORDER or finding.severity is Severity.CRITICAL
        if other_order and not to_the_point:
            quiet.append(item.suppressed("not about this order"))
        else:
            said.append(item)
    return said, quiet
