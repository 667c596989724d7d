"""One compartment with an input that is the same for everybody: c(t) = g(k, t) / V, k = CL / V.

Most published models of the drug are of this kind: first-order or zero-order absorption whose own
parameter does not vary between patients. Then the whole dose history enters through one function
of one number, the rate of elimination, and its first and second derivatives are as cheap as itself.

The formulas take numpy or math as `m`, so that the same lines serve a vector of levels and, without
the fixed cost of array operations, one level in plain numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pk.case import SAME_TIME_H, History
from pk.meeting import quotient
from pk.response import FOREVER_H, NG_ML_PER_MG_L, Design, concentrations, dose_sums
from pk.structure import MEETING, PARENT, Structure

Array = NDArray[np.float64]
#: A value with its first and second derivative in k.
Jet = tuple[Any, Any, Any]

_INPUT: Final = {"first-order": "ka", "zero-order": "D"}


def describes(structure: Structure, loads: Array, analyte: str) -> bool:
    """True if levels of the analyte follow c = g(k, t) / V with an input known beforehand.

    `loads` (P, q) tells which parameters differ between patients.
    """
    name = _INPUT.get(structure.absorption)
    if analyte != PARENT or structure.disposition != "one-compartment" or name is None:
        return False
    if structure.lag or structure.bioavailability or not structure.linear:
        return False
    return not loads[structure.parameters.index(name)].any()


@dataclass(frozen=True, eq=False)  # no slots: cached_property needs a __dict__
class FixedInput:
    """The same for many parameter sets of one patient, whose average has the parameters `typical`.

    The input is not random, so the design always covers it, and the dose sums at the rate of
    absorption are the same for all sets.
    """

    structure: Structure
    typical: Mapping[str, Array]
    design: Design

    def concentrations(self, k_ratio: Array, inverse_volume_ratio: Array) -> Array:
        """Concentrations (M, T), ng/mL, for k and 1/V so many times the average, (M,)."""
        p = self.typical
        k = p["CL"] / p["V"] * k_ratio
        inverse = NG_ML_PER_MG_L / p["V"] * inverse_volume_ratio
        if "D" in p:
            return np.asarray(inverse[:, None] * dose_sums(k[:, None], p, self.design)[:, 0])
        ka = float(p["ka"])
        meet = np.abs(ka - k) < MEETING * ka
        found = dose_sums(k[:, None], p, self.design)[:, 0] - self._at_ka
        found *= (inverse * ka / np.where(meet, ka, ka - k))[:, None]
        if meet.any():  # few do; the general solution knows what to do
            volume = p["V"] / inverse_volume_ratio[meet]
            own = {"CL": k[meet] * volume, "V": volume, "ka": np.full(len(volume), ka)}
            theta = np.stack([own[name] for name in self.structure.parameters], axis=-1)
            found[meet] = concentrations(self.structure, theta, self.design)
        return np.asarray(found)

    @cached_property
    def _at_ka(self) -> Array:
        p = self.typical
        return np.asarray(dose_sums(np.array([[float(p["ka"])]]), p, self.design)[0, 0])


@dataclass(frozen=True, eq=False)  # no slots: cached_property needs a __dict__
class Layout:
    """Doses seen from each of L levels, and the input parameter (L,): ka, or the duration D.

    Ages count from the end of the input (zero order) or from intake (first order). single_h,
    single_mg (L, S): doses that stand alone; run_h, run_mg, run_tau_h, run_span_h (L, R): youngest
    dose of regular runs, spacing, and spacing x count; young_h, young_mg (L, Y): time since intake
    where a zero-order input still runs. Unused places hold 0 mg.
    """

    zero_order: bool
    input: Array
    single_h: Array
    single_mg: Array
    run_h: Array
    run_mg: Array
    run_tau_h: Array
    run_span_h: Array
    young_h: Array
    young_mg: Array

    def rows(self, keep: NDArray[Any]) -> "Layout":
        """The layout of some of the levels."""
        return Layout(
            self.zero_order,
            self.input[keep],
            self.single_h[keep],
            self.single_mg[keep],
            self.run_h[keep],
            self.run_mg[keep],
            self.run_tau_h[keep],
            self.run_span_h[keep],
            self.young_h[keep],
            self.young_mg[keep],
        )

    def g(self, k: Array) -> Jet:
        """g of every level (L,), ng/mL x L, with derivatives in its k (L,)."""
        shape = self._sums(k)
        if self.zero_order:
            ramp = _ramp(k * self.input, np)
            found = product(shape, (ramp[0], ramp[1] * self.input, ramp[2] * self.input**2))
            if self.young_mg.size:
                young = _young(k[:, None], self.young_h, self.young_mg, self.input[:, None], np)
                found = tuple(a + b.sum(axis=1) for a, b in zip(found, young, strict=True))
            return tuple(NG_ML_PER_MG_L * x for x in found)
        meet = np.abs(self.input - k) < MEETING * self.input
        if not meet.any():
            return _absorbed(shape, self._absorption, self.input, k)
        found = _absorbed(shape, self._absorption, self.input, np.where(meet, 0.0, k))
        for whole, part in zip(found, self.rows(meet)._meeting(k[meet]), strict=True):
            whole[meet] = part
        return found

    def _meeting(self, k: Array) -> Jet:
        """g where elimination is about as fast as absorption: dose by dose and run by run.

        For a run exp(-k age) N / B with N = 1 - exp(-k span), B = 1 - exp(-k tau), the quotient of
        differences obeys the product rule f(k) [g] + [f] g(ka), as derivatives do.
        """
        k, ka = k[:, None], self.input[:, None]
        found = [(x * self.single_mg).sum(axis=1) for x in quotient(k, ka, self.single_h)]
        if self.run_mg.size:
            age, tau, span = self.run_h, self.run_tau_h, self.run_span_h
            fade = np.exp(-k * age)
            series = _run(k, 0.0, 1.0, tau, span, np)
            at_ka = _run(ka, 0.0, 1.0, tau, span, np)[0]
            by_tau = product(series, quotient(k, ka, tau))
            of_series = tuple(
                (a - b) / -np.expm1(-ka * tau)
                for a, b in zip(by_tau, quotient(k, ka, span), strict=True)
            )
            rest = product((fade, -age * fade, age * age * fade), of_series)
            for i, (a, b) in enumerate(zip(quotient(k, ka, age), rest, strict=True)):
                found[i] += ((a * at_ka + b) * self.run_mg).sum(axis=1)
        return tuple(NG_ML_PER_MG_L * self.input * x for x in found)

    def _sums(self, k: Array) -> Jet:
        fade = np.exp(-k[:, None] * self.single_h)
        fade *= self.single_mg
        s0 = fade.sum(axis=1)
        fade *= self.single_h
        s1 = -fade.sum(axis=1)
        fade *= self.single_h
        s2 = fade.sum(axis=1)
        if not self.run_mg.size:
            return s0, s1, s2
        runs = _run(k[:, None], self.run_h, self.run_mg, self.run_tau_h, self.run_span_h, np)
        return s0 + runs[0].sum(axis=1), s1 + runs[1].sum(axis=1), s2 + runs[2].sum(axis=1)

    @cached_property
    def _absorption(self) -> Array:
        """Dose sums at the rate of absorption: the same whatever k."""
        return np.asarray(self._sums(self.input)[0])

    @cached_property
    def _plain(self) -> list[tuple[float, float, list[Any], list[Any]]]:
        """Per level: input parameter, sum at ka, runs, young doses, in plain numbers."""
        at_ka = self.input if self.zero_order else self._absorption
        runs = np.stack([self.run_h, self.run_mg, self.run_tau_h, self.run_span_h], axis=-1)
        young = np.stack([self.young_h, self.young_mg], axis=-1)
        return [
            (d, b, [r for r in rr if r[1] > 0.0], [y for y in yy if y[1] > 0.0])
            for d, b, rr, yy in zip(
                self.input.tolist(),
                at_ka.tolist(),
                runs.tolist(),
                young.tolist(),
                strict=True,
            )
        ]

    @cached_property
    def _moments(self) -> Array:
        """Amount, -amount x age, amount x age^2 of the doses that stand alone, (3, L, S)."""
        slope = -self.single_mg * self.single_h
        return np.array([self.single_mg, slope, -slope * self.single_h])

    def g_alone(self, k: float) -> list[Jet]:
        """The same for the levels of one patient, in plain numbers."""
        number = self._plain[0][0]
        if not self.zero_order and abs(number - k) < MEETING * number:
            return [tuple(x) for x in np.stack(self.g(np.full_like(self.input, k)), 1).tolist()]
        if self.single_mg.size:
            fade = np.exp(-k * self.single_h)
            sums = np.einsum("jls,ls->lj", self._moments, fade).tolist()
        else:
            sums = [(0.0, 0.0, 0.0)] * len(self.input)
        found = []
        for (s0, s1, s2), (number, b, runs, young) in zip(sums, self._plain, strict=True):
            for age, mg, tau, span in runs:
                r0, r1, r2 = _run(k, age, mg, tau, span, math)
                s0, s1, s2 = s0 + r0, s1 + r1, s2 + r2
            if self.zero_order:
                z0, z1, z2 = _ramp(k * number, math)
                shaped = product((s0, s1, s2), (z0, z1 * number, z2 * number * number))
                for age, mg in young:
                    y = _young(k, age, mg, number, math)
                    shaped = (shaped[0] + y[0], shaped[1] + y[1], shaped[2] + y[2])
                a, a1, a2 = shaped
                found.append((NG_ML_PER_MG_L * a, NG_ML_PER_MG_L * a1, NG_ML_PER_MG_L * a2))
            else:
                found.append(_absorbed((s0, s1, s2), b, number, k))
        return found


def layout(
    structure: Structure,
    histories: Sequence[History],
    owner: NDArray[np.intp],
    times_h: Array,
    number: Array,
) -> Layout:
    """Lay out levels at `times_h` (L,), each seen by the history of its `owner` (L,).

    `number` (L,) is the input parameter of each: ka in 1/h, or D in h.
    """
    zero_order = structure.absorption == "zero-order"
    last, amount, tau, count = _padded(histories, owner)
    t = times_h[:, None]
    over = t - number[:, None] if zero_order else t  # inputs of doses before this are over
    later = _since(last, tau, count, over - SAME_TIME_H)
    n = count - np.where(np.isinf(count), 0.0, later)
    age = over - (last - later * tau)
    mg = np.where(n > 0.0, amount, 0.0)
    runs = n > 1.0
    alone = (n == 1.0).any(axis=0)
    several = runs.any(axis=0)
    young_h, young_mg = np.zeros((2, len(t), 0))
    if zero_order:
        young_h, young_mg = _still_running(last, tau, count, amount, later, t)
    single = np.where(runs, 0.0, mg)[:, alone]
    run_mg = np.where(runs, mg, 0.0)[:, several]
    return Layout(
        zero_order,
        number,
        np.where(single > 0.0, age[:, alone], 0.0),
        single,
        np.where(run_mg > 0.0, age[:, several], 0.0),
        run_mg,
        tau[:, several],
        np.where(run_mg > 0.0, np.minimum(tau * np.maximum(n, 0.0), FOREVER_H)[:, several], 1.0),
        young_h,
        young_mg,
    )


def _padded(histories: Sequence[History], owner: NDArray[np.intp]) -> Array:
    """Last time, amount, spacing and count (4, L, columns) of the runs each level sees."""
    if len(histories) == 1:
        h = histories[0]
        runs = np.array([h.last_h, h.amount, h.tau, h.count])[:, None, :]
    else:
        runs = np.zeros((4, len(histories), max(len(h.last_h) for h in histories)))
        runs[2] = 1.0
        for row, h in enumerate(histories):
            runs[:, row, : len(h.last_h)] = h.last_h, h.amount, h.tau, h.count
    return np.take(runs, owner, axis=1)


def _since(last: Array, tau: Array, count: Array, at_h: Array) -> Array:
    """How many doses of each run were taken at or after a time."""
    found = np.floor((last - at_h) / tau) + 1.0
    return np.minimum(np.where(last >= at_h, found, 0.0), count)


def _still_running(
    last: Array, tau: Array, count: Array, amount: Array, later: Array, t: Array
) -> tuple[Array, Array]:
    """Time since intake and amount (L, Y) of the doses before each level whose input still runs."""
    first = _since(last, tau, count, t - SAME_TIME_H)
    ages, amounts = [], []
    for i in range(int((later - first).max(initial=0.0))):
        j = first + i
        running = j < later
        used = running.any(axis=0)
        age = t - (last - j * tau)
        ages.append(np.where(running, age, 1.0)[:, used])
        amounts.append(np.where(running, amount, 0.0)[:, used])
    if not ages:
        return np.zeros((len(t), 0)), np.zeros((len(t), 0))
    return np.concatenate(ages, axis=1), np.concatenate(amounts, axis=1)


def _run(k: Any, age: Any, mg: Any, tau: Any, span: Any, m: Any) -> Jet:
    """A regular run: exp(-k age) times the geometric series over its doses."""
    fade = mg * m.exp(-k * age)
    left, kept = m.exp(-k * span), m.exp(-k * tau)
    bottom = -m.expm1(-k * tau)
    ratio = -m.expm1(-k * span) / bottom
    slope = (span * left - ratio * tau * kept) / bottom
    bend = (-span * span * left - 2.0 * slope * tau * kept + ratio * tau * tau * kept) / bottom
    return (
        fade * ratio,
        fade * (slope - age * ratio),
        fade * (bend - 2.0 * age * slope + age * age * ratio),
    )


def _ramp(x: Any, m: Any) -> Jet:
    """(1 - exp(-x)) / x and its derivatives in x: what is left of an input at its end."""
    e = m.exp(-x)
    z = -m.expm1(-x) / x
    slope = (e - z) / x
    return z, slope, -(e + 2.0 * slope) / x


def _young(k: Any, age: Any, mg: Any, duration: Any, m: Any) -> Jet:
    """A zero-order input that still runs: only the part given so far is there to be eliminated."""
    z, slope, bend = _ramp(k * age, m)
    share = mg * age / duration
    return share * z, share * slope * age, share * bend * age * age


def _absorbed(s: Jet, at_ka: Any, ka: Any, k: Any) -> Jet:
    """First-order input: ka / (ka - k) times the difference of the dose sums at k and at ka."""
    gap = ka - k
    c0 = NG_ML_PER_MG_L * ka / gap
    c1 = c0 / gap
    return product((s[0] - at_ka, s[1], s[2]), (c0, c1, 2.0 * c1 / gap))


def product(a: Jet, b: Jet) -> Jet:
    """The product of two values with their derivatives."""
    return (
        a[0] * b[0],
        a[1] * b[0] + a[0] * b[1],
        a[2] * b[0] + 2.0 * a[1] * b[1] + a[0] * b[2],
    )
