"""Many patients at once: the same objective and the same iteration, one row per patient.

Stacking saves the fixed cost of each array operation, which is most of the cost of one small fit.
Answers equal those of `fit` (the tests hold them to 1e-8). Patients whose parameters change over
time, or who have a start that looks suspect, are fitted one by one.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from pk.case import Case
from pk.curve import FewLevels, Superposed, Visits
from pk.estimation import fit, suspect
from pk.individual import Individual, individual
from pk.minimise import Expandable, Minimum, minimise
from pk.model import PopulationModel
from pk.objective import LevelBlock, Objective, objective
from pk.posterior import FitOptions, Posterior, residual_of
from pk.reduced import reducible, stacked
from pk.response import Design, design, stack
from pk.variability import Variability, variability

Array = NDArray[np.float64]

#: Patients solved together: enough to share the fixed costs, few enough to stay in the cache.
_BLOCK: Final = 1024


class StackedObjective(Objective, frozen=True, eq=False):
    """The objective of N patients of one model; row i of z belongs to patient i."""

    def rows(self, keep: NDArray[np.intp]) -> "StackedObjective":
        return StackedObjective([_take(b, keep) for b in self.blocks], self.root, self.prior_weight)


class Batch(Struct, frozen=True, eq=False):
    """Patients prepared for one stacked fit, with their places in the caller's list."""

    effects: Variability
    options: FitOptions
    places: tuple[int, ...]
    people: tuple[Individual, ...]
    objective: Expandable

    def solve(self) -> Minimum:
        """Minimise all rows."""
        return minimise(self.objective, np.zeros((len(self.people), len(self.effects.names))))


_Row = tuple[int, Individual, Variability]


def fit_many(
    cases: Sequence[Case], model: PopulationModel, options: FitOptions | None = None
) -> list[Posterior]:
    """Fit many patients; returns one Posterior per case, in order.

    Raises what `fit` raises, for a case that has the fault.
    """
    options = options or FitOptions()
    found: list[Posterior | None] = [None] * len(cases)
    for batch in prepare(cases, model, options):
        for place, person, one in zip(
            batch.places, batch.people, batch.solve().split(), strict=True
        ):
            if not suspect(one):
                found[place] = Posterior(person, batch.effects, one.z[0], options, one, 1, 1)
    return [
        fit(case, model, options) if posterior is None else posterior
        for case, posterior in zip(cases, found, strict=True)
    ]


def prepare(
    cases: Sequence[Case], model: PopulationModel, options: FitOptions | None = None
) -> list[Batch]:
    """Group the cases that can be stacked: same analytes measured, constant parameters."""
    options = options or FitOptions()
    reduced: list[_Row] = []
    groups: dict[tuple[str, ...], list[_Row]] = {}
    for place, case in enumerate(cases):
        person = individual(case, model)
        effects = variability(model, case)
        if not case.used_levels or person.varying:
            continue
        if reducible(person, effects):
            reduced.append((place, person, effects))
        elif model.structure.linear and _finite_input(model, case):
            analytes = tuple(dict.fromkeys(level.analyte for level in case.used_levels))
            groups.setdefault(analytes, []).append((place, person, effects))
    # patients with histories of one length together, so that little is padded
    reduced.sort(key=lambda row: len(row[1].case.history.last_h))
    size = -(-len(reduced) // max(-(-len(reduced) // _BLOCK), 1)) or 1
    blocks = [reduced[i : i + size] for i in range(0, len(reduced), size)]
    return [_batch(options, rows, reduced=True) for rows in blocks] + [
        _batch(options, rows, reduced=False) for rows in groups.values()
    ]


def _finite_input(model: PopulationModel, case: Case) -> bool:
    """A stacked layout cannot be redone for longer inputs, so those need all doses one by one."""
    return not _random_input(model) or bool(np.isfinite(case.history.count).all())


def _random_input(model: PopulationModel) -> bool:
    names = model.structure.parameters
    inputs = [i for i, n in enumerate(names) if n in ("D", "tlag", "ktr", "mtt")]
    return bool(model.loads[inputs].any() or model.occasion_loads[inputs].any())


def _batch(options: FitOptions, members: list[_Row], *, reduced: bool) -> Batch:
    places, people, (effects, *_) = zip(*members, strict=True)
    model = people[0].model
    if reduced:
        target: Expandable = stacked(
            people, effects, residual_of(model, options), options.prior_weight
        )
    else:
        alone = [objective(p, effects, options.prior_weight, options.residual) for p in people]
        blocks = [_stack([o.blocks[k] for o in alone], model) for k in range(len(alone[0].blocks))]
        target = StackedObjective(blocks, effects.root, options.prior_weight)
    return Batch(effects, options, places, people, target)


def _stack(blocks: list[LevelBlock], model: PopulationModel) -> LevelBlock:
    """Stack one analyte's levels; shorter rows repeat their last level with weight zero."""
    apart = (Visits, FewLevels)
    lines = [b.curve.together() if isinstance(b.curve, apart) else b.curve for b in blocks]
    curves = [line for line in lines if isinstance(line, Superposed)]
    most = max(len(b.y) for b in blocks)
    forever = 1e9 if _random_input(model) else None
    designs = []
    for line in curves:
        times = np.append(line.times_h, np.repeat(line.times_h[-1:], most - len(line.times_h)))
        if line.history is None:
            raise TypeError("a stacked curve cannot be stacked again")
        settle = line.design.settle_h if forever is None else forever
        designs.append(design(line.history, times, settle))
    first = curves[0]
    stacked = Superposed(
        first.structure,
        first.analyte,
        np.stack([line.typical for line in curves]),
        first.loads,
        stack(designs),
        None,
        np.zeros(0),
    )

    return LevelBlock(
        stacked,
        blocks[0].residual,
        np.stack([np.pad(b.y, (0, most - len(b.y)), mode="edge") for b in blocks]),
        np.stack([np.pad(b.below, (0, most - len(b.y)), mode="edge") for b in blocks]),
        np.stack([(np.arange(most) < len(b.y)).astype(float) for b in blocks]),
        (),
    )


def _take(block: LevelBlock, keep: NDArray[np.intp]) -> LevelBlock:
    line = block.curve
    if not isinstance(line, Superposed) or block.weight is None:
        raise TypeError("only stacked blocks have rows")
    d = line.design
    subset = Design(
        d.offset_h[keep],
        d.run_age_h[keep],
        d.run_mg[keep],
        d.run_tau_h[keep],
        d.run_span_h[keep],
        d.dose_age_h[keep],
        d.dose_mg[keep],
        d.settle_h,
        d.single_runs,
    )
    return LevelBlock(
        replace(line, typical=line.typical[keep], design=subset),
        block.residual,
        block.y[keep],
        block.below[keep],
        block.weight[keep],
        (),
    )
