"""Everything the service knows about one patient at one moment, and what it could not read."""

from __future__ import annotations

from dataclasses import dataclass, field

from cds.clinical.labs import Lab
from cds.clinical.level import Level
from cds.clinical.medication import Allergy, Condition, GeneResult, Medicine
from cds.clinical.person import Person
from cds.clinical.problem import Problem
from cds.clinical.regimen import DrugOrder, Supply, TakenDose


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One patient. Every tuple is ordered by time, oldest first, where a time is known.

    `asked_for` names the kinds of data that were obtained (`labs`, `dispenses`, `conditions`, ...),
    so that "no result" can be told from "nobody looked".
    """

    person: Person
    orders: tuple[DrugOrder, ...] = ()
    taken: tuple[TakenDose, ...] = ()
    supplies: tuple[Supply, ...] = ()
    levels: tuple[Level, ...] = ()
    labs: tuple[Lab, ...] = ()
    medicines: tuple[Medicine, ...] = ()
    conditions: tuple[Condition, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    genes: tuple[GeneResult, ...] = ()
    problems: tuple[Problem, ...] = ()
    asked_for: frozenset[str] = field(default_factory=frozenset)

    @property
    def mentions_drug(self) -> bool:
        """Whether the monitored drug appears anywhere; if not, there is nothing to assess."""
        return bool(self.orders or self.taken or self.supplies or self.levels)

    def latest_lab(self, key: str) -> Lab | None:
        """The most recent result with this key."""
        return next((lab for lab in reversed(self.labs) if lab.key == key), None)

    def labs_of(self, key: str) -> tuple[Lab, ...]:
        """All results with this key, oldest first."""
        return tuple(lab for lab in self.labs if lab.key == key)
