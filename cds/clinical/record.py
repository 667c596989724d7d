"""Everything the service knows about one patient at one moment, and what it could not read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from cds.clinical.labs import Lab
from cds.clinical.level import Level, PendingLevel
from cds.clinical.medication import Allergy, Condition, GeneResult, Medicine
from cds.clinical.person import Person
from cds.clinical.problem import Problem
from cds.clinical.regimen import DrugOrder, Supply, TakenDose


class PatientRecord(Struct, frozen=True, dict=True):  # cached_property needs a __dict__
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
    pending_levels: tuple[PendingLevel, ...] = ()
    problems: tuple[Problem, ...] = ()
    asked_for: frozenset[str] = frozenset()
    named_elsewhere: bool = False
    """Whether the drug is named in orders of another patient that came instead of this one's."""

    @cached_property
    def _labs_by_key(self) -> Mapping[str, tuple[Lab, ...]]:
        """Rules and models ask for single results dozens of times."""
        by_key: dict[str, list[Lab]] = {}
        for lab in self.labs:
            by_key.setdefault(lab.key, []).append(lab)
        return {key: tuple(series) for key, series in by_key.items()}

    @property
    def mentions_drug(self) -> bool:
        """Whether the monitored drug appears anywhere; if not, there is nothing to assess."""
        own = self.orders or self.taken or self.supplies or self.levels
        return bool(own) or self.named_elsewhere

    def latest_lab(self, key: str) -> Lab | None:
        """The most recent result with this key."""
        found = self._labs_by_key.get(key)
        return found[-1] if found else None

    def labs_of(self, key: str) -> tuple[Lab, ...]:
        """All results with this key, oldest first."""
        return self._labs_by_key.get(key, ())
