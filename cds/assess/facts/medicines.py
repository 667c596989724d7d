"""Facts about other medicines, their interactions, allergies and genotypes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from cds.assess.facts.basis import Basis, fact
from cds.assess.timeline import last_start
from cds.clinical.medication import Medicine, UseState
from cds.rulebook import Fact

_LONGEST_NAME = 40


def medicine_facts(basis: Basis) -> Iterable[Fact]:
    """One fact for each known ingredient of each other medicine."""
    new_within = float(basis.tables.monitoring["new_medicine_days"])
    for medicine in basis.record.medicines:
        for ingredient in medicine.ingredients:
            yield _medicine(basis, medicine, ingredient, new_within)


def interaction_facts(basis: Basis) -> Iterable[Fact]:
    """The table's rows for the ingredients this patient has; rules join them by ingredient."""
    present = {i for m in basis.record.medicines for i in m.ingredients}
    for row in basis.tables.interactions["rows"]:
        for ingredient in row["ingredients"]:
            if ingredient in present:
                ratio = row.get("auc_ratio")
                yield fact(
                    "interaction",
                    ingredient=ingredient,
                    effect=row["effect"],
                    strength=row["strength"],
                    group=row["group"],
                    exposure_percent=100.0 * ratio if ratio is not None else None,
                )


def allergy_facts(basis: Basis) -> Iterable[Fact]:
    """Recorded allergies."""
    for allergy in basis.record.allergies:
        yield fact(
            "allergy",
            ingredient=allergy.ingredient,
            active=allergy.active,
            to_drug=allergy.ingredient == basis.drug.name,
            is_allergy=allergy.is_allergy,
        )


def gene_facts(basis: Basis) -> Iterable[Fact]:
    """Genotypes and mutations."""
    for gene in basis.record.genes:
        yield fact("gene", key=gene.key, name=gene.display, reference=gene.reference)


def _medicine(basis: Basis, medicine: Medicine, ingredient: str, new_within: float) -> Fact:
    started = basis.days_ago(medicine.started)
    current = (
        medicine.is_draft
        or medicine.state in (UseState.ACTIVE, UseState.DRAFT)
        or _is_being_given(basis, medicine, ingredient)
    )
    new = medicine.is_draft or (current and started is not None and started <= new_within)
    on_drug = basis.days_ago(last_start(basis.therapy.segments, basis.now))
    drug_new = basis.therapy.course.starting or (on_drug is not None and on_drug <= new_within)
    return fact(
        "medicine",
        ingredient=ingredient,
        name=_name(basis, medicine, ingredient),
        reference=medicine.reference,
        state="draft" if medicine.is_draft else medicine.state.value,
        current=current,
        new=new,
        pair_new=current and (new or drug_new),
        level_since=_level_since(basis, medicine),
        systemic=medicine.systemic is not False,
        single_dose=medicine.single_dose,
        as_needed=medicine.as_needed,
        started_days_ago=started,
        stopped_days_ago=basis.days_ago(medicine.stopped),
        daily_mg=medicine.daily_mg,
    )


def _is_being_given(basis: Basis, medicine: Medicine, ingredient: str) -> bool:
    """Whether this is the latest of several recent administrations: a ward may send no order."""
    within = float(basis.tables.monitoring["administered_current_days"])
    given = [
        other
        for other in basis.record.medicines
        if other.administered and ingredient in other.ingredients
        if (age := basis.days_ago(other.started)) is not None and 0 <= age <= within
    ]
    return len(given) > 1 and medicine is given[-1]


def _name(basis: Basis, medicine: Medicine, ingredient: str) -> str:
    """The words of the record, or the ingredient where they would crowd out the advice."""
    if len(medicine.display) <= _LONGEST_NAME:
        return medicine.display
    return basis.terminology.ingredient_names.get(ingredient, medicine.display)


def _level_since(basis: Basis, medicine: Medicine) -> bool:
    """Whether a level was measured once both medicines had been taken to a new steady state."""
    if medicine.is_draft or basis.therapy.course.starting:
        return False
    settled = timedelta(days=float(basis.tables.sampling["steady_state_days"]))
    together = [
        at
        for at in (
            medicine.started.at if medicine.started else None,
            basis.therapy.course.dose_changed,
        )
        if at is not None
    ]
    since = max(together) + settled if together else None
    return any(
        gated.gate.comparable
        and gated.level.sampled is not None
        and (since is None or gated.level.sampled.at >= since)
        for gated in basis.levels
    )
