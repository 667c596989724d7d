"""What the medication resources of one patient say together."""

from __future__ import annotations

from dataclasses import dataclass, field

from cds.clinical.medication import Medicine
from cds.clinical.problem import Problem
from cds.clinical.regimen import DrugOrder, Supply, TakenDose


@dataclass(slots=True)
class MedicationFindings:
    """What the medication resources of one patient say; filled resource by resource."""

    orders: list[DrugOrder] = field(default_factory=list)
    taken: list[TakenDose] = field(default_factory=list)
    supplies: list[Supply] = field(default_factory=list)
    medicines: list[Medicine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
