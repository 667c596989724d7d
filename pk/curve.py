"""Concentration as a function of the random effects, for one patient at fixed times.

`Superposed` serves parameters that are constant over the history (closed form). Histories with
changing parameters are served by `pk.changing` and `pk.stitched` behind the same two methods.
"""

from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from pk import absorption
from pk.few_doses import FewDoses, are_few
from pk.history import History
from pk.individual import Individual
from pk.one_compartment import FixedInput, describes, ratios
from pk.response import (
    Design,
    concentrations,
    concentrations_of_many,
    concentrations_with_slopes,
    design,
)
from pk.structure import PARENT, Structure
from pk.variability import Variability
from pk.variability import variability as variability

Array = NDArray[np.float64]

_APART_H = 120.0
#: Times laid out together see every dose between the first of them and the last, one by one: so
#: many of them times so many doses at most, or time and memory would grow with the square.
_TOGETHER = 256
#: Draws evaluated at once: what they need stays in the processor's cache, so that time grows with
#: their number and not faster.
_BLOCK = 4096


class Curve(Protocol):
    """Concentrations (ng/mL) of one analyte at fixed times."""

    def at(self, eta: Array) -> Array:
        """Concentrations (..., T) for random effects (..., q)."""
        ...

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        """Concentrations (..., T) and their slopes (..., T, q) in the random effects."""
        ...


class Superposed(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Constant parameters; `typical` (P,), or (N, P) with the stacked design of N patients."""

    structure: Structure
    analyte: str
    typical: Array
    loads: Array
    design: Design
    history: History | None
    times_h: Array

    @cached_property
    def _wrt(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.loads.any(axis=1))

    @cached_property
    def _active_loads(self) -> Array:
        return self.loads[self._wrt]

    def theta(self, eta: Array) -> Array:
        return self.typical * np.exp(eta @ self.loads.T)

    @cached_property
    def short(self) -> FixedInput | None:
        """The short way to many parameter sets of one patient, where there is one."""
        if self.history is None or not describes(self.structure, self.loads, self.analyte):
            return None
        return FixedInput(self.structure, self.structure.named(self.typical), self.design)

    def at(self, eta: Array) -> Array:
        if self.short is not None:
            flat = eta.reshape(-1, eta.shape[-1])
            found = self.short.concentrations(*ratios(self.structure, self.loads, flat))
            return found.reshape(*eta.shape[:-1], -1)
        if self.history is not None and eta.ndim == 2 and len(eta) > _BLOCK:
            blocks = range(0, len(eta), _BLOCK)
            return np.concatenate([self.at(eta[first : first + _BLOCK]) for first in blocks])
        theta = self.theta(eta)
        needed = absorption.duration_h(self.structure.named(theta))
        if needed > self.design.settle_h and self.history is not None:
            return concentrations_of_many(
                self.structure, theta, self.history, self.times_h, self.analyte
            )
        return concentrations(self.structure, theta, self.design, self.analyte)

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        theta = self.theta(eta)
        f, slopes = concentrations_with_slopes(
            self.structure, theta, self._wrt, self._laid_out(theta), self.analyte
        )
        return f, slopes @ self._active_loads

    def _laid_out(self, theta: Array) -> Design:
        """The design, laid out again if the input of some parameter set outlasts it."""
        needed = absorption.duration_h(self.structure.named(theta))
        if needed <= self.design.settle_h:
            return self.design
        if self.history is None:
            raise AssertionError("a stacked design must be laid out for its longest input")
        return design(self.history, self.times_h, needed)


class Visits(Struct, frozen=True):
    """Times that lie far apart, each group with a history of its own.

    Laid out together, every dose between the first and the last time would be a term of its own at
    every time; laid out by visit, all but the latest doses before it fold into runs.
    """

    parts: tuple[tuple[NDArray[np.intp], Superposed], ...]
    count: int

    def together(self) -> Superposed:
        """The same curve laid out at once, as patients are when they are stacked."""
        first = self.parts[0][1]
        times = np.empty(self.count)
        for places, part in self.parts:
            times[places] = part.times_h
        if first.history is None:
            raise AssertionError("a curve of one patient keeps its history")
        laid_out = design(first.history, times, first.design.settle_h)
        return replace(first, design=laid_out, times_h=times)

    def at(self, eta: Array) -> Array:
        out = np.empty((*eta.shape[:-1], self.count))
        first = self.parts[0][1]
        if first.short is None:
            for places, part in self.parts:
                out[..., places] = part.at(eta)
            return out
        flat = eta.reshape(-1, eta.shape[-1])
        both = ratios(first.structure, first.loads, flat)
        for places, part in self.parts:
            if part.short is None:
                raise AssertionError("all visits of a patient are of one kind")
            found = part.short.concentrations(*both)
            out[..., places] = found.reshape(*eta.shape[:-1], -1)
        return out

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        f = np.empty((*eta.shape[:-1], self.count))
        slopes = np.empty((*f.shape, eta.shape[-1]))
        for places, part in self.parts:
            f[..., places], slopes[..., places, :] = part.with_slopes(eta)
        return f, slopes


class FewLevels(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Few times after a short history, where levels follow c = g(k) / V."""

    person: Individual
    loads: Array
    times_h: Array

    @cached_property
    def _doses(self) -> FewDoses:
        p = self.person.model.structure.named(self.person.typical)
        number = float(p["D"] if "D" in p else p["ka"])
        structure, history = self.person.model.structure, self.person.case.history
        return FewDoses(structure, history, self.times_h.tolist(), number)

    def at(self, eta: Array) -> Array:
        structure = self.person.model.structure
        p = structure.named(self.person.typical)
        k, inverse = ratios(structure, self.loads, eta.reshape(-1, eta.shape[-1]))
        found = self._doses.g(p["CL"] / p["V"] * k) * (inverse / p["V"])
        return np.asarray(found.T).reshape(*eta.shape[:-1], -1)

    def together(self) -> "Superposed":
        """The same curve as patients have it when they are stacked."""
        return superposed(self.person, self.loads, self.times_h, PARENT)

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        return self.together().with_slopes(eta)


def _visits(times_h: Array, history: History) -> list[NDArray[np.intp]]:
    """Positions of the times, in groups without long gaps and without many doses in between."""
    order = np.argsort(times_h, kind="stable")
    at = times_h[order]
    taken, _ = history.single_doses(float(at[0]), float(at[-1]))
    gaps, doses = np.diff(at).tolist(), np.searchsorted(taken, at).tolist()
    starts = [0]
    for place, gap in enumerate(gaps, start=1):
        count = place + 1 - starts[-1]
        if gap > _APART_H or count * (doses[place] - doses[starts[-1]]) > _TOGETHER:
            starts.append(place)
    return [np.sort(order[a:b]) for a, b in pairwise([*starts, len(order)])]


def superposed(
    person: Individual, loads: Array, times_h: Array, analyte: str, history: History | None = None
) -> Superposed:
    """Curve of one patient at the given times (hours on the clock of the case)."""
    structure = person.model.structure
    history = person.case.history if history is None else history
    # most parameter sets met on the way have inputs of at most twice the typical length
    settle = 2.0 * absorption.duration_h(structure.named(person.typical))
    return Superposed(
        structure,
        analyte,
        person.typical,
        loads,
        design(history, times_h, settle),
        history,
        times_h,
    )


def curve(person: Individual, effects: Variability, times_h: Array, analyte: str) -> Curve:
    """The right curve for this patient: closed form, also where parameters change, or ODE."""
    if not person.model.structure.linear:
        from pk.saturable import saturable

        return saturable(person, effects.loads, times_h, analyte)
    if person.varying:
        from pk.changing import changing
        from pk.stitched import segments, stitched

        cut = bounds, typical = segments(person, times_h)
        if len(bounds) or effects.by_occasion is not None:
            short = changing(person, effects, times_h, analyte, cut)
            loads = effects.loads if effects.by_occasion is None else effects.by_occasion
            return short or stitched(person, loads, times_h, analyte, cut)
        # nothing changes as far back as the history goes
        person = replace(person, typical=typical[0])
    few = are_few(person.case.history, len(times_h))
    if few and describes(person.model.structure, effects.loads, analyte):
        return FewLevels(person, effects.loads, times_h)
    visits = _visits(times_h, person.case.history)
    if len(visits) == 1:
        return superposed(person, effects.loads, times_h, analyte)
    return Visits(
        tuple((v, superposed(person, effects.loads, times_h[v], analyte)) for v in visits),
        len(times_h),
    )
