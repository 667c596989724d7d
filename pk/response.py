"""Superposition: concentrations and their analytic gradient for any dose history.

Doses whose input was over before the first requested time are folded into one number per mode - a
regular run of them, even an infinite one, is a geometric series - so the cost of a year of history
is that of its irregular doses. The others are summed one by one.

Everything broadcasts over leading axes: parameter sets (..., P) against one patient, or one set per
patient (N, P) against stacked patients (N, ...).
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk import absorption
from pk.folded import CANCELS, FOREVER_H, NG_ML_PER_MG_L, Folded
from pk.history import SAME_TIME_H, History
from pk.structure import PARENT, Structure

Array = NDArray[np.float64]

_MANY: Final = 256
_PARTS: Final = 16


class Design(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Doses seen from the requested times (times T, folded runs R, single doses K).

    offset_h (..., T): time since the reference, the first requested time. run_age_h (..., R): age
    of the youngest folded dose of a run at the reference; run_tau_h, run_span_h: spacing, and
    spacing x count. dose_age_h and dose_mg (..., T, K): single doses, both zero where not yet
    taken. settle_h: how old a dose had to be to be folded.
    """

    offset_h: Array
    run_age_h: Array
    run_mg: Array
    run_tau_h: Array
    run_span_h: Array
    dose_age_h: Array
    dose_mg: Array
    settle_h: float
    single_runs: bool

    @cached_property
    def folded(self) -> Folded:
        """The folded doses of one patient, ready to be summed at many rates."""
        return Folded.of(self.run_age_h, self.run_mg, self.run_tau_h, self.run_span_h)


def design(history: History, times_h: Array, settle_h: float = 0.0) -> Design:
    """Lay out a history for the requested times; inputs may run for `settle_h` hours."""
    reference = float(times_h.min())
    horizon = reference - settle_h - SAME_TIME_H
    later = np.floor((history.last_h - horizon) / history.tau) + 1.0
    later = np.minimum(np.where(history.last_h >= horizon, later, 0.0), history.count)
    n = history.count - np.where(np.isinf(history.count), 0.0, later)
    kept = n > 0.0
    last = (history.last_h - later * history.tau)[kept]
    tau = history.tau[kept]
    span = np.minimum(tau * n[kept], FOREVER_H)
    if later.any():
        taken, amounts = history.single_doses(horizon - SAME_TIME_H, float(times_h.max()))
        taken, amounts = taken[taken >= horizon], amounts[taken >= horizon]
        age = times_h[:, None] - taken
        given = age > SAME_TIME_H
        dose_age, dose_mg = np.where(given, age, 0.0), np.where(given, amounts, 0.0)
    else:
        dose_age = dose_mg = np.zeros((len(times_h), 0))
    return Design(
        offset_h=times_h - reference,
        run_age_h=reference - last,
        run_mg=history.amount[kept],
        run_tau_h=tau,
        run_span_h=span,
        dose_age_h=dose_age,
        dose_mg=dose_mg,
        settle_h=settle_h,
        single_runs=bool((n[kept] == 1.0).all()),
    )


def stack(designs: Sequence[Design]) -> Design:
    """Stack the designs of many patients, padded with doses of zero mg."""

    def padded(arrays: list[Array], fill: float) -> Array:
        shape = tuple(max(a.shape[d] for a in arrays) for d in range(arrays[0].ndim))
        out = np.full((len(arrays), *shape), fill)
        for row, a in zip(out, arrays, strict=True):
            row[tuple(slice(n) for n in a.shape)] = a
        return out

    return Design(
        padded([d.offset_h for d in designs], 0.0),
        padded([d.run_age_h for d in designs], 0.0),
        padded([d.run_mg for d in designs], 0.0),
        padded([d.run_tau_h for d in designs], 1.0),
        padded([d.run_span_h for d in designs], 1.0),
        padded([d.dose_age_h for d in designs], 0.0),
        padded([d.dose_mg for d in designs], 0.0),
        max(d.settle_h for d in designs),
        all(d.single_runs for d in designs),
    )


def concentrations(
    structure: Structure, theta: Array, design: Design, analyte: str = PARENT
) -> Array:
    """Concentration in ng/mL, shape (..., T), for parameter sets theta (..., P)."""
    p = structure.named(theta)
    modes = structure.modes(p, analyte)
    q = _sums(modes.rate, p, design)
    # the modes are few: adding them one by one spares a reduction over a short axis
    total = modes.coef[..., 0, None] * q[..., 0, :]
    for j in range(1, modes.coef.shape[-1]):
        total += modes.coef[..., j, None] * q[..., j, :]
    return NG_ML_PER_MG_L * np.asarray(total)


def concentrations_with_slopes(
    structure: Structure, theta: Array, wrt: NDArray[np.intp], design: Design, analyte: str
) -> tuple[Array, Array]:
    """Concentrations (..., T) and slopes (..., T, len(wrt)) in the logs of parameters `wrt`."""
    modes = structure.mode_slopes(theta, wrt, analyte)
    p = structure.named(theta)
    q, dq, inputs = _sums_with_slopes(modes.rate, p, design)
    coef = modes.coef[..., None]
    slopes = np.einsum("r...j,...jt->...tr", modes.coef_slope, q)
    slopes += np.einsum("r...j,...jt->...tr", modes.rate_slope, coef * dq)
    for column, index in enumerate(wrt.tolist()):
        if (name := structure.parameters[index]) in inputs:
            slopes[..., column] += (coef * inputs[name]).sum(axis=-2)
    f = (coef * q).sum(axis=-2)
    return NG_ML_PER_MG_L * f, NG_ML_PER_MG_L * slopes


def steady_state_unit(
    structure: Structure, theta: Array, tau_h: float, ages_h: Array, analyte: str = PARENT
) -> Array:
    """Concentration (..., T) per mg at ages after a dose, repeated every tau for ever."""
    tau, ages = float(tau_h), tuple(ages_h.tolist())
    return _of_many(structure, theta, lambda settle_h: _for_ever(tau, ages, settle_h), analyte)


@lru_cache(maxsize=256)
def _for_ever(tau_h: float, ages_h: tuple[float, ...], settle_h: float) -> Design:
    """1 mg every tau for ever: the same for every patient, and asked for several times of each."""
    forever = History(*(np.array([x]) for x in (0.0, 1.0, tau_h, np.inf)))
    return design(forever, np.array(ages_h), settle_h)


def concentrations_of_many(
    structure: Structure, theta: Array, history: History, times_h: Array, analyte: str = PARENT
) -> Array:
    """Concentrations (..., T) for parameter sets (..., P), at times after any history."""
    return _of_many(structure, theta, lambda settle_h: design(history, times_h, settle_h), analyte)


def _of_many(
    structure: Structure, theta: Array, laid_out: Callable[[float], Design], analyte: str
) -> Array:
    """Concentrations (..., T) for parameter sets (..., P), those with long inputs apart.

    The longest input decides how many doses are summed one by one, and a few draws with very slow
    absorption would make all the others pay for it.
    """
    p = structure.named(theta)
    longest = absorption.duration_h(p)
    if theta.ndim != 2 or len(theta) < _MANY or longest == 0.0:
        return concentrations(structure, theta, laid_out(longest), analyte)
    needed = absorption.durations_h(p)
    if longest <= needed.min():
        return concentrations(structure, theta, laid_out(longest), analyte)
    parts = np.array_split(np.argsort(needed), _PARTS)
    found = [
        concentrations(structure, theta[part], laid_out(float(needed[part].max())), analyte)
        for part in parts
    ]
    out = np.empty((len(theta), found[0].shape[-1]))
    out[np.concatenate(parts)] = np.concatenate(found)
    return out


def _sums(rate: Array, p: absorption.Theta, d: Design) -> Array:
    """Dose sums of each mode at each time, shape (..., J, T)."""
    if rate.ndim == 2 and d.offset_h.ndim == 1 and not absorption.takes_time(p):
        # a rate that is the same in all parameter sets (of absorption, mostly) is summed once
        same = (rate == rate[0]).all(axis=0)
        if same.any() and len(rate) > 1:
            q = np.empty((*rate.shape, d.offset_h.shape[-1]))
            q[:, same] = dose_sums(rate[:1, same], p, d)
            if not same.all():
                q[:, ~same] = dose_sums(rate[:, ~same], p, d)
            return q
    return dose_sums(rate, p, d)


def dose_sums(rate: Array, p: absorption.Theta, d: Design) -> Array:
    """Dose sums (..., J, T) of modes with rates (..., J), 1/h; p holds the input's parameters."""
    q: Array | float = 0.0
    if d.run_mg.shape[-1]:
        if d.run_mg.ndim == 1:
            folded = d.folded.sums(rate)
        else:
            terms = np.exp(-rate[..., None] * d.run_age_h[..., None, :]) * d.run_mg[..., None, :]
            if not d.single_runs:
                terms *= _geometric(rate[..., None], d)[0]
            folded = terms.sum(axis=-1)
        if absorption.takes_time(p):
            folded = folded * absorption.settled(rate, p).value
        q = folded[..., None]
        if d.offset_h.shape[-1] > 1:  # the reference is the first time
            q = q * np.exp(-rate[..., None] * d.offset_h[..., None, :])
    if d.dose_mg.shape[-1]:
        shaped = absorption.recent(rate, d.dose_age_h[..., None, :, :], p).value
        q = q + np.einsum("...jtk,...tk->...jt", shaped, d.dose_mg)
    if isinstance(q, float):
        return np.zeros((*rate.shape, d.offset_h.shape[-1]))
    return q


def _fallen(x: Array) -> Array:
    """1 - exp(-x) for positive x."""
    return 1.0 - np.exp(-x) if x.min(initial=1.0) > CANCELS else -np.expm1(-x)


def _sums_with_slopes(
    rate: Array, p: absorption.Theta, d: Design
) -> tuple[Array, Array, dict[str, Array]]:
    """Dose sums, their slopes in the rate, and in the input's own log parameters."""
    shape = (*rate.shape, d.offset_h.shape[-1])
    q, dq = np.zeros(shape), np.zeros(shape)
    inputs: dict[str, Array] = {}
    if d.run_mg.shape[-1]:
        age = d.run_age_h[..., None, :]
        terms = np.exp(-rate[..., None] * age) * d.run_mg[..., None, :]
        slopes = -age * terms
        if not d.single_runs:
            g, dg = _geometric(rate[..., None], d)
            slopes = slopes * g + terms * dg
            terms = terms * g
        shape_factor = absorption.settled(rate, p)
        s, ds = terms.sum(axis=-1), slopes.sum(axis=-1)
        offset = d.offset_h[..., None, :]
        fade = np.exp(-rate[..., None] * offset)
        q = (s * shape_factor.value)[..., None] * fade
        ds = ds * shape_factor.value + s * shape_factor.rate_slope
        dq = ds[..., None] * fade - offset * q
        for name, slope in shape_factor.input_slopes.items():
            inputs[name] = (s * slope)[..., None] * fade
    if d.dose_mg.shape[-1]:
        shaped = absorption.recent(rate, d.dose_age_h[..., None, :, :], p)
        q = q + np.einsum("...jtk,...tk->...jt", shaped.value, d.dose_mg)
        dq = dq + np.einsum("...jtk,...tk->...jt", shaped.rate_slope, d.dose_mg)
        for name, slope in shaped.input_slopes.items():
            add = np.einsum("...jtk,...tk->...jt", slope, d.dose_mg)
            inputs[name] = inputs[name] + add if name in inputs else add
    return q, dq, inputs


def _geometric(rate: Array, d: Design) -> tuple[Array, Array]:
    """Sum of exp(-rate tau i) over the doses of each folded run, and its slope in the rate."""
    tau, span = d.run_tau_h[..., None, :], d.run_span_h[..., None, :]
    top, bottom = _fallen(rate * span), _fallen(rate * tau)
    g = top / bottom
    return g, (span * (1.0 - top) - g * tau * (1.0 - bottom)) / bottom
