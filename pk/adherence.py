"""Missed doses or fast clearance? Weigh every pattern of recent intake against the level.

A low level has two explanations, and an estimate that knows only one books it there: a missed dose
becomes a fast clearance and the patient is dosed up. Here each of the last doses before a level was
either taken or missed; all 2^k patterns are summed exactly, each with the patient's random effects
integrated out. What comes back is the probability of each reading and what each would mean.

Doses before the window count as taken. With levels from several visits each has its own window; for
a later window the earlier ones count as taken, which is exact when visits lie half-lives apart.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from ruamel.yaml import YAML
from scipy.special import betaln

from pk.case import Case, Regimen
from pk.covariates import MODELS
from pk.distribution import weighted_quantiles
from pk.doubtful import LARGEST_WINDOW, Window, blocks, windows
from pk.errors import CaseError, NotSupportedError
from pk.estimation import fit
from pk.model import PopulationModel
from pk.nodes import Nodes, posterior_nodes
from pk.posterior import FitOptions, Posterior
from pk.predict import INTERVAL, trough_per_mg

Array = NDArray[np.float64]

#: A reading less likely than this has no clearance worth stating.
_IMPOSSIBLE: Final = 1e-12


class AdherenceOptions(Struct, frozen=True):
    """Prior of intake: the share missed is Beta(a, b); the last `window_doses` are in doubt."""

    a: float
    b: float
    window_doses: int

    def __post_init__(self) -> None:
        if not (self.a > 0.0 and self.b > 0.0):
            raise CaseError("adherence", "a and b must be positive")
        if not 1 <= self.window_doses <= LARGEST_WINDOW:
            raise CaseError("adherence.window_doses", f"must be 1 to {LARGEST_WINDOW}")

    @classmethod
    def default(cls) -> "AdherenceOptions":
        """The published prior shipped with the models."""
        return _shipped()


@cache
def _shipped() -> AdherenceOptions:
    raw = YAML(typ="safe").load(MODELS / "_adherence.yaml")
    return AdherenceOptions(raw["prior"]["a"], raw["prior"]["b"], raw["window_doses"])


class Reading(Struct, frozen=True):
    """One way to read the levels: its probability, and the clearance (L/h) it implies."""

    probability: float
    clearance_l_h: float
    clearance_interval: tuple[float, float]


class Adherence(Struct, frozen=True, eq=False):
    """What the levels say about intake, and about the patient once intake is in doubt.

    dose_times_h and p_missed: the last window, dose by dose. p_at_least[m]: at least m doses of the
    last window missed. `all_taken` and `some_missed` are the two readings (None if impossible);
    `overall` weighs both. prior_all_taken: probability of full intake before the levels were seen.
    """

    posterior: Posterior
    dose_times_h: tuple[float, ...]
    p_missed: tuple[float, ...]
    p_all_taken: float
    p_at_least: Mapping[int, float]
    prior_all_taken: float
    all_taken: Reading | None
    some_missed: Reading | None
    overall: Reading
    nodes: Nodes
    taken_weight: Array

    def trough(self, regimen: Regimen) -> tuple[float, tuple[float, float]]:
        """Median and 90 % interval of the steady-state trough if every dose were taken, ng/mL.

        Over all readings: this is what intake in doubt leaves of the patient's own kinetics.
        """
        return self._trough(regimen, self.nodes.weight)

    def trough_if_read_as_taken(self, regimen: Regimen) -> tuple[float, tuple[float, float]]:
        """The same under the reading that no dose was missed."""
        return self._trough(regimen, self.taken_weight)

    def _trough(self, regimen: Regimen, weight: Array) -> tuple[float, tuple[float, float]]:
        unit = trough_per_mg(self.posterior, self.nodes.z, regimen.interval_h)
        low, median, high = _middle_and_interval(regimen.amount_mg * unit, weight, self.nodes)
        return median, (low, high)


def infer_adherence(
    case: Case,
    model: PopulationModel,
    options: AdherenceOptions | None = None,
    fit_options: FitOptions | None = None,
) -> Adherence:
    """Weigh taken against missed doses for the levels of a case.

    Raises CaseError if there is no usable level, and what `fit` raises.
    """
    _check(case, model)
    return adherence_of(fit(case, model, fit_options), options)


def adherence_of(posterior: Posterior, options: AdherenceOptions | None = None) -> Adherence:
    """The same for a case that was fitted already.

    Raises CaseError if there is no usable level.
    """
    _check(posterior.case, posterior.model)
    options = options or AdherenceOptions.default()
    doubt = _Doubt(posterior, options)
    q = len(posterior.z)
    # start from the prior: it covers every pattern, whatever the reading "all taken" would say
    nodes = posterior_nodes(doubt.value, np.zeros(q), np.eye(q), 0.0, coarse=True)
    share = doubt.share.compress(nodes.kept, axis=0)
    share *= nodes.weight[:, None]
    return _summary(posterior, nodes, share, doubt.windows[-1], options)


def _check(case: Case, model: PopulationModel) -> None:
    if not case.used_levels:
        raise CaseError("levels", "adherence cannot be inferred without a level")
    if not model.structure.linear:
        raise NotSupportedError("model", f"{model.id}: doses do not add up under saturable binding")


def _summary(
    posterior: Posterior, nodes: Nodes, share: Array, last: "Window", options: AdherenceOptions
) -> Adherence:
    """Sum the joint weights `share` (nodes, patterns) into the answer."""
    missed = last.patterns.sum(axis=1)
    by_pattern = share.sum(axis=0)
    taken = share[:, missed == 0].sum(axis=1)
    clearance = posterior.theta(nodes.z)[:, posterior.model.structure.parameters.index("CL")]

    def reading(w: Array) -> Reading | None:
        if w.sum() < _IMPOSSIBLE:
            return None
        low, median, high = _middle_and_interval(clearance, w / w.sum(), nodes)
        return Reading(float(w.sum()), median, (low, high))

    overall = reading(nodes.weight)
    if overall is None:
        raise AssertionError("weights of nodes sum to one")
    k = len(last.times_h)
    return Adherence(
        posterior=posterior,
        dose_times_h=tuple(last.times_h.tolist()),
        p_missed=tuple((by_pattern @ last.patterns).tolist()),
        p_all_taken=float(taken.sum()),
        p_at_least={m: float(by_pattern[missed >= m].sum()) for m in range(1, k + 1)},
        prior_all_taken=float(np.exp(_log_prior(np.zeros(1), k, options)[0])),
        all_taken=reading(taken),
        some_missed=reading(nodes.weight - taken),
        overall=overall,
        nodes=nodes,
        taken_weight=taken / max(float(taken.sum()), _IMPOSSIBLE),
    )


class _Doubt:
    """The likelihood with intake in doubt, for one patient.

    `share` (M, patterns): the probability of each pattern of the last window given each of the
    nodes that were weighed last.
    """

    share: Array

    def __init__(self, posterior: Posterior, options: AdherenceOptions) -> None:
        self.posterior = posterior
        self.options = options
        self.windows = windows(posterior, options.window_doses)
        self.doses = sum(len(w.times_h) for w in self.windows)

    def value(self, z: Array) -> Array:
        """-log posterior density of z with all patterns summed out."""
        self.share, log_sum = _shares(self.log_joint(z))
        return np.asarray(self.posterior.objective.prior(z) - log_sum)

    def log_joint(self, z: Array) -> Array:
        """log p(all levels, pattern of the last window | z), shape (M, patterns of it)."""
        eta = z @ self.posterior.effects.root.T
        *earlier, last = self.windows
        counts = np.zeros((1, 1))  # log p(earlier levels, so many missed in all | z)
        for window in earlier:
            counts = _convolve_counts(counts, _by_count(window, window.log_likelihood(eta)))
        missed = np.arange(len(last.times_h) + 1.0)
        terms = [
            counts[:, others, None] + _log_prior(missed + others, self.doses, self.options)
            for others in range(counts.shape[1])
        ]
        here = last.log_likelihood(eta)
        here += np.logaddexp.reduce(terms, axis=0)[:, last.patterns.sum(axis=1)]
        return here


def _log_prior(missed: Array, doses: int, options: AdherenceOptions) -> Array:
    """Log prior of one pattern with so many of the doses missed (beta-binomial, exchangeable)."""
    a, b = options.a, options.b
    return np.asarray(betaln(a + missed, b + doses - missed) - betaln(a, b))


def _by_count(window: Window, log_likelihood: Array) -> Array:
    """Sum a window's patterns by the number missed, (M, k + 1) in logs."""
    missed = window.patterns.sum(axis=1)
    columns = [_shares(log_likelihood[:, missed == m])[1] for m in range(len(window.times_h) + 1)]
    return np.stack(columns, axis=1)


def _convolve_counts(a: Array, b: Array) -> Array:
    """Add two independent counts given the node, in logs."""
    out = np.full((len(b), a.shape[1] + b.shape[1] - 1), -np.inf)
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            out[:, i + j] = np.logaddexp(out[:, i + j], a[:, i] + b[:, j])
    return out


def _shares(x: Array) -> tuple[Array, Array]:
    """exp(x) as shares of the sum of each row, and the log of that sum; x is overwritten."""
    log_sum = np.empty(len(x))
    for some in blocks(len(x)):
        part, top = x[some], x[some].max(axis=1)
        np.exp(np.subtract(part, top[:, None], out=part), out=part)
        total = part.sum(axis=1)
        part /= total[:, None]
        log_sum[some] = top + np.log(total)
    return x, log_sum


def _middle_and_interval(values: Array, weight: Array, nodes: Nodes) -> tuple[float, float, float]:
    """Of a number by its values (M,) at the nodes, under weights (M,) of a part of the patterns."""
    probs = np.array([0.5 - 0.5 * INTERVAL, 0.5, 0.5 + 0.5 * INTERVAL])
    found = weighted_quantiles(values, weight, probs, nodes.step, nodes.weight)
    low, median, high = found.tolist()
    return low, median, high
