"""What an order or a statement says the drug is given for."""

from __future__ import annotations

from cds.fhir.context import ReadContext
from cds.fhir.elements import Element, concept, elements, local_reference, referred


def reasons_of(resource: Element, context: ReadContext) -> tuple[str, ...]:
    """Condition keys its reason codes name."""
    named = (
        key
        for reason in elements(resource, "reasonCode")
        for key in context.terminology.conditions_of(concept(reason))
    )
    return tuple(dict.fromkeys(named))


def reason_references_of(resource: Element) -> tuple[str, ...]:
    """References of the conditions it points to, which the record may or may not hold."""
    targets = (referred(reason) for reason in elements(resource, "reasonReference"))
    return tuple(local_reference(target) for target in targets if target)
