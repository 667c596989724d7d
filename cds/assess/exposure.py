"""The pharmacokinetic view of one patient: from orders and levels to troughs and dose options.

Numbers are given only when the regimen is known, the patient lies in the domain of a model and the
fit is sound; otherwise the state says which of these failed, in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pk
from cds.assess.assessment import (
    AdherenceView,
    DoseOption,
    Exposure,
    ExposureState,
    Gate,
    GatedLevel,
)
from cds.assess.course import Therapy, regimen_at
from cds.assess.covariates import covariates_of
from cds.assess.intake import Intake, dose_history
from cds.assess.interactions import clearance_effects, unquantified_inducers
from cds.assess.policy import Policy, Tables
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, Regimen
from cds.clinical.setting import Setting

ModelLibrary = Mapping[str, pk.PopulationModel]

# Doses this long before the first level no longer matter (over fifteen of the longest half-lives).
_MEMORY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Patient:
    """What the exposure is computed from."""

    record: PatientRecord
    therapy: Therapy
    levels: tuple[GatedLevel, ...]
    policy: Policy
    tables: Tables
    setting: Setting
    now: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The site's zone, in which clock times of orders are meant."""
        return ZoneInfo(self.setting.time_zone)


def evaluate_exposure(patient: Patient, models: ModelLibrary) -> Exposure:
    """Fit the first suitable model and weigh the regimens the policy allows."""
    refused = _refusal(patient)
    if refused is not None:
        return refused
    used = usable_levels(patient.levels)
    case = build_case(patient, used)
    fitted, refusals = _first_fit(case, patient, models)
    if fitted is None:
        state = ExposureState.OUT_OF_DOMAIN if refusals else ExposureState.NOT_POSSIBLE
        return Exposure(state, tuple(refusals) or ("no model is configured for this patient",))
    others = _other_troughs(case, patient, models)
    if not fitted.health.reliable:
        return _described(fitted, ExposureState.UNRELIABLE, fitted.health.reasons, used, others)
    state = ExposureState.FITTED if fitted.n_levels else ExposureState.POPULATION
    exposure = _described(fitted, state, fitted.domain.soft, used, others)
    return _with_options(exposure, fitted, patient)


def usable_levels(levels: Iterable[GatedLevel]) -> tuple[GatedLevel, ...]:
    """Levels a model may learn from: at steady state, with known dose, dose time and value."""
    good = (Gate.TROUGH, Gate.CORRECTED, Gate.TOO_EARLY)
    return tuple(g for g in levels if g.gate in good and g.hours_post_dose is not None)


def _refusal(patient: Patient) -> Exposure | None:
    """Why no number can be given before any model is asked; None if one can."""
    course = patient.therapy.course
    drafts = _readable_drafts(patient.record)
    if course.regimen is None and not drafts:
        return Exposure(ExposureState.NOT_POSSIBLE, ("the regimen being taken is not known",))
    if course.population == "child" and not patient.setting.paediatric_doses:
        reason = "published models are biased in children, so no model-based number is shown"
        return Exposure(ExposureState.WITHHELD, (reason,))
    blind = unquantified_inducers(
        patient.record, patient.tables.interactions, usable_levels(patient.levels), patient.now
    )
    if blind:
        reason = f"{' and '.join(blind)} induces clearance by an amount no source gives"
        return Exposure(ExposureState.NOT_POSSIBLE, (reason,))
    return None


def build_case(patient: Patient, used: Sequence[GatedLevel]) -> pk.Case:
    """Covariates, dose history and levels on one clock: hours after `patient.now`."""
    origin = patient.now
    earliest = min((_sampled(g) for g in used), default=origin)
    history = dose_history(
        patient.therapy.segments,
        patient.record.taken,
        [_sampled(g) - timedelta(hours=g.hours_post_dose or 0.0) for g in used],
        zone=patient.zone,
        until=origin,
    )
    kept = [d for d in history if d.at >= earliest - _MEMORY]
    steady = _steady_before(history, kept, patient, origin)
    if steady is not None:
        kept = [d for d in kept if _hours(d.at, origin) > steady.last_dose_h + 1e-6]
    doses = [pk.Dose(_hours(d.at, origin), d.amount_mg) for d in kept]
    if not doses and steady is None:
        # Nothing taken yet: the prior is all there is, and any dose in the past stands for it.
        doses = [pk.Dose(0.0, 0.0)]
    return pk.Case(
        covariates=covariates_of(patient.record, patient.therapy, patient.now),
        doses=doses,
        levels=[pk.Level(_hours(_sampled(g), origin), g.level.ng_ml or 0.0) for g in used],
        steady_state=steady,
        clearance_effects=clearance_effects(
            patient.record, patient.tables.interactions, patient.now
        ),
    )


def _steady_before(
    history: Sequence[Intake], kept: Sequence[Intake], patient: Patient, origin: datetime
) -> pk.SteadyState | None:
    """A steady state up to the first kept dose, when a uniform regimen ran long before it."""
    if not kept or kept[0] is history[0]:
        return None
    regimen = regimen_at(patient.therapy.segments, kept[0].at)
    as_pk = to_pk(regimen)
    return pk.SteadyState(as_pk, _hours(kept[0].at, origin)) if as_pk else None


def _first_fit(
    case: pk.Case, patient: Patient, models: ModelLibrary
) -> tuple[pk.Posterior | None, list[str]]:
    """The first model in order of preference that accepts the patient, and why others did not."""
    refusals: list[str] = []
    options = _fit_options(patient)
    for name in patient.policy.model_ids:
        try:
            posterior = pk.fit(case, models[name], options)
        except (pk.errors.OutOfDomainError, pk.errors.MissingCovariateError) as refusal:
            refusals.append(f"{models[name].title}: {refusal}")
            continue
        return posterior, refusals
    return None, refusals


def _fit_options(patient: Patient) -> pk.FitOptions:
    """How unlikely a level may be before the fit is not relied on, from the models table."""
    limits = patient.tables.models["reliability"]
    return pk.FitOptions(
        criteria=pk.Criteria(
            prior_tail=float(limits["tail_percent"]) / 100.0,
            residual_sd=float(limits["residual_sd"]),
        )
    )


def _other_troughs(case: pk.Case, patient: Patient, models: ModelLibrary) -> dict[str, float]:
    """Steady-state trough under the current regimen by every model that accepts the patient."""
    regimen = to_pk(patient.therapy.course.regimen)
    if regimen is None:
        return {}
    troughs: dict[str, float] = {}
    options = _fit_options(patient)
    for name in patient.policy.model_ids:
        try:
            posterior = pk.fit(case, models[name], options)
        except (pk.errors.OutOfDomainError, pk.errors.MissingCovariateError):
            continue
        troughs[name] = posterior.steady_state(regimen).trough_ng_ml
    return troughs


def _described(
    posterior: pk.Posterior,
    state: ExposureState,
    reasons: Iterable[str],
    used: Sequence[GatedLevel],
    others: Mapping[str, float],
) -> Exposure:
    return Exposure(
        state=state,
        reasons=tuple(reasons),
        model_id=posterior.model.id,
        model_title=posterior.model.title,
        model_verified=posterior.model.verified,
        posterior=posterior,
        adherence=_adherence(posterior),
        levels_used=tuple(g.level.reference for g in used),
        imputed=dict(posterior.imputed),
        model_troughs_ng_ml=others,
    )


def _with_options(exposure: Exposure, posterior: pk.Posterior, patient: Patient) -> Exposure:
    """Weigh every allowed regimen, the current one and each order being written."""
    target = pk.Target(
        patient.policy.target.low_ng_ml,
        patient.policy.target.high_ng_ml,
        patient.policy.target.best_ng_ml,
    )
    current = to_pk(patient.therapy.course.regimen)
    drafts = _readable_drafts(patient.record)
    rows: list[pk.Proposal] = []
    ordered: dict[str, DoseOption] = {}
    for draft in drafts:
        wanted = to_pk(draft.regimens[0])
        found = pk.propose(posterior, target, _dose_options(patient.policy, current, wanted))
        rows = rows or found
        for row in found:
            if row.is_ordered:
                ordered[draft.reference] = _option(row, is_best=False)
    rows = rows or pk.propose(posterior, target, _dose_options(patient.policy, current, None))
    rows = _usual_intervals(rows, patient.policy, current)
    best = pk.best_proposal(rows)
    options = tuple(_option(p, is_best=p is best) for p in rows)
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


def _usual_intervals(
    rows: Sequence[pk.Proposal], policy: Policy, current: pk.Regimen | None
) -> list[pk.Proposal]:
    """Leave out splitting a dose that is usually taken once a day.

    Twice-daily dosing lifts the trough at the same daily exposure, and the targets were found with
    once-daily dosing; so it is offered only above the once-daily maximum, or to a patient who
    already takes the drug twice a day.
    """
    once_daily = current is None or current.interval_h >= max(policy.limits.intervals_h)
    return [
        row
        for row in rows
        if row.is_current
        or row.is_ordered
        or not once_daily
        or row.regimen.interval_h >= max(policy.limits.intervals_h)
        or row.regimen.daily_mg > policy.limits.once_daily_max_mg
    ]


def _dose_options(
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


def _adherence(posterior: pk.Posterior) -> AdherenceView | None:
    return None


def _readable_drafts(record: PatientRecord) -> list[DrugOrder]:
    """Orders being written whose dosing is one evenly spaced regimen, the selected ones first."""
    drafts = [o for o in record.orders if o.is_draft and o.regimens and o.regimens[0].is_uniform]
    return sorted(drafts, key=lambda o: not o.selected)


def to_pk(regimen: Regimen | None) -> pk.Regimen | None:
    """The regimen for the library; None when it is unknown or not evenly spaced."""
    if regimen is None or regimen.amount_mg is None or regimen.interval_h is None:
        return None
    return pk.Regimen(regimen.amount_mg, regimen.interval_h)


def _sampled(gated: GatedLevel) -> datetime:
    if gated.level.sampled is None:
        raise ValueError(f"{gated.level.reference} passed the gate without a time of sampling")
    return gated.level.sampled.at


def _hours(at: datetime, origin: datetime) -> float:
    return (at - origin).total_seconds() / 3600.0
