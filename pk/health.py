"""Can this fit be trusted? Nothing here changes an estimate; it says whether one may be used.

Tucuxi reports one "Ok" for everything, even where it used no level at all. Here each way in which a
fit can mislead has its own line, and a fit with any of them proposes no dose.
"""

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Level
from pk.nodes import prior_nodes

if TYPE_CHECKING:
    from pk.posterior import Posterior


Array = NDArray[np.float64]


class Criteria(Struct, frozen=True):
    """When a fit counts as reliable.

    prior_tail: a level less likely than this under the population (either side) is not explained by
    it - think of dose times, adherence, interactions, units. residual_sd: a level further than this
    from the fitted curve (below the curve counted on the log scale). bound_sd: a random effect
    further than this from the population. effective: least effective sample size of importance
    sampling.
    """

    prior_tail: float = 1e-5
    residual_sd: float = 3.0
    bound_sd: float = 4.0
    effective: float = 200.0


class LevelCheck(Struct, frozen=True):
    """One level against the model.

    prior_percentile: where it lies in what the population predicts for this patient and time
    (0 to 1, measurement error included). residual_sd: distance from the MAP curve in standard
    deviations (for a level below quantification zero if the curve agrees).
    """

    level: Level
    predicted_ng_ml: float
    prior_percentile: float
    residual_sd: float
    unexpected: bool


class FitHealth(Struct, frozen=True):
    """Health of a fit; `reliable` is False if there is any entry in `reasons`."""

    reliable: bool
    reasons: tuple[str, ...]
    converged: bool
    gradient_norm: float
    at_bound: bool
    starts: int
    starts_that_agree: int
    shrinkage: dict[str, float]
    levels: tuple[LevelCheck, ...]
    levels_used: int
    levels_excluded: tuple[Level, ...]
    effective_nodes: float


def assess_fit(posterior: "Posterior") -> FitHealth:
    """Check convergence, identifiability and every level of a fit."""
    criteria = posterior.options.criteria or Criteria()
    minimum = posterior.minimum
    checks = _check_levels(posterior, criteria)
    converged = minimum is None or bool(minimum.converged[0])
    at_bound = bool((np.abs(posterior.z) > criteria.bound_sd).any())
    reasons = [f"outside the model's domain: {r}" for r in posterior.domain.hard]
    if not converged:
        reasons.append("the search did not converge")
    if at_bound:
        reasons.append(f"a random effect lies beyond {criteria.bound_sd:g} SD of the population")
    nodes = posterior.nodes
    if nodes.method == "importance" and nodes.effective < criteria.effective:
        reasons.append("the posterior is poorly sampled")
    reasons += [
        f"the level {_value(check.level)} is not explained by the model "
        f"(percentile {100 * check.prior_percentile:.3g} of the population, "
        f"{check.residual_sd:+.1f} SD from the fit)"
        for check in checks
        if check.unexpected
    ]
    prior_variance = np.diag(posterior.effects.omega)
    share = np.diag(posterior.covariance) / prior_variance
    return FitHealth(
        reliable=not reasons,
        reasons=tuple(reasons),
        converged=converged,
        gradient_norm=0.0 if minimum is None else float(minimum.gradient_norm[0]),
        at_bound=at_bound,
        starts=posterior.starts,
        starts_that_agree=posterior.starts_that_agree,
        shrinkage=dict(zip(posterior.effects.names, share.tolist(), strict=True)),
        levels=checks,
        levels_used=posterior.n_levels,
        levels_excluded=tuple(v for v in posterior.case.levels if v.excluded_because is not None),
        effective_nodes=nodes.effective,
    )


def _value(level: Level) -> str:
    """The level in words; its time is on the clock of the case, which the reader does not know."""
    return f"below {level.lloq_ng_ml:g} ng/mL" if level.below_loq else f"of {level.ng_ml:g} ng/mL"


def _check_levels(posterior: "Posterior", criteria: Criteria) -> tuple[LevelCheck, ...]:
    used = posterior.case.used_levels
    found: dict[int, LevelCheck] = {}
    # the error of measurement smooths the probability, so that few nodes give its tails to 1e-6
    prior = prior_nodes(len(posterior.z), posterior.options.draws, coarse=True)
    population_and_patient = np.vstack([prior.z, posterior.z]) @ posterior.effects.root.T
    for block in posterior.objective.blocks:
        predicted = block.curve.at(population_and_patient)
        f_prior, f = predicted[:-1], predicted[-1]
        percentile = prior.mean(block.residual.below_probability(f_prior, block.y))
        distance = _distance(block.y, f, block.residual.sd(f))
        for k, position in enumerate(block.positions):
            level = used[position]
            p, d = float(percentile[k]), float(distance[k])
            tail = p if level.below_loq else min(p, 1.0 - p)
            if level.below_loq:
                d = min(d, 0.0)
            unexpected = tail < criteria.prior_tail or abs(d) > criteria.residual_sd
            found[position] = LevelCheck(level, float(f[k]), p, d, unexpected)
    return tuple(found[i] for i in range(len(used)))


def _distance(y: Array, f: Array, sd: Array) -> Array:
    """How many standard deviations y lies from f.

    Below f the logarithm is used: a proportional error cannot put a level more than 1/cv standard
    deviations under its prediction, so that even a level of zero would look likely.
    """
    return np.where(y < f, np.log(y / f) * f / sd, (y - f) / sd)
