"""What levels and population together say about one patient (`pk.estimation` finds it).

Everything that needs the whole posterior is computed when first asked for, and once.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Case, Regimen
from pk.covariates import CovariateValue
from pk.curve import Curve, curve
from pk.distribution import Distribution
from pk.errors import OptionsError
from pk.health import Criteria, FitHealth, assess_fit
from pk.individual import DomainCheck, Individual
from pk.minimise import Minimum
from pk.model import PopulationModel
from pk.nodes import DRAWS, Nodes, posterior_nodes, prior_nodes
from pk.objective import Objective, objective
from pk.predict import (
    Prediction,
    auc24_per_mg,
    measured_quantiles,
    steady_state,
    trough_per_mg,
)
from pk.residual import Residual
from pk.structure import PARENT
from pk.variability import Variability

Array = NDArray[np.float64]
Key = TypeVar("Key")
Found = TypeVar("Found")

_INTERVALS_KEPT: Final = 8


class FitOptions(Struct, frozen=True):
    """How to fit.

    prior_weight multiplies the log prior: 1 is Bayes' rule, less flattens the prior (as in PKPDsim
    and mapbayr's lambda). residual replaces the published error model, by analyte. criteria says
    when a fit is reliable. draws: points of importance sampling, for models with more than two
    random effects (100 to 1,000,000); time and memory grow in proportion. Raises OptionsError.
    """

    prior_weight: float = 1.0
    residual: Mapping[str, Residual] | None = None
    criteria: Criteria | None = None
    draws: int = DRAWS

    def __post_init__(self) -> None:
        if not 100 <= self.draws <= 1_000_000:
            raise OptionsError("draws", f"{self.draws} is not between 100 and 1,000,000")


class Posterior(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """What the levels and the population together say about one patient.

    `eta`: MAP random effects by name. Everything that needs the whole posterior (quantiles,
    intervals, health) is computed when first asked for.
    """

    individual: Individual
    effects: Variability
    z: Array
    options: FitOptions
    minimum: Minimum | None
    starts: int
    starts_that_agree: int

    @property
    def case(self) -> Case:
        return self.individual.case

    @property
    def model(self) -> PopulationModel:
        return self.individual.model

    @property
    def domain(self) -> DomainCheck:
        return self.individual.domain

    @property
    def imputed(self) -> Mapping[str, CovariateValue]:
        """Covariates the case did not give, with the values used instead."""
        return self.individual.imputed

    @property
    def n_levels(self) -> int:
        """Number of levels in the likelihood; zero means this is the prior."""
        return len(self.case.used_levels)

    @cached_property
    def objective(self) -> Objective:
        """-log posterior density of the whitened random effects."""
        options = self.options
        return objective(
            self.individual, self.effects, options.prior_weight, options.residual, checked=True
        )

    @cached_property
    def eta(self) -> Mapping[str, float]:
        values = (self.effects.root @ self.z).tolist()
        return MappingProxyType(dict(zip(self.effects.names, values, strict=True)))

    @cached_property
    def parameters(self) -> Mapping[str, float]:
        """MAP parameters in L/h, L, h, 1/h, with lasting interactions in CL."""
        return self._named(self.theta(self.z))

    @property
    def typical(self) -> Mapping[str, float]:
        """Parameters of the average patient with these covariates."""
        return self._named(self.individual.typical)

    def theta(self, z: Array) -> Array:
        """Structural parameters (..., P) at whitened random effects z (..., q)."""
        shift = z @ self.effects.whitened.T
        return np.asarray(self.individual.typical * np.exp(shift))

    @cached_property
    def nodes(self) -> Nodes:
        """The posterior as weighted parameter sets."""
        if self.n_levels == 0:
            return self.prior_nodes
        value, draws = self.objective.value, self.options.draws
        try:
            return posterior_nodes(value, self.z, self._hessian, 0.0, draws=draws)
        except np.linalg.LinAlgError:  # not positive definite: the Fisher information always is
            fisher = self.objective.expand(self.z[None]).fisher[0]
            return posterior_nodes(value, self.z, fisher, 0.0, draws=draws)

    @cached_property
    def prior_nodes(self) -> Nodes:
        return prior_nodes(len(self.z), self.options.draws)

    @cached_property
    def _hessian(self) -> Array:
        if self.minimum is not None and self.minimum.hessian is not None:
            return np.asarray(self.minimum.hessian[0])
        return self.objective.hessian(self.z)

    @cached_property
    def covariance(self) -> Array:
        """Posterior covariance (q, q) of the random effects, by integration over the nodes."""
        eta = self.nodes.z @ self.effects.root.T
        spread = eta - self.nodes.mean(eta)
        return np.asarray((self.nodes.weight[:, None] * spread).T @ spread)

    @cached_property
    def laplace_covariance(self) -> Array:
        """Inverse Hessian at the MAP, in units of eta: the usual approximation."""
        root = self.effects.root
        return np.asarray(root @ np.linalg.inv(self._hessian) @ root.T)

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the levels under this model (0 without levels)."""
        return self.nodes.log_evidence if self.n_levels else 0.0

    @cached_property
    def health(self) -> FitHealth:
        return assess_fit(self)

    def predict(self, times_h: Sequence[float] | Array, analyte: str = PARENT) -> Array:
        """Concentration (ng/mL) at the MAP for times on the clock of the case."""
        line = self._curve(times_h, analyte)
        return line.at(self.effects.root @ self.z)

    def quantiles(
        self,
        times_h: Sequence[float] | Array,
        probs: Sequence[float],
        *,
        residual: bool = False,
        analyte: str = PARENT,
    ) -> Array:
        """Quantiles (len(probs), T) of the concentration, ng/mL.

        residual=False: of the true concentration (what we know of the patient); residual=True: of
        the next measurement, with its error. The two answer different questions.
        """
        f, weight = self.concentration_nodes(times_h, analyte=analyte)
        wanted = np.asarray(probs, dtype=float)
        if residual:
            return measured_quantiles([(f, weight, self.residual(analyte))], wanted)
        return self.nodes.quantiles(f, wanted)

    def concentration_nodes(
        self,
        times_h: Sequence[float] | Array,
        *,
        analyte: str = PARENT,
    ) -> tuple[Array, Array]:
        """Concentrations (M, T) in ng/mL over the posterior, with weights (M,)."""
        nodes = self.nodes
        f = self._curve(times_h, analyte).at(nodes.z @ self.effects.root.T)
        return f, nodes.weight

    def parameter_quantiles(self, name: str, probs: Sequence[float]) -> Array:
        """Quantiles of one structural parameter."""
        column = self.model.structure.parameters.index(name)
        values = self.theta(self.nodes.z)[:, column]
        return self.nodes.quantiles(values, np.asarray(probs, dtype=float))

    def steady_state(self, regimen: Regimen, clearance_factor: float = 1.0) -> Prediction:
        """What `regimen` leads to once in steady state.

        Lasting interactions of the case are already in the clearance; `clearance_factor` is for
        one that starts (below or above 1) or stops on top of them.
        """
        return steady_state(self, regimen, clearance_factor)

    def trough_at_map(self, regimen: Regimen, clearance_factor: float = 1.0) -> float:
        """Steady-state trough of `regimen` at the MAP, ng/mL."""
        unit = trough_per_mg(self, self.z, regimen.interval_h, clearance_factor)
        return float(unit) * regimen.amount_mg

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why no dose may be proposed from this fit; empty if one may."""
        return self.health.reasons

    def trough_nodes(self, interval_h: float, clearance_factor: float = 1.0) -> tuple[Array, Array]:
        """Steady-state trough per mg (ng/mL) at each node of the posterior, and the weights."""
        key = (interval_h, clearance_factor)
        values = _once(self._troughs, key, lambda: trough_per_mg(self, self.nodes.z, *key))
        return values, self.nodes.weight

    def trough(self, interval_h: float, clearance_factor: float = 1.0) -> Distribution:
        """Distribution of the steady-state trough per mg, ng/mL."""
        key = (interval_h, clearance_factor)
        return _once(self._sorted, key, lambda: self.nodes.distribution(self.trough_nodes(*key)[0]))

    @cached_property
    def _troughs(self) -> dict[tuple[float, float], Array]:
        """Troughs asked for before: one question about a patient brings several of them."""
        return {}

    @cached_property
    def _sorted(self) -> dict[tuple[float, float], Distribution]:
        return {}

    def auc24_nodes(self, clearance_factor: float = 1.0) -> tuple[Array, Array]:
        """AUC over 24 h (mg h/L) per mg a day at each node, and the weights."""
        nodes = self.nodes
        return auc24_per_mg(self, nodes.z) / clearance_factor, nodes.weight

    def auc24(self, clearance_factor: float = 1.0) -> Distribution:
        """Distribution of the AUC over 24 h (mg h/L) per mg a day."""
        return self.nodes.distribution(self.auc24_nodes(clearance_factor)[0])

    def residual(self, analyte: str = PARENT) -> Residual:
        return residual_of(self.model, self.options, analyte)

    def _curve(self, times_h: Sequence[float] | Array, analyte: str) -> Curve:
        times = np.asarray(times_h, dtype=float)
        return curve(self.individual, self.effects, times, analyte)

    def _named(self, theta: Array) -> Mapping[str, float]:
        names = self.model.structure.parameters
        return MappingProxyType(dict(zip(names, theta.tolist(), strict=True)))


def _once(known: dict[Key, Found], key: Key, find: Callable[[], Found]) -> Found:
    """What is known, or found now; of many questions about one patient only some are kept."""
    found = known.get(key)
    if found is None:
        if len(known) >= _INTERVALS_KEPT:
            known.clear()
        found = known[key] = find()
    return found


def residual_of(model: PopulationModel, options: FitOptions, analyte: str = PARENT) -> Residual:
    """The error model of an analyte: the published one unless the caller replaced it."""
    return {**model.residual, **(options.residual or {})}[analyte]
