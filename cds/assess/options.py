"""Weigh every regimen the policy allows, the current one and each order being written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pk
from cds.assess.assessment import DoseOption, Exposure
from cds.assess.case import Patient, to_pk
from cds.assess.course import Therapy
from cds.assess.policy import Policy
from cds.clinical.regimen import DrugOrder, OrderStatus


def with_options(exposure: Exposure, posterior: pk.Posterior, patient: Patient) -> Exposure:
    """Add the dose options to an exposure whose fit is sound."""
    goal = patient.policy.target
    target = pk.Target(goal.low_ng_ml, goal.high_ng_ml, goal.best_ng_ml)
    current = to_pk(patient.therapy.course.regimen)
    rows: list[pk.Proposal] = []
    ordered: dict[str, DoseOption] = {}
    for draft in readable_drafts(patient.therapy):
        found = pk.propose(
            posterior, target, _limits(patient.policy, current, to_pk(draft.regimens[0]))
        )
        rows = rows or found
        for row in found:
            if row.is_ordered:
                ordered[draft.reference] = _option(row, is_best=False)
    rows = rows or pk.propose(posterior, target, _limits(patient.policy, current, None))
    rows = _usual_intervals(rows, patient.policy, current)
    best = pk.best_proposal(rows) or _nearest(rows, patient.policy)
    options = tuple(_option(row, is_best=row is best) for row in rows)
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
        intervals_h=limits.intervals_h,
        max_single_mg=limits.once_daily_max_mg,
        current=current,
        ordered=ordered,
    )


def _usual_intervals(
    rows: Sequence[pk.Proposal], policy: Policy, current: pk.Regimen | None
) -> list[pk.Proposal]:
    """Leave out splitting a dose that is usually taken once a day.

    Twice-daily dosing lifts the trough at the same daily exposure, and the targets were found with
    once-daily dosing; so it is offered only above the once-daily maximum, or to a patient who
    already takes the drug twice a day.
    """
    longest = max(policy.limits.intervals_h)
    if current is not None and current.interval_h < longest:
        return list(rows)
    return [
        row
        for row in rows
        if row.is_current
        or row.is_ordered
        or row.regimen.interval_h >= longest
        or row.regimen.daily_mg > policy.limits.once_daily_max_mg
    ]


def _option(proposal: pk.Proposal, *, is_best: bool) -> DoseOption:
    low, high = proposal.trough_interval
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
        why_not="; ".join(proposal.why_not) or None,
    )
