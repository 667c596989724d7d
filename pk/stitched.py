"""Concentrations when parameters change over the history: segments stitched by their state.

Within a segment parameters are constant, and `pk.compartments` knows the amounts. Amounts pass from
segment to segment; nothing else does. Effects that come and go gradually are cut into segments.

Derivatives come from the complex step: every operation here is analytic in the parameters.
"""

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import gammaincinv

from pk.case import ClearanceEffect, Piecewise
from pk.compartments import amounts_at, compartment_of, rates_of
from pk.covariates import TREATMENT_DAYS
from pk.folded import NG_ML_PER_MG_L
from pk.history import SAME_TIME_H, History
from pk.individual import Individual, treatment_start_h
from pk.structure import Structure

Array = NDArray[np.float64]
Anything = NDArray[Any]

_STEP: Final = 1e-30
#: Gradual changes are followed in this many steps; errors fall with its square (0.3 % at 24 for
#: a fourfold induction, against an ODE solver).
_PIECES: Final = 24
#: After the last step of a gradual change the rest of it is followed dose by dose for so long.
_FADING_H: Final = 72.0
#: A gamma-shaped input is given as this many zero-order inputs of equal amount.
_SLICES: Final = 16
#: Parameter sets solved at once: their arrays then stay in the cache of the processor.
_CHUNK: Final = 128
#: exp(-27): doses whose remainder is less than 2e-12 of themselves are left out.
FORGOTTEN: Final = 27.0


class Stitched(Struct, frozen=True, eq=False):
    """Curve of one patient whose parameters change at `bounds_h`.

    `typical` (S, P) and `loads` (S, P, q) hold in the S segments between the S - 1 bounds.
    """

    person: Individual
    analyte: str
    times_h: Array
    bounds_h: Array
    typical: Array
    loads: Array

    def at(self, eta: Array) -> Array:
        """Concentrations (..., T) in ng/mL for random effects (..., q)."""
        if eta.ndim < 2 or len(eta) <= _CHUNK:
            return np.asarray(self._solve(eta).real)
        # sorted by how long they remember, so that few chunks need the oldest doses
        structure = self.person.model.structure
        last = structure.named(self.typical[-1] * np.exp(eta @ self.loads[-1].T))
        order = np.argsort(rates_of(structure, last).min(axis=-1))
        out = np.empty((len(eta), len(self.times_h)))
        for i in range(0, len(eta), _CHUNK):
            out[order[i : i + _CHUNK]] = self._solve(eta[order[i : i + _CHUNK]])
        return out

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        """Concentrations and their slopes (..., T, q) in the random effects."""
        q = eta.shape[-1]
        steps = (1j * _STEP) * np.eye(q).reshape(q, *(1,) * (eta.ndim - 1), q)
        f = self._solve(eta + steps)
        return f[0].real, np.moveaxis(f.imag / _STEP, 0, -1)

    def _solve(self, eta: Anything) -> Anything:
        structure = self.person.model.structure
        thetas = [
            typical * np.exp(eta @ loads.T)
            for typical, loads in zip(self.typical, self.loads, strict=True)
        ]
        inputs = self._inputs(structure, thetas)
        out = np.zeros((*eta.shape[:-1], len(self.times_h)), dtype=eta.dtype)
        state: Anything | None = None
        begins = float(inputs.start.real.min()) if inputs.start.size else math.inf
        for start, end, theta, here in self._segments(thetas):
            if end < begins and not here.any():
                continue  # nothing taken so long ago is remembered
            p = structure.named(theta)
            wanted = self.times_h[here]
            if end < math.inf:
                wanted = np.append(wanted, end)
            sums = partial(inputs.sums, wanted=wanted, since=start, until=end)
            amounts = amounts_at(structure, p, wanted - start, state, sums)
            place, volume = compartment_of(structure, self.analyte)
            out[..., here] = amounts[..., : int(here.sum()), place] / p[volume][..., None]
            state = amounts[..., -1, :]
        return NG_ML_PER_MG_L * out

    def _segments(
        self, thetas: list[Anything]
    ) -> Iterator[tuple[float, float, Anything, NDArray[np.bool_]]]:
        """Start, end, parameters and requested times of each segment up to the last time."""
        bounds = [-math.inf, *self.bounds_h.tolist(), math.inf]
        last = float(self.times_h.max())
        for k, theta in enumerate(thetas):
            start, end = bounds[k], bounds[k + 1]
            if start >= last:
                return
            if end >= last:
                end = math.inf
            yield start, end, theta, (self.times_h > start) & (self.times_h <= end)

    def _inputs(self, structure: Structure, thetas: list[Anything]) -> "_Inputs":
        """Every dose that still matters, with the input parameters of the time it was taken."""
        slowest = min(float(rates_of(structure, structure.named(t)).real.min()) for t in thetas)
        # back from the dose before the first time: after a long pause old doses are all there is
        history, first = self.person.case.history, float(self.times_h.min())
        latest = history.latest_before(first)
        horizon = (latest if math.isfinite(latest) else first) - FORGOTTEN / slowest
        times, amounts = history.single_doses(horizon)
        keep = times < self.times_h.max() - SAME_TIME_H
        times, amounts = times[keep], amounts[keep]
        segment = np.searchsorted(self.bounds_h, times, side="right")

        def at_dose(name: str) -> Anything:
            i = structure.parameters.index(name)
            return np.stack([t[..., i] for t in thetas], axis=-1)[..., segment]

        start = times + (at_dose("tlag") if structure.lag else 0.0)
        if structure.bioavailability:
            # per dose, not per segment: what is absorbed depends on the day of the intake itself
            i = structure.parameters.index("F")
            typical = np.array([self.person.typical_at(t)[i] for t in times.tolist()])
            amounts = amounts * typical * (at_dose("F") / self.typical[segment, i])
        if structure.absorption == "zero-order":
            duration = at_dose("D")
            return _Inputs(start, start + duration, amounts / duration, instant=False)
        if structure.absorption in ("transit", "mean-transit"):
            n = float(self.typical[0, structure.parameters.index("n")])
            if structure.absorption == "transit":
                return _slices(start, at_dose("ktr"), n, amounts)
            return _slices(start, (n + 1.0) / at_dose("mtt"), n + 1.0, amounts)
        return _Inputs(start, start, amounts, instant=True)


def segments(person: Individual, times_h: Array) -> tuple[Array, Array]:
    """Times at which parameters change (S - 1,), and the typical parameters (S, P) in between."""
    bounds = _bounds(person, times_h)
    edges = _edges(bounds, person.case.history.first_h, float(times_h.max()))
    return bounds, np.array([person.typical_over(a, b) for a, b in pairwise(edges)])


def stitched(
    person: Individual,
    loads: Array,
    times_h: Array,
    analyte: str,
    cut: tuple[Array, Array] | None = None,
) -> Stitched:
    """Curve of a patient with changing parameters; `loads` (P, q), or (O, P, q) per occasion.

    `cut`: the result of `segments`, if it is known already.
    """
    bounds, typical = cut or segments(person, times_h)
    if loads.ndim == 2:
        per_segment = np.broadcast_to(loads, (len(typical), *loads.shape))
    else:
        edges = _edges(bounds, person.case.history.first_h, float(times_h.max()))
        starts = np.array(person.case.occasions_h)
        begins = np.array(edges[:-1]) + SAME_TIME_H  # a bound may stand at a dose beside it
        occasion = np.searchsorted(starts, begins, side="right") - 1
        per_segment = loads[np.maximum(occasion, 0)]
    return Stitched(person, analyte, times_h, bounds, typical, per_segment)


def _bounds(person: Individual, times_h: Array) -> Array:
    """Times at which a parameter changes, within the history."""
    first, last = person.case.history.first_h, float(times_h.max())
    found: set[float] = set(person.case.occasions_h)
    for name in person.model.domain:
        value = person.case.covariates.get(name)
        if isinstance(value, Piecewise):
            found.update(value.times_h)
    for partner in person.case.clearance_effects:
        turns = [t for t in _effect_bounds(partner) if first < t < last]
        found.update(turns)
        if len(turns) > 1:
            # a dose or a level in mid-segment has seen only part of its average
            doses = person.case.history.single_doses(turns[0])[0]
            found.update(t for t in [*doses, *times_h] if turns[0] < t < turns[-1] + _FADING_H)
    if person.model.needs_treatment_days:
        start = treatment_start_h(person.case)
        found.update(start + 24.0 * d for d in _treatment_days(person))
    bounds = np.array(sorted(t for t in found if first < t < last))
    return _told_apart(_at_doses(bounds, person.case.history))


def _at_doses(bounds: Array, history: History) -> Array:
    """Bounds at the same time as a dose stand where it stands, so that it is wholly on one side."""
    back = np.rint((history.last_h - bounds[:, None]) / history.tau)
    doses = history.last_h - np.clip(back, 0.0, history.count - 1.0) * history.tau
    same = np.abs(doses - bounds[:, None]) <= SAME_TIME_H
    return np.where(same.any(axis=1), np.where(same, doses, np.inf).min(axis=1), bounds)


def _told_apart(bounds: Array) -> Array:
    """Bounds in order, those at the same time as the one before left out."""
    kept: list[float] = []
    for bound in bounds.tolist():
        if not kept or bound > kept[-1] + SAME_TIME_H:
            kept.append(bound)
    return np.array(kept)


def _effect_bounds(partner: ClearanceEffect) -> list[float]:
    """Start, stop, and steps while an effect grows or fades."""
    steps = _decay_steps() / math.log(2.0)
    found = (partner.start_h + partner.onset_half_life_h * steps).tolist()
    if partner.stop_h is not None:
        found = [t for t in found if t < partner.stop_h]
        found += (partner.stop_h + partner.offset_half_life_h * steps).tolist()
    return [t for t in found if math.isfinite(t)]


def _decay_steps() -> Array:
    """Cuts of exp(-t) that share the error evenly: it goes with change x length of a step."""
    return np.asarray(-2.0 * np.log(1.0 - np.arange(_PIECES) / _PIECES))


def _treatment_days(person: Individual) -> list[float]:
    days: list[float] = []
    for parameter in person.model.parameters:
        for effect in parameter.effects:
            if effect.covariate != TREATMENT_DAYS:
                continue
            if effect.kind == "decay":
                days += (_decay_steps()[1:] / effect.number["rate"]).tolist()
            else:
                days.append(effect.number["threshold"])
    return days


def _edges(bounds: Array, first_h: float, last_h: float) -> list[float]:
    """Ends of the segments; the first begins with the history (or before it was recorded)."""
    if not len(bounds):
        return [min(first_h, last_h), last_h]
    if math.isinf(first_h):
        first_h = float(bounds[0])
    return [first_h, *bounds.tolist(), last_h]


class _Inputs(Struct, frozen=True, eq=False):
    """Inputs (..., pieces): mg/h between start and end, or mg at once if instant."""

    start: Anything
    end: Anything
    rate: Anything
    instant: bool

    def sums(self, mode_rate: Anything, wanted: Array, since: float, until: float) -> Anything:
        """Dose sums (..., J, T) of modes from what enters between `since` and `until`."""
        begins, ends = self._span()
        inside = (begins < until) & (ends >= since)
        # what is over before the first wanted time is summed once and then only fades
        first = float(wanted.min())
        over = inside & (ends < first - SAME_TIME_H)
        total = np.zeros((*mode_rate.shape, len(wanted)), dtype=mode_rate.dtype)
        if over.any():
            once = self._sums(mode_rate, np.array([first]), since, over)
            total = once * np.exp(-mode_rate[..., None] * (wanted - first))
        if (rest := inside & ~over).any():
            total = total + self._sums(mode_rate, wanted, since, rest)
        return total

    def _sums(
        self, mode_rate: Anything, wanted: Array, since: float, which: NDArray[np.bool_]
    ) -> Anything:
        k = mode_rate[..., :, None, None]
        t = wanted[:, None]
        start, end, rate = (a[..., which][..., None, None, :] for a in self._arrays())
        if self.instant:
            taken = (start.real >= since) & (start.real < t - SAME_TIME_H)
            age = np.where(taken, t - start, 0.0)
            return np.asarray((np.exp(-k * age) * np.where(taken, rate, 0.0)).sum(axis=-1))
        u0 = np.minimum(np.maximum(start, since), t)
        u1 = np.minimum(np.maximum(end, since), t)
        entered = np.exp(-k * (t - u1)) * -np.expm1(-k * (u1 - u0)) / k
        return np.asarray((entered * rate).sum(axis=-1))

    def _span(self) -> tuple[Array, Array]:
        """Earliest start and latest end of each piece over all parameter sets."""
        start, end, _ = self._arrays()
        axes = tuple(range(start.ndim - 1))
        return start.real.min(axis=axes), end.real.max(axis=axes)

    def _arrays(self) -> tuple[Anything, Anything, Anything]:
        shape = np.broadcast_shapes(self.start.shape, self.end.shape, self.rate.shape)
        start, end, rate = (np.broadcast_to(a, shape) for a in (self.start, self.end, self.rate))
        return start, end, rate


def _slices(start: Anything, ktr: Anything, n: float, amounts: Array) -> _Inputs:
    """Cut a gamma-shaped input (n steps at rate ktr) into slices of equal amount."""
    shares = np.append(np.arange(_SLICES) / _SLICES, 1.0 - 0.1 / _SLICES)
    cuts = gammaincinv(n, shares) / ktr[..., None]
    begin, end = start[..., None] + cuts[..., :-1], start[..., None] + cuts[..., 1:]
    rate = amounts[..., None] / _SLICES / (end - begin)
    flat = (*begin.shape[:-2], -1)
    return _Inputs(begin.reshape(flat), end.reshape(flat), rate.reshape(flat), instant=False)
