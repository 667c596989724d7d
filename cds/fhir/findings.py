"""What the medication resources of one patient say together."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from cds.clinical.medication import Medicine
from cds.clinical.problem import Impact, Problem
from cds.clinical.regimen import DrugOrder, OrderStatus, Supply, TakenDose

STOP_UNDATED: Final = "order-stop-date-unknown"
_FOLLOWED: Final = frozenset({OrderStatus.ACTIVE, OrderStatus.ON_HOLD})


class MedicationFindings(Struct):
    """What the medication resources of one patient say; filled resource by resource."""

    orders: list[DrugOrder] = field(default_factory=list)
    taken: list[TakenDose] = field(default_factory=list)
    supplies: list[Supply] = field(default_factory=list)
    medicines: list[Medicine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def settle_stops(self) -> None:
        """Make a stop without a date a mere note where a later order shows that it is over.

        What is taken now is then known, and a level of the time in between says itself that its
        dose is not.
        """
        dated = {o.reference: o.authored.at for o in self.orders if o.authored}
        followed = [o for o in self.orders if o.status in _FOLLOWED and o.regimens]
        later = [dated[o.reference] for o in followed if o.reference in dated]
        if not later:
            return
        latest = max(later)
        self.problems = [
            replace(said, impact=Impact.NOTICE)
            if said.code == STOP_UNDATED and dated.get(said.reference or "", latest) < latest
            else said
            for said in self.problems
        ]
