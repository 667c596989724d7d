"""Weigh every regimen the policy allows, the current one and each order being written."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

import pk
from cds.assess.assessment import DoseOption, Exposure
from cds.assess.case import Patient, to_pk
from cds.assess.course import Therapy
from cds.assess.policy import SAME_DOSE_MG, Policy
from cds.assess.remembered import About
from cds.clinical.regimen import DrugOrder, OrderStatus


def with_options(
    exposure: Exposure, posterior: pk.Posterior, patient: Patient, said: About
) -> Exposure:
    """Add the dose options to an exposure whose fit is sound."""
    goal = patient.policy.target
    target = pk.Target(goal.low_ng_ml, goal.high_ng_ml, goal.best_ng_ml)
    current = to_pk(patient.therapy.course.regimen)

    def weighed(ordered: pk.Regimen | None) -> tuple[pk.Proposal, ...]:
        limits = _limits(patient.policy, current, ordered)
        return said.recall(
            ("doses", target, limits), lambda: tuple(pk.propose(posterior, target, limits))
        )

    rows: Sequence[pk.Proposal] = ()
    ordered: dict[str, DoseOption] = {}
    for draft in readable_drafts(patient.therapy):
        found = weighed(to_pk(draft.regimens[0]))
        rows = rows or found
        for row in found:
            if row.is_ordered:
                ordered[draft.reference] = _option(row, is_best=False)
    rows = rows or weighed(None)
    rows = _usual_intervals(rows, patient.policy, current)
    far = [row for row in rows if _too_far(row, patient, current)]
    needless = [row for row in rows if _needless(row, patient, current)]
    fit = [row for row in rows if row not in far and row not in needless]
    best = pk.best_proposal(fit) or _nearest(fit, patient.policy)
    options = tuple(
        _option(row, is_best=row is best, too_far=row in far, needless=row in needless)
        for row in rows
    )
    return replace(
        exposure,
        current=next((o for o in options if o.is_current), None),
        ordered=ordered,
        options=options,
        no_option_reason=(
            None
            if best is not None
            else "no regimen within the limits is expected to bring the trough into the target"
        ),
    )


def readable_drafts(therapy: Therapy) -> list[DrugOrder]:
    """Orders being written whose dosing is one evenly spaced regimen, the selected ones first."""
    drafts = [
        o
        for o in therapy.drafts
        if o.status is OrderStatus.DRAFT and o.regimens and o.regimens[0].is_uniform
    ]
    return sorted(drafts, key=lambda o: not o.selected)


def _too_far(row: pk.Proposal, patient: Patient, current: pk.Regimen | None) -> bool:
    """Whether the row lies more usual dose steps from the present dose than are taken at once."""
    if current is None:
        return False
    steps = patient.policy.limits.steps_between(current.daily_mg, row.regimen.daily_mg)
    return steps > float(patient.tables.targets["signals"]["steps_above"])


def _needless(row: pk.Proposal, patient: Patient, current: pk.Regimen | None) -> bool:
    """Whether the row is a rise although the latest trough on the present dose was sufficient.

    A fit draws one level towards the population, so it may expect less than was measured; a rise
    is not argued from that difference.
    """
    if current is None or row.regimen.daily_mg <= current.daily_mg + SAME_DOSE_MG:
        return False
    latest = next((g for g in patient.levels if g.is_latest and g.gate.comparable), None)
    return (
        latest is not None
        and latest.trough_low_ng_ml is not None
        and latest.trough_low_ng_ml >= patient.policy.target.low_ng_ml
        and abs((latest.daily_mg or 0.0) - current.daily_mg) <= SAME_DOSE_MG
    )


def _nearest(rows: Sequence[pk.Proposal], policy: Policy) -> pk.Proposal | None:
    """The likeliest regimen inside the limits whose trough is at least tolerated, if any.

    Where no allowed dose is expected to reach the target, one that comes within the tolerance of
    the target (`accepted_low_ng_ml`) is still worth showing; its probability of reaching the
    target stands beside it.
    """
    low, limits = policy.target.accepted_low_ng_ml, policy.limits
    if low is None:
        return None
    inside = [
        row
        for row in rows
        if row.tablets
        and limits.min_daily_mg <= row.regimen.daily_mg <= limits.max_daily_mg
        and row.regimen.amount_mg <= limits.once_daily_max_mg
        and low <= row.trough_ng_ml <= policy.target.high_ng_ml
    ]
    return max(inside, key=lambda row: row.p_in, default=None)


def _limits(
    policy: Policy, current: pk.Regimen | None, ordered: pk.Regimen | None
) -> pk.DoseOptions:
    limits = policy.limits
    return pk.DoseOptions(
        strengths_mg=limits.strengths_mg,
        max_daily_mg=limits.max_daily_mg,
        min_daily_mg=limits.min_daily_mg,
        intervals_h=_intervals_weighed(policy, current),
        max_single_mg=limits.once_daily_max_mg,
        current=current,
        ordered=ordered,
    )


def _intervals_weighed(policy: Policy, current: pk.Regimen | None) -> tuple[float, ...]:
    """The intervals of which `_usual_intervals` can leave a row; the others need no weighing."""
    limits = policy.limits
    if _splits(policy, current) or limits.max_daily_mg > limits.once_daily_max_mg:
        return limits.intervals_h
    return (max(limits.intervals_h),)


def _splits(policy: Policy, current: pk.Regimen | None) -> bool:
    """Whether the patient splits a dose that could be taken once a day."""
    return (
        current is not None
        and current.interval_h < max(policy.limits.intervals_h)
        and current.daily_mg <= policy.limits.once_daily_max_mg
    )


def _usual_intervals(
    rows: Sequence[pk.Proposal], policy: Policy, current: pk.Regimen | None
) -> list[pk.Proposal]:
    """Leave out splitting a dose that is usually taken once a day.

    Twice-daily dosing lifts the trough at the same daily exposure, and the targets were found with
    once-daily dosing; so it is offered only above the once-daily maximum, or to a patient who
    already splits a dose that could be taken once.
    """
    longest, once = max(policy.limits.intervals_h), policy.limits.once_daily_max_mg
    if _splits(policy, current):
        return list(rows)
    return [
        row
        for row in rows
        if row.is_current
        or row.is_ordered
        or row.regimen.interval_h >= longest
        or row.regimen.daily_mg > once
    ]


def _option(
    proposal: pk.Proposal, *, is_best: bool, too_far: bool = False, needless: bool = False
) -> DoseOption:
    low, high = proposal.trough_interval
    why_not = [*proposal.why_not]
    why_not += ["more than one usual step from the present dose"] if too_far else []
    why_not += ["the measured trough is sufficient already"] if needless else []
    return DoseOption(
        amount_mg=proposal.regimen.amount_mg,
        interval_h=proposal.regimen.interval_h,
        tablets=tuple(sorted(proposal.tablets.items(), reverse=True)),
        trough_ng_ml=proposal.trough_ng_ml,
        trough_low_ng_ml=low,
        trough_high_ng_ml=high,
        percent_below=100.0 * proposal.p_below,
        percent_in=100.0 * proposal.p_in,
        percent_above=100.0 * proposal.p_above,
        auc24_mg_h_l=proposal.auc24_mg_h_l,
        is_current=proposal.is_current,
        is_ordered=proposal.is_ordered,
        is_best=is_best,
        why_not="; ".join(why_not) or None,
        too_far=too_far,
    )
