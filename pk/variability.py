"""How patients differ: the random effects of one case under a model."""

from functools import cached_property, lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.case import Case
from pk.model import PopulationModel

Array = NDArray[np.float64]


class Variability(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Random effects of one case: log theta = log typical + loads @ eta, eta ~ N(0, omega).

    `loads` (P, q) describe an occasion without deviation of its own; `by_occasion` (O, P, q), if
    given, those of each sampling occasion.
    """

    names: tuple[str, ...]
    loads: Array
    omega: Array
    by_occasion: Array | None = None

    @cached_property
    def root(self) -> Array:
        """Lower Cholesky factor of omega: eta = root @ z with z standard normal."""
        return np.asarray(np.linalg.cholesky(self.omega), dtype=np.float64)

    @cached_property
    def whitened(self) -> Array:
        """Slopes (P, q) of log theta in z."""
        return np.asarray(self.loads @ self.root)


def variability(model: PopulationModel, case: Case) -> Variability:
    """Random effects of a case under a model.

    Within one occasion the variance between occasions cannot be told from that between patients,
    so they add up; with several, each gets its own deviations (kappa).
    """
    occasions = len(case.occasions_h)
    if not model.occasion_effects or occasions < 2:
        return _one_occasion(model)
    q, k = len(model.effects), len(model.occasion_effects)
    size = q + occasions * k
    base = np.zeros((len(model.parameters), size))
    base[:, :q] = model.loads
    omega = np.zeros((size, size))
    omega[:q, :q] = model.omega
    by_occasion = np.repeat(base[None], occasions, axis=0)
    names = list(model.effects)
    for o in range(occasions):
        own = slice(q + o * k, q + (o + 1) * k)
        by_occasion[o, :, own] = model.occasion_loads
        omega[own, own] = model.occasion_omega
        names += [f"{name} on occasion {o + 1}" for name in model.occasion_effects]
    return Variability(tuple(names), base, omega, by_occasion)


@lru_cache(maxsize=64)
def _one_occasion(model: PopulationModel) -> Variability:
    names, loads, omega = list(model.effects), model.loads, model.omega.copy()
    for k, name in enumerate(model.occasion_effects):
        column = model.occasion_loads[:, k]
        alike = [i for i in range(loads.shape[1]) if np.array_equal(loads[:, i], column)]
        if alike:
            omega[alike[0], alike[0]] += model.occasion_omega[k, k]
        else:
            loads = np.column_stack([loads, column])
            omega = np.pad(omega, (0, 1))
            omega[-1, -1] = model.occasion_omega[k, k]
            names.append(name)
    return Variability(tuple(names), loads, omega)
