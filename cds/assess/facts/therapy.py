"""Facts about the person, the course and the orders being written."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import floor

from cds.assess.body import body_surface
from cds.assess.facts.basis import DAYS_PER_MONTH, Basis, fact
from cds.assess.interactions import inducers_taken, last_interaction_change
from cds.assess.tablets import nearest_makeable, rounded_down
from cds.clinical.regimen import DrugOrder, OrderStatus, Regimen
from cds.rulebook import Fact

_SAME_DOSE_MG = 0.5


def setting_facts(basis: Basis) -> Iterable[Fact]:
    """The circumstances."""
    yield fact(
        "setting",
        jurisdiction=basis.setting.jurisdiction.value,
        occasion=basis.setting.occasion.value,
    )


def patient_facts(basis: Basis) -> Iterable[Fact]:
    """The person."""
    record = basis.record
    conditions = {k for c in record.conditions if c.active for k in c.keys}
    pregnancies = [c.onset for c in record.conditions if c.active and "pregnancy" in c.keys]
    ever = {k for c in record.conditions for k in c.keys}
    pregnancy = record.latest_lab("pregnancy")
    state = "pregnant" if "pregnancy" in conditions else None
    if state is None and pregnancy is not None and pregnancy.coded:
        state = "pregnant" if pregnancy.coded in ("pregnant", "positive") else "not-pregnant"
    surface = body_surface(record)
    weight, height = record.latest_lab("weight"), record.latest_lab("height")
    yield fact(
        "patient",
        age_years=_age(record.person.age_years(basis.now)),
        population=basis.therapy.course.population,
        sex=record.person.sex.value if record.person.sex else None,
        weight_kg=weight.value if weight else None,
        bsa_m2=surface.m2 if surface else None,
        bsa_age_days=basis.days_ago(surface.measured) if surface else None,
        height_age_days=basis.days_ago(height.at) if height else None,
        pregnancy=state,
        pregnancy_age_days=basis.days_ago(
            max((p for p in pregnancies if p), key=lambda p: p.at, default=None)
            if pregnancies
            else (pregnancy.at if pregnancy else None)
        ),
        lactating="lactation" in conditions,
        sterile=bool(ever & {"hysterectomy", "menopause"}),
        contraception="contraception" in ever or pregnancy is not None,
    )


def course_facts(basis: Basis) -> Iterable[Fact]:
    """The therapy as it stands."""
    course = basis.therapy.course
    regimen = course.regimen
    surface = body_surface(basis.record)
    interaction = last_interaction_change(basis.record, basis.tables.interactions, basis.now)
    limits = basis.policy.limits
    inducers = inducers_taken(basis.record, basis.tables.interactions, basis.now)
    since = basis.days_ago(course.started)
    yield fact(
        "course",
        disease=course.disease,
        indication=course.indication,
        active=course.active,
        on_hold=course.on_hold,
        starting=course.starting,
        in_use=_in_use(basis),
        started_days_ago=since,
        months_on_drug=since / DAYS_PER_MONTH if since is not None else None,
        stopped_days_ago=basis.days_ago(course.stopped),
        daily_mg=regimen.daily_mg if regimen else None,
        amount_mg=regimen.amount_mg if regimen else None,
        interval_h=regimen.interval_h if regimen else None,
        mg_per_m2=regimen.daily_mg / surface.m2 if regimen and surface else None,
        start_daily_mg=course.start_daily_mg,
        reported_daily_mg=course.reported_daily_mg,
        dose_changed_days_ago=basis.days_ago(course.dose_changed),
        interaction_changed_days_ago=basis.days_ago(interaction),
        level_since_change=level_since_change(basis),
        inducer_taken=bool(inducers),
        inducer_name=" and ".join(inducers) or None,
        at_dose_limit=regimen.daily_mg >= limits.max_daily_mg - _SAME_DOSE_MG if regimen else None,
        dose_limit_mg=limits.max_daily_mg,
        dose_limit_reason="; ".join(limits.why),
        reduced_for_interaction=_reduced_for_interaction(basis),
    )


def _age(years: float | None) -> float | None:
    """An age as people count it: nobody of 15.9 years is 16. Rules have whole years as limits."""
    return None if years is None else floor(years * 10.0) / 10.0


def level_since_change(basis: Basis) -> bool:
    """Whether a level was sampled after the last change of dose or of an interacting medicine."""
    interaction = last_interaction_change(basis.record, basis.tables.interactions, basis.now)
    dose = basis.therapy.course.dose_changed
    changes = [change for change in (dose, interaction) if change is not None]
    sampled = [g.level.sampled.at for g in basis.levels if g.level.sampled]
    return bool(sampled) and (not changes or max(sampled) > max(changes))


def order_facts(basis: Basis) -> Iterable[Fact]:
    """The orders of the drug that are being written now."""
    for order in basis.therapy.drafts:
        if order.status is not OrderStatus.ON_HOLD:  # a hold orders nothing
            yield _order(basis, order)


def overlap_facts(basis: Basis) -> Iterable[Fact]:
    """Pairs of orders that ask for the drug at the same time."""
    for overlap in (*basis.therapy.overlaps, *basis.therapy.overlaps_written):
        yield fact(
            "overlap",
            first_mg=overlap.first_mg,
            second_mg=overlap.second_mg,
            total_mg=overlap.total_mg,
            make_up=overlap.make_up,
        )


def _order(basis: Basis, order: DrugOrder) -> Fact:
    limits = basis.policy.limits
    regimen = order.regimens[0] if order.regimens else None
    amount = regimen.amount_mg if regimen else None
    surface = body_surface(basis.record)
    per_m2 = regimen.daily_mg / surface.m2 if regimen and surface else None
    usual_per_m2 = float(basis.tables.dosing["child"]["usual_mg_per_m2"])
    outlook = basis.exposure.ordered.get(order.reference)
    nearest = nearest_makeable(amount, limits.strengths_mg) if amount else None
    fits = amount is not None and abs((nearest or 0.0) - amount) < _SAME_DOSE_MG
    change, steps = _change(basis, order, regimen), _steps(basis, regimen)
    most = float(basis.tables.targets["signals"]["steps_above"])
    child = basis.therapy.course.population == "child"
    suggested = (
        rounded_down(usual_per_m2 * surface.m2, limits.strengths_mg, limits.max_daily_mg)
        if child and surface
        else None
    )
    return fact(
        "order",
        reference=order.reference,
        readable=regimen is not None,
        daily_mg=regimen.daily_mg if regimen else None,
        amount_mg=amount,
        interval_h=regimen.interval_h if regimen else None,
        change=change,
        steps=steps,
        usual_rise=change == "increase" and steps is not None and steps <= most,
        makeable=None if amount is None else order.is_solution or fits,
        nearest_mg=nearest,
        mg_per_m2=per_m2,
        percent_of_usual_per_m2=100.0 * per_m2 / usual_per_m2 if per_m2 else None,
        suggested_mg=suggested,
        is_suggested=(
            abs(regimen.daily_mg - suggested) < _SAME_DOSE_MG if regimen and suggested else None
        ),
        food_instruction=regimen.with_food if regimen else None,
        trough_ng_ml=outlook.trough_ng_ml if outlook else None,
        trough_low_ng_ml=outlook.trough_low_ng_ml if outlook else None,
        trough_high_ng_ml=outlook.trough_high_ng_ml if outlook else None,
        percent_below=outlook.percent_below if outlook else None,
        percent_in=outlook.percent_in if outlook else None,
        percent_above=outlook.percent_above if outlook else None,
    )


def _in_use(basis: Basis) -> bool:
    """Whether the drug is taken now, or an order to take it is being written."""
    drafts = basis.therapy.drafts
    stops = [o for o in drafts if o.status is not OrderStatus.DRAFT]
    course = basis.therapy.course
    return len(drafts) > len(stops) or (course.active and not course.on_hold and not stops)


def _change(basis: Basis, order: DrugOrder, regimen: Regimen | None) -> str | None:
    course = basis.therapy.course
    if order.status is not OrderStatus.DRAFT:
        return "stop"
    if course.started is None:
        return "start"
    if not course.active:
        return "restart"
    if course.regimen is None or regimen is None:
        return None
    difference = regimen.daily_mg - course.regimen.daily_mg
    if abs(difference) <= _SAME_DOSE_MG:
        return "same"
    return "increase" if difference > 0 else "decrease"


def _steps(basis: Basis, regimen: Regimen | None) -> int | None:
    """Usual dose steps crossed between the current and the ordered daily dose."""
    current = basis.therapy.course.regimen
    if current is None or regimen is None:
        return None
    return basis.policy.limits.steps_between(current.daily_mg, regimen.daily_mg)


def _reduced_for_interaction(basis: Basis) -> bool:
    """Whether the daily dose fell while an inhibitor was being taken."""
    reductions = [
        after
        for before, after in pairwise(basis.therapy.segments)
        if after.regimen.daily_mg < before.regimen.daily_mg - _SAME_DOSE_MG
    ]
    if not reductions:
        return False
    inhibitors = {
        ingredient
        for row in basis.tables.interactions["rows"]
        if row["effect"] == "inhibitor"
        for ingredient in row["ingredients"]
    }
    for after in reductions:
        for medicine in basis.record.medicines:
            if not inhibitors.intersection(medicine.ingredients) or medicine.started is None:
                continue
            stopped = medicine.stopped.at if medicine.stopped else None
            if medicine.started.at <= after.starts and (stopped is None or after.starts <= stopped):
                return True
    return False
