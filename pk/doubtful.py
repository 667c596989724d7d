"""Doubtful doses: what each adds to the levels drawn after it, and every pattern of taking them.

Doses add up, so the concentration under a pattern is that of all doses less those that were missed.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from pk.case import Case, Dose
from pk.curve import curve, superposed
from pk.history import History
from pk.individual import individual, treatment_start_h
from pk.objective import LevelBlock
from pk.posterior import Posterior

Array = NDArray[np.float64]
#: Concentrations (M, T, k), ng/mL, that each of k doses alone adds at T times, given nodes (M, q).
Each = Callable[[Array], Array]

LARGEST_WINDOW: Final = 10
#: A prediction never falls below this (ng/mL): with every dose missed the true value is zero.
_NOTHING: Final = 1e-3
#: Nodes weighed at once: what they need stays in the processor's cache.
_BLOCK: Final = 64


class Window(Struct, frozen=True):
    """Doubtful doses before one visit: what each adds to the levels of that visit, if taken.

    `patterns` (2^k, k) is True where missed. Per block: the levels with the curve of all doses, and
    what each doubtful dose adds alone.
    """

    times_h: Array
    patterns: NDArray[np.bool_]
    blocks: tuple[tuple[LevelBlock, Each], ...]

    def log_likelihood(self, eta: Array) -> Array:
        """log p(levels of the visit | node, pattern), shape (M, patterns)."""
        total = np.zeros((len(eta), len(self.patterns)))
        missed = self.patterns.T.astype(float)
        for block, alone in self.blocks:
            everything, each = block.curve.at(eta), alone(eta)
            for some in blocks(len(eta)):
                for t in range(len(block.y)):  # level by level: products of plain matrices
                    f = everything[some, t, None] - each[some, t] @ missed
                    f = np.maximum(f, _NOTHING, out=f)
                    total[some] += block.residual.log_likelihood(f, block.y[t], block.below[t])
        return total


def blocks(nodes: int) -> list[slice]:
    """So many nodes in pieces that are worked on one after the other."""
    return [slice(first, first + _BLOCK) for first in range(0, nodes, _BLOCK)]


def windows(posterior: Posterior, doses: int) -> list[Window]:
    """The last so many doses before each visit, with the levels of the visit."""
    return [_window(posterior, *visit) for visit in _visits(posterior.case, doses)]


def _visits(case: Case, number: int) -> list[tuple[Array, Array]]:
    """Group levels into visits: (positions of the levels, times of the doubtful doses before)."""
    order = sorted(range(len(case.used_levels)), key=lambda i: case.used_levels[i].time_h)
    start = treatment_start_h(case) if case.steady_state is None else -np.inf
    visits: list[tuple[list[int], set[float]]] = []
    for i in order:
        at = case.used_levels[i].time_h
        doses = set(case.history.latest_doses(at, number, start).tolist())
        if visits and visits[-1][1] & doses:
            visits[-1][0].append(i)
            visits[-1][1].update(doses)
        else:
            visits.append(([i], doses))
    return [(np.array(p), np.array(sorted(d)[-LARGEST_WINDOW:])) for p, d in visits]


def _window(posterior: Posterior, positions: Array, times_h: Array) -> Window:
    case = posterior.case
    amounts = case.history.amounts_at(times_h)
    found = []
    for block in posterior.objective.blocks:
        chosen = [k for k, p in enumerate(block.positions) if p in positions]
        if not chosen:
            continue
        levels = [case.used_levels[block.positions[k]] for k in chosen]
        at = np.array([level.time_h for level in levels])
        subset = block
        if len(chosen) < len(block.positions):
            subset = block._replace(
                curve=curve(posterior.individual, posterior.effects, at, levels[0].analyte),
                y=block.y[chosen],
                below=block.below[chosen],
            )
        alone = one_by_one if posterior.individual.varying else shifted
        found.append((subset, alone(posterior, times_h, amounts, at, levels[0].analyte)))
    k = len(times_h)
    patterns = (np.arange(2**k)[:, None] >> np.arange(k)) & 1 == 1
    return Window(times_h, patterns, tuple(found))


def shifted(
    posterior: Posterior, doses_h: Array, amounts: Array, times_h: Array, analyte: str
) -> Each:
    """While parameters stand still, every dose adds the same curve, shifted and scaled."""
    ages = times_h[:, None] - doses_h
    unit = History(*(np.array([x]) for x in (0.0, 1.0, 1.0, 1.0)))
    person, loads = posterior.individual, posterior.effects.loads
    line = superposed(person, loads, ages.ravel(), analyte, unit)
    return lambda eta: line.at(eta).reshape(len(eta), *ages.shape) * amounts


def one_by_one(
    posterior: Posterior, doses_h: Array, amounts: Array, times_h: Array, analyte: str
) -> Each:
    """The curve of each dose alone, with all else about the patient unchanged."""
    lines = []
    for dose in map(Dose, doses_h.tolist(), amounts.tolist()):
        case = replace(
            posterior.case,
            doses=(dose,),
            levels=(),
            steady_state=None,
            treatment_start_h=treatment_start_h(posterior.case),
        )
        person = individual(case, posterior.model)
        lines.append(curve(person, posterior.effects, times_h, analyte))
    return lambda eta: np.stack([line.at(eta) for line in lines], axis=-1)
