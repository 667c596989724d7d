"""All facts of one patient, kind by kind, in the order of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cds.assess.facts.basis import Basis, fact
from cds.assess.facts.exposure import (
    adherence_facts,
    exposure_facts,
    level_facts,
    levels_facts,
    proposal_facts,
)
from cds.assess.facts.medicines import (
    allergy_facts,
    gene_facts,
    interaction_facts,
    medicine_facts,
)
from cds.assess.facts.response import response_facts
from cds.assess.facts.results import condition_facts, lab_facts, monitoring_facts
from cds.assess.facts.therapy import (
    course_facts,
    order_facts,
    overlap_facts,
    patient_facts,
    setting_facts,
)
from cds.assess.facts.toxicity import toxicity_facts
from cds.rulebook import Fact

_ABOUT = {
    "level": "level",
    "sample": "level",
    "dose": "dose",
    "order": "dose",
    "orders": "dose",
    "medicine": "medicine",
    "lab": "lab",
}


def problem_facts(basis: Basis) -> Iterable[Fact]:
    """What could not be read, converted or decided."""
    for problem in basis.problems:
        yield fact(
            "problem",
            code=problem.code,
            impact=problem.impact.value,
            about=_ABOUT.get(problem.code.split("-", 1)[0], "other"),
            reference=problem.reference,
        )


DERIVATIONS: tuple[Callable[[Basis], Iterable[Fact]], ...] = (
    setting_facts,
    patient_facts,
    course_facts,
    order_facts,
    overlap_facts,
    level_facts,
    levels_facts,
    exposure_facts,
    proposal_facts,
    adherence_facts,
    medicine_facts,
    interaction_facts,
    lab_facts,
    toxicity_facts,
    condition_facts,
    allergy_facts,
    gene_facts,
    response_facts,
    monitoring_facts,
    problem_facts,
)


def derive_facts(basis: Basis) -> tuple[Fact, ...]:
    """Every fact the catalogue knows about this patient."""
    return tuple(one for derivation in DERIVATIONS for one in derivation(basis))
