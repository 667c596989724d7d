"""Concentration over time for pictures: the only file that draws on the inside of the PK library.

A picture needs few points, and doses that were eliminated long before its window cannot be seen in
it. Of the posterior every node is kept: every n-th point of a lattice is not a smaller lattice, and
the bands would move.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

import pk
from pk.curve import curve
from pk.individual import treatment_start_h
from pk.response import steady_state_unit
from pk.structure import PARENT

Array = NDArray[np.float64]
Population = pk.Posterior

PROBS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_MEDIAN: Final = 2
_MEMORY_H: Final = 21 * 24.0
"""Doses older than this at the start of a window are left out: they change no pixel."""


class Ribbon(Struct, frozen=True):
    """A curve with its bands: `line` (T,) is what the reader follows, `quantiles` (5, T)."""

    hours: Array
    line: Array
    quantiles: Array


def population_of(posterior: pk.Posterior) -> pk.Posterior:
    """Return what is expected of a patient like this one before any level."""
    return pk.fit(posterior.case.with_levels([]), posterior.model, posterior.options)


def over_time(posterior: pk.Posterior, hours: Array) -> Ribbon:
    """Return the concentration at times on the case's clock.

    The line is the best estimate, which is what a level's fit is judged by.
    """
    person = replace(posterior.individual, case=_recent(posterior.case, float(hours[0])))
    nodes = posterior.nodes
    root = posterior.effects.root
    eta = np.vstack([posterior.z, nodes.z]) @ root.T
    values = curve(person, posterior.effects, hours, PARENT).at(eta)
    return Ribbon(hours, values[0], nodes.quantiles(values[1:], np.array(PROBS)))


def over_interval(posterior: pk.Posterior, regimen: pk.Regimen, hours: Array) -> Ribbon:
    """Return one dosing interval in steady state; the line is the median, as in the dose table."""
    nodes = posterior.nodes
    theta = posterior.theta(nodes.z)
    ages = np.clip(hours, 1e-6, regimen.interval_h)
    unit = steady_state_unit(posterior.model.structure, theta, regimen.interval_h, ages)
    values = regimen.amount_mg * unit
    quantiles = nodes.quantiles(values, np.array(PROBS))
    return Ribbon(hours, quantiles[_MEDIAN], quantiles)


def doses_between(case: pk.Case, start_h: float, end_h: float) -> tuple[Array, Array]:
    """Return times and amounts of the doses inside a window."""
    times, amounts = case.history.single_doses(start_h)
    inside = (times <= end_h) & (amounts > 0.0)
    return times[inside], amounts[inside]


def _recent(case: pk.Case, start_h: float) -> pk.Case:
    """The case with the doses that the window can still see."""
    kept = [dose for dose in case.doses if dose.time_h >= start_h - _MEMORY_H]
    if len(kept) == len(case.doses) or not kept:
        return case.with_levels([])
    return replace(
        case,
        doses=kept,
        levels=(),
        steady_state=None,
        occasions_h=(),
        treatment_start_h=treatment_start_h(case),
    )
