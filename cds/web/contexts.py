"""What the context of each hook must hold (https://cds-hooks.hl7.org/hooks/)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from cds.clinical.setting import Occasion

_PRESCRIBERS = ("Practitioner", "PractitionerRole")


class ContextShape(Struct, frozen=True):
    """The fields of one hook's context. `orders` names the field that holds the order(s)."""

    users: tuple[str, ...]
    user_required: bool = True
    orders: str | None = None
    orders_are: str = "Bundle"
    selections: bool = False


CONTEXTS: Mapping[Occasion, ContextShape] = {
    Occasion.PATIENT_VIEW: ContextShape((*_PRESCRIBERS, "Patient", "RelatedPerson")),
    Occasion.ORDER_SELECT: ContextShape(_PRESCRIBERS, orders="draftOrders", selections=True),
    Occasion.ORDER_SIGN: ContextShape(_PRESCRIBERS, orders="draftOrders"),
    # A refill is often asked for by no user: the hook makes userId optional.
    Occasion.MEDICATION_REFILL: ContextShape(
        _PRESCRIBERS, user_required=False, orders="medications"
    ),
    Occasion.MEDICATION_VERIFY: ContextShape(
        _PRESCRIBERS, orders="medication", orders_are="MedicationRequest"
    ),
}
