"""Fit one patient: the MAP estimate, and a posterior that knows how far it can be trusted.

`fit` reads as the method section of a paper: prepare the patient, build the objective, minimise it,
and start again elsewhere if anything looks suspect. Without a usable level the posterior is the
prior, and says so.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pk.case import Case
from pk.individual import Individual, individual
from pk.minimise import Minimum, minimise, minimise_alone
from pk.model import PopulationModel
from pk.objective import objective
from pk.posterior import FitOptions, Posterior, residual_of
from pk.reduced import alone
from pk.variability import Variability, variability

Array = NDArray[np.float64]


def fit(case: Case, model: PopulationModel, options: FitOptions | None = None) -> Posterior:
    """Estimate one patient's parameters from levels and population.

    Raises MissingCovariateError, OutOfDomainError or LevelNotUsedError: no level is ever ignored in
    silence.
    """
    options = options or FitOptions()
    person = individual(case, model)
    effects = variability(model, case)
    if not case.used_levels:
        return Posterior(person, effects, np.zeros(len(effects.names)), options, None, 0, 0)
    found, starts, agree = _search(person, effects, options)
    return Posterior(person, effects, found.z[0], options, found, starts, agree)


def _search(
    person: Individual, effects: Variability, options: FitOptions
) -> tuple[Minimum, int, int]:
    """The best minimum found, the number of starts, and how many of them agree."""
    search = _searcher(person, effects, options)
    q = len(effects.names)
    (first,) = search(np.zeros((1, q)))
    if not suspect(first):
        return first, 1, 1
    # two standard deviations out along each random effect, both ways
    found = [first, *search(2.0 * np.concatenate([np.eye(q), -np.eye(q)]))]
    value = np.array([float(m.value[0]) for m in found])
    best = int(np.argmin(np.where(np.isfinite(value), value, np.inf)))
    return found[best], len(found), int((value - value[best] < 1e-6).sum())


def _searcher(
    person: Individual, effects: Variability, options: FitOptions
) -> Callable[[Array], list[Minimum]]:
    """How to minimise from each row of starts: in plain numbers where the model allows it."""
    short = alone(person, effects, residual_of(person.model, options), options.prior_weight)
    if short is not None:
        return lambda starts: [minimise_alone(short, *z) for z in starts.tolist()]
    target = objective(person, effects, options.prior_weight, options.residual)
    return lambda starts: minimise(target, starts).split()


def suspect(found: Minimum) -> bool:
    """No convergence, or a minimum so far out that another may be nearer."""
    return not found.converged[0] or math.sqrt(float((found.z[0] ** 2).sum())) > 2.5
