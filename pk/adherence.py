"""Missed doses or fast clearance? Weigh every pattern of recent intake against the level.

A low level has two explanations, and an estimate that knows only one books it there: a missed dose
becomes a fast clearance and the patient is dosed up. Here each of the last doses before a level was
either taken or missed; all 2^k patterns are summed exactly, each with the patient's random effects
integrated out. What comes back is the probability of each reading and what each would mean.

Doses before the window count as taken. With levels from several visits each has its own window; for
a later window the earlier ones count as taken, which is exact when visits lie half-lives apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML
from scipy.special import betaln

from pk.case import Case, Dose, Regimen
from pk.covariates import MODELS
from pk.curve import Curve, curve
from pk.errors import CaseError, NotSupportedError
from pk.individual import individual, treatment_start_h
from pk.model import PopulationModel
from pk.nodes import Nodes, posterior_nodes, weighted_quantiles
from pk.objective import LevelBlock
from pk.posterior import FitOptions, Posterior, fit
from pk.predict import INTERVAL, trough_per_mg

Array = NDArray[np.float64]

#: A prediction never falls below this (ng/mL): with every dose missed the true value is zero.
_NOTHING: Final = 1e-3
_LARGEST_WINDOW: Final = 10
#: A reading less likely than this has no clearance worth stating.
_IMPOSSIBLE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class AdherenceOptions:
    """Prior of intake: the share missed is Beta(a, b); the last `window_doses` are in doubt."""

    a: float
    b: float
    window_doses: int

    def __post_init__(self) -> None:
        if not (self.a > 0.0 and self.b > 0.0):
            raise CaseError("adherence", "a and b must be positive")
        if not 1 <= self.window_doses <= _LARGEST_WINDOW:
            raise CaseError("adherence.window_doses", f"must be 1 to {_LARGEST_WINDOW}")

    @classmethod
    def default(cls) -> "AdherenceOptions":
        """The published prior shipped with the models."""
        return _shipped()


@cache
def _shipped() -> AdherenceOptions:
    raw = YAML(typ="safe").load(MODELS / "_adherence.yaml")
    return AdherenceOptions(raw["prior"]["a"], raw["prior"]["b"], raw["window_doses"])


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the levels: its probability, and the clearance (L/h) it implies."""

    probability: float
    clearance_l_h: float
    clearance_interval: tuple[float, float]


@dataclass(frozen=True, eq=False, slots=True)
class Adherence:
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
        low, median, high = _middle_and_interval(regimen.amount_mg * unit, weight)
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
    options = options or AdherenceOptions.default()
    if not case.used_levels:
        raise CaseError("levels", "adherence cannot be inferred without a level")
    if not model.structure.linear:
        raise NotSupportedError("model", f"{model.id}: doses do not add up under saturable binding")
    posterior = fit(case, model, fit_options)
    doubt = _Doubt(posterior, options)
    q = len(posterior.z)
    # start from the prior: it covers every pattern, whatever the reading "all taken" would say
    nodes = posterior_nodes(doubt.value, np.zeros(q), np.eye(q), 0.0, coarse=True)
    share = doubt.log_joint(nodes.z)
    share = np.exp(share - share.max(axis=1, keepdims=True))
    share *= (nodes.weight / share.sum(axis=1))[:, None]
    return _summary(posterior, nodes, share, doubt.windows[-1], options)


def _summary(
    posterior: Posterior, nodes: Nodes, share: Array, last: "_Window", options: AdherenceOptions
) -> Adherence:
    """Sum the joint weights `share` (nodes, patterns) into the answer."""
    missed = last.patterns.sum(axis=1)
    by_pattern = share.sum(axis=0)
    taken = share[:, missed == 0].sum(axis=1)
    clearance = posterior.theta(nodes.z)[:, posterior.model.structure.parameters.index("CL")]

    def reading(w: Array) -> Reading | None:
        if w.sum() < _IMPOSSIBLE:
            return None
        low, median, high = _middle_and_interval(clearance, w / w.sum())
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


@dataclass(frozen=True, slots=True)
class _Window:
    """Doubtful doses before one visit: what each adds to the levels of that visit, if taken.

    `patterns` (2^k, k) is True where missed. Per block: the curve of all doses, and those of each
    doubtful dose alone.
    """

    times_h: Array
    patterns: NDArray[np.bool_]
    blocks: tuple[tuple[LevelBlock, tuple[Curve, ...]], ...]

    def log_likelihood(self, eta: Array) -> Array:
        """log p(levels of the visit | node, pattern), shape (M, patterns)."""
        total = np.zeros((len(eta), len(self.patterns)))
        missed = self.patterns.T.astype(float)
        for block, alone in self.blocks:
            everything = block.curve.at(eta)
            each = np.stack([line.at(eta) for line in alone], axis=-1)
            f = np.maximum(everything[..., None] - each @ missed, _NOTHING)
            y, below = block.y[:, None], block.below[:, None]
            total += block.residual.log_likelihood(f, y, below).sum(axis=1)
        return total


class _Doubt:
    """The likelihood with intake in doubt, for one patient."""

    def __init__(self, posterior: Posterior, options: AdherenceOptions) -> None:
        self.posterior = posterior
        self.options = options
        self.windows = [_window(posterior, *visit) for visit in _visits(posterior.case, options)]
        self.doses = sum(len(w.times_h) for w in self.windows)

    def value(self, z: Array) -> Array:
        """-log posterior density of z with all patterns summed out."""
        return np.asarray(self.posterior.objective.prior(z) - _log_sum(self.log_joint(z)))

    def log_joint(self, z: Array) -> Array:
        """log p(all levels, pattern of the last window | z), shape (M, patterns of it)."""
        eta = z @ self.posterior.effects.root.T
        *earlier, last = self.windows
        counts = np.zeros((len(z), 1))  # log p(earlier levels, so many missed in all | z)
        for window in earlier:
            counts = _convolve_counts(counts, _by_count(window, window.log_likelihood(eta)))
        here = last.log_likelihood(eta)
        missed = last.patterns.sum(axis=1)
        terms = [
            counts[:, others, None] + _log_prior(missed + others, self.doses, self.options)
            for others in range(counts.shape[1])
        ]
        return np.asarray(here + np.logaddexp.reduce(terms, axis=0))


def _visits(case: Case, options: AdherenceOptions) -> list[tuple[Array, Array]]:
    """Group levels into visits: (positions of the levels, times of the doubtful doses before)."""
    order = sorted(range(len(case.used_levels)), key=lambda i: case.used_levels[i].time_h)
    start = treatment_start_h(case) if case.steady_state is None else -np.inf
    visits: list[tuple[list[int], set[float]]] = []
    for i in order:
        at = case.used_levels[i].time_h
        doses = set(case.history.latest_doses(at, options.window_doses, start).tolist())
        if visits and visits[-1][1] & doses:
            visits[-1][0].append(i)
            visits[-1][1].update(doses)
        else:
            visits.append(([i], doses))
    return [(np.array(p), np.array(sorted(d)[-_LARGEST_WINDOW:])) for p, d in visits]


def _window(posterior: Posterior, positions: Array, times_h: Array) -> _Window:
    case = posterior.case
    amounts = case.history.amounts_at(times_h)
    blocks = []
    for block in posterior.objective.blocks:
        chosen = [k for k, p in enumerate(block.positions) if p in positions]
        if not chosen:
            continue
        levels = [case.used_levels[block.positions[k]] for k in chosen]
        at = np.array([level.time_h for level in levels])
        subset = block._replace(
            curve=curve(posterior.individual, posterior.effects, at, levels[0].analyte),
            y=block.y[chosen],
            below=block.below[chosen],
        )
        alone = tuple(
            _alone(posterior, Dose(t, a), at, levels[0].analyte)
            for t, a in zip(times_h.tolist(), amounts.tolist(), strict=True)
        )
        blocks.append((subset, alone))
    k = len(times_h)
    patterns = (np.arange(2**k)[:, None] >> np.arange(k)) & 1 == 1
    return _Window(times_h, patterns, tuple(blocks))


def _alone(posterior: Posterior, dose: Dose, times_h: Array, analyte: str) -> Curve:
    """The curve of one dose alone, with all else about the patient unchanged."""
    case = replace(
        posterior.case,
        doses=(dose,),
        levels=(),
        steady_state=None,
        treatment_start_h=treatment_start_h(posterior.case),
    )
    return curve(individual(case, posterior.model), posterior.effects, times_h, analyte)


def _log_prior(missed: Array, doses: int, options: AdherenceOptions) -> Array:
    """Log prior of one pattern with so many of the doses missed (beta-binomial, exchangeable)."""
    a, b = options.a, options.b
    return np.asarray(betaln(a + missed, b + doses - missed) - betaln(a, b))


def _by_count(window: _Window, log_likelihood: Array) -> Array:
    """Sum a window's patterns by the number missed, (M, k + 1) in logs."""
    missed = window.patterns.sum(axis=1)
    columns = [_log_sum(log_likelihood[:, missed == m]) for m in range(len(window.times_h) + 1)]
    return np.stack(columns, axis=1)


def _convolve_counts(a: Array, b: Array) -> Array:
    """Add two independent counts given the node, in logs."""
    out = np.full((len(a), a.shape[1] + b.shape[1] - 1), -np.inf)
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            out[:, i + j] = np.logaddexp(out[:, i + j], a[:, i] + b[:, j])
    return out


def _log_sum(x: Array) -> Array:
    top = x.max(axis=1)
    return np.asarray(top + np.log(np.exp(x - top[:, None]).sum(axis=1)))


def _middle_and_interval(values: Array, weight: Array) -> tuple[float, float, float]:
    probs = np.array([0.5 - 0.5 * INTERVAL, 0.5, 0.5 + 0.5 * INTERVAL])
    low, median, high = weighted_quantiles(values, weight, probs).tolist()
    return low, median, high
