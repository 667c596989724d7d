"""The pharmacokinetic view of one patient: from orders and levels to troughs and dose options.

Numbers are given only when the regimen is known, the patient lies in the domain of a model and the
fit is sound; otherwise the state says which of these failed, in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pk
from cds.assess.assessment import AdherenceView, Exposure, ExposureState
from cds.assess.case import Patient, build_case, to_pk, usable_levels
from cds.assess.interactions import unquantified_inducers
from cds.assess.options import readable_drafts, with_options
from cds.assess.remembered import REMEMBERED, About, Remembered

ModelLibrary = Mapping[str, pk.PopulationModel]


def evaluate_exposure(
    patient: Patient, models: ModelLibrary, memory: Remembered = REMEMBERED
) -> Exposure:
    """Fit the models that may speak for this patient and weigh the regimens the policy allows.

    The first model of the policy that accepts the patient is quoted; the others show how far
    published models disagree. What they said about the same case shortly before is not worked out
    again.
    """
    refused = _refusal(patient)
    if refused is not None:
        return refused
    try:
        case = build_case(patient)
    except pk.errors.CaseError as refusal:
        return Exposure(ExposureState.NOT_POSSIBLE, (str(refusal),))
    asked, options = [models[name] for name in patient.policy.model_ids], _fit_options(patient)
    said = memory.about(case, asked, options, patient.now)
    members, refusals = said.recall("fits", lambda: _fits(case, asked, options))
    if not members:
        return Exposure(ExposureState.OUT_OF_DOMAIN, refusals)
    posterior = members[0]
    health = posterior.health
    if not health.reliable:
        state, reasons = ExposureState.UNRELIABLE, health.reasons
    else:
        state = ExposureState.FITTED if posterior.n_levels else ExposureState.POPULATION
        reasons = posterior.domain.soft
    exposure = Exposure(
        state=state,
        reasons=reasons,
        model_id=posterior.model.id,
        model_title=posterior.model.title,
        model_verified=posterior.model.verified,
        posterior=posterior,
        adherence=_adherence(posterior, patient, said),
        levels_used=tuple(g.level.reference for g in usable_levels(patient.levels)),
        imputed=dict(posterior.imputed),
        model_troughs_ng_ml=_troughs(members, patient, said),
        members=members,
    )
    return with_options(exposure, posterior, patient, said) if state.quantitative else exposure


def _refusal(patient: Patient) -> Exposure | None:
    """Why no number can be given before any model is asked; None if one can."""
    course = patient.therapy.course
    if course.regimen is None and not readable_drafts(patient.therapy):
        return Exposure(ExposureState.NOT_POSSIBLE, ("the regimen being taken is not known",))
    if course.population == "child" and not patient.setting.paediatric_doses:
        reason = "published models are biased in children, so no model-based number is shown"
        return Exposure(ExposureState.WITHHELD, (reason,))
    if not patient.policy.model_ids:
        reason = "no population model is configured for this patient"
        return Exposure(ExposureState.NOT_POSSIBLE, (reason,))
    blind = unquantified_inducers(
        patient.record, patient.tables.interactions, usable_levels(patient.levels), patient.now
    )
    if blind:
        reason = f"{' and '.join(blind)} induces clearance by an amount no source gives"
        return Exposure(ExposureState.NOT_POSSIBLE, (reason,))
    return None


def _fit_options(patient: Patient) -> pk.FitOptions:
    """How unlikely a level may be before the fit is not relied on, from the models table."""
    limits = patient.tables.models["reliability"]
    return pk.FitOptions(
        criteria=pk.Criteria(
            prior_tail=float(limits["tail_percent"]) / 100.0,
            residual_sd=float(limits["residual_sd"]),
        )
    )


def _fits(
    case: pk.Case, models: Sequence[pk.PopulationModel], options: pk.FitOptions
) -> tuple[tuple[pk.Posterior, ...], tuple[str, ...]]:
    """The fits of the models that accept the patient, by preference, and why others did not."""
    members: list[pk.Posterior] = []
    refusals: list[str] = []
    for model in models:
        try:
            found = pk.fit(case, model, options)
        except (
            pk.errors.MissingCovariateError,
            pk.errors.OutOfDomainError,
            pk.errors.LevelNotUsedError,
        ) as refusal:
            refusals.append(f"{model.title}: {refusal}")
            continue
        if found.domain.hard:
            refusals.append(f"{model.title}: {'; '.join(found.domain.hard)}")
        else:
            members.append(found)
    return tuple(members), tuple(refusals)


def _troughs(members: Sequence[pk.Posterior], patient: Patient, said: About) -> Mapping[str, float]:
    """Steady-state trough under the current regimen by each model that accepts the patient."""
    regimen = to_pk(patient.therapy.course.regimen)
    if regimen is None:
        return {}
    return said.recall(
        ("troughs", regimen),
        lambda: MappingProxyType({m.model.id: m.trough_at_map(regimen) for m in members}),
    )


def _adherence(posterior: pk.Posterior, patient: Patient, said: About) -> AdherenceView | None:
    """What the levels say about recent doses, when they are lower than usual for this patient.

    A level that is as high as expected raises no question about intake, so none is asked.
    """
    regimen = to_pk(patient.therapy.course.regimen)
    if regimen is None or not posterior.n_levels:
        return None
    asked_below = float(patient.tables.models["reliability"]["ask_intake_below_percentile"])
    if 100.0 * posterior.health.levels[-1].prior_percentile >= asked_below:
        return None
    return said.recall(("intake", regimen), lambda: _intake(posterior, regimen))


def _intake(posterior: pk.Posterior, regimen: pk.Regimen) -> AdherenceView:
    found = pk.adherence_of(posterior)
    trough, interval = found.trough_if_read_as_taken(regimen)
    return AdherenceView(
        percent_all_taken=100.0 * found.p_all_taken,
        percent_missed_some=100.0 * (1.0 - found.p_all_taken),
        prior_percent_all_taken=100.0 * found.prior_all_taken,
        trough_if_all_taken_ng_ml=trough,
        trough_if_all_taken_low_ng_ml=interval[0],
        trough_if_all_taken_high_ng_ml=interval[1],
        missed_at_least_percent=tuple(
            (count, 100.0 * p) for count, p in sorted(found.p_at_least.items())
        ),
        recent_doses=len(found.dose_times_h),
    )
