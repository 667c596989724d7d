"""Average over published models instead of choosing one.

The weight of a model is its prior weight (how well the patient fits its population) times the
marginal likelihood of the levels, integrated over its random effects - not the likelihood at the
MAP, which favours models with many or wide random effects. Models outside their domain take no
part, with the reason; the spread between the members is part of the answer.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Case, Regimen
from pk.distribution import Pooled
from pk.errors import LevelNotUsedError, MissingCovariateError, OutOfDomainError, PkError
from pk.estimation import fit
from pk.model import PopulationModel
from pk.posterior import FitOptions, Posterior
from pk.predict import TAILS, measured_quantiles

Array = NDArray[np.float64]


class AverageOptions(Struct, frozen=True):
    """How models are weighted before any level.

    prior: weight by model name (default: the same for all), multiplied by `soft_violation` for each
    covariate outside the population studied and by `imputed` for each covariate imputed.
    least_weight: members below it are left out of predictions (they cost time, carry nothing).
    """

    prior: Mapping[str, float] | None = None
    soft_violation: float = 0.5
    imputed: float = 0.8
    least_weight: float = 1e-3
    fit: FitOptions | None = None


class Member(Struct, frozen=True):
    """One model in an average; without a posterior it was excluded (`excluded_because`)."""

    model: PopulationModel
    posterior: Posterior | None
    excluded_because: str | None
    prior_weight: float
    log_evidence: float
    weight: float


class AveragePrediction(Struct, frozen=True):
    """A regimen in steady state under all members; `by_model`: trough at each member's MAP."""

    regimen: Regimen
    trough_ng_ml: float
    trough_interval: tuple[float, float]
    auc24_mg_h_l: float
    by_model: Mapping[str, float]

    @property
    def spread(self) -> float:
        """Largest over smallest member trough: how much the choice of a model would matter."""
        return max(self.by_model.values()) / min(self.by_model.values())


class Average(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Several models' posteriors with weights that sum to one."""

    members: tuple[Member, ...]
    least_weight: float

    @cached_property
    def active(self) -> tuple[tuple[Posterior, float], ...]:
        """Posteriors that take part in predictions, with weights that sum to one."""
        kept = [
            (m.posterior, m.weight)
            for m in self.members
            if m.posterior is not None and m.weight >= self.least_weight
        ]
        total = sum(w for _, w in kept)
        return tuple((p, w / total) for p, w in kept)

    @property
    def weights(self) -> Mapping[str, float]:
        return {m.model.id: m.weight for m in self.members}

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why no dose may be proposed: most of the weight lies on fits that are not reliable."""
        bad = [(p, w) for p, w in self.active if not p.health.reliable]
        if sum(w for _, w in bad) < 0.5:
            return ()
        return tuple(f"{p.model.id}: {reason}" for p, _ in bad for reason in p.health.reasons)

    def quantiles(
        self, times_h: Sequence[float] | Array, probs: Sequence[float], *, residual: bool = False
    ) -> Array:
        """Quantiles (len(probs), T) of the concentration over all members, ng/mL."""
        wanted = np.asarray(probs, dtype=float)
        parts = []
        for posterior, weight in self.active:
            f, w = posterior.concentration_nodes(times_h)
            parts.append((f, weight * w, posterior.residual()))
        if residual:
            return measured_quantiles(parts, wanted)
        columns = [
            self._pooled([f[:, t] for f, _, _ in parts]).quantiles(wanted)
            for t in range(parts[0][0].shape[1])
        ]
        return np.stack(columns, axis=1)

    def steady_state(self, regimen: Regimen, clearance_factor: float = 1.0) -> AveragePrediction:
        """Predict `regimen` in steady state; the point value is the median over all members."""
        per_mg = self.trough(regimen.interval_h, clearance_factor)
        trough = regimen.amount_mg * per_mg.quantiles(TAILS)
        auc = self.auc24(clearance_factor).quantiles(TAILS)[1]
        return AveragePrediction(
            regimen,
            float(trough[1]),
            (float(trough[0]), float(trough[2])),
            float(auc) * regimen.daily_mg,
            {p.model.id: p.trough_at_map(regimen, clearance_factor) for p, _ in self.active},
        )

    def trough(self, interval_h: float, clearance_factor: float = 1.0) -> Pooled:
        """Steady-state trough per mg (ng/mL) over all members."""
        key = ("trough", interval_h, clearance_factor)
        if key not in self._known:
            self._known[key] = self._pooled(
                [p.trough_nodes(interval_h, clearance_factor)[0] for p, _ in self.active]
            )
        return self._known[key]

    def auc24(self, clearance_factor: float = 1.0) -> Pooled:
        """AUC over 24 h (mg h/L) per mg a day over all members."""
        key = ("auc24", 24.0, clearance_factor)
        if key not in self._known:
            self._known[key] = self._pooled(
                [p.auc24_nodes(clearance_factor)[0] for p, _ in self.active]
            )
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[str, float, float], Pooled]:
        """What was asked for before: every regimen scales the same distribution."""
        return {}

    def _pooled(self, values: Sequence[Array]) -> Pooled:
        """A number by its values (M,) at the nodes of each active member."""
        return Pooled(
            [
                (weight, posterior.nodes.distribution(own))
                for (posterior, weight), own in zip(self.active, values, strict=True)
            ]
        )


def average(
    case: Case, models: Sequence[PopulationModel], options: AverageOptions | None = None
) -> Average:
    """Fit every model that may be used for this patient and weigh them.

    Raises PkError if none may.
    """
    options = options or AverageOptions()
    drafts = [_draft(case, model, options) for model in models]
    scores = np.array(
        [d.log_evidence + np.log(d.prior_weight) if d.posterior else -np.inf for d in drafts]
    )
    if not np.isfinite(scores).any():
        reasons = "; ".join(f"{d.model.id}: {d.excluded_because}" for d in drafts)
        raise PkError("models", f"none can be used for this patient ({reasons})")
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    members = tuple(
        Member(d.model, d.posterior, d.excluded_because, d.prior_weight, d.log_evidence, float(w))
        for d, w in zip(drafts, weights, strict=True)
    )
    return Average(members, options.least_weight)


def _draft(case: Case, model: PopulationModel, options: AverageOptions) -> Member:
    """Fit one model, or note why it takes no part."""
    prior = 1.0 if options.prior is None else options.prior.get(model.id, 0.0)
    if prior <= 0.0:
        return Member(model, None, "the caller gave it no weight", 0.0, -np.inf, 0.0)
    if not model.structure.linear:
        return Member(model, None, "its levels are not proportional to the dose", 0.0, -np.inf, 0.0)
    try:
        posterior = fit(case, model, options.fit)
    except (MissingCovariateError, OutOfDomainError, LevelNotUsedError) as err:
        return Member(model, None, str(err), 0.0, -np.inf, 0.0)
    if posterior.domain.hard:
        return Member(model, None, "; ".join(posterior.domain.hard), 0.0, -np.inf, 0.0)
    prior *= options.soft_violation ** len(posterior.domain.soft)
    prior *= options.imputed ** len(posterior.imputed)
    return Member(model, posterior, None, prior, posterior.log_evidence, 0.0)
