"""One compartment with an input that is the same for everybody: c(t) = g(k, t) / V, k = CL / V.

Most published models of the drug are of this kind: first-order or zero-order absorption whose own
parameter does not vary between patients. Then the whole dose history enters through one function
of one number, the rate of elimination, and its first and second derivatives are as cheap as itself.

"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.folded import FOREVER_H, NG_ML_PER_MG_L
from pk.history import SAME_TIME_H, History
from pk.jets import Jet, Seen, absorbed, product, ramp, run, with_input, young
from pk.meeting import quotient
from pk.response import Design, concentrations, dose_sums
from pk.structure import MEETING, PARENT, Structure

Array = NDArray[np.float64]
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


def ratios(structure: Structure, slopes: Array, effects: Array) -> Array:
    """k and 1/V (2, M) over the average, for random effects (M, q).

    `slopes` (P, q) are those of the log parameters in the effects.
    """
    names = structure.parameters
    clearance, volume = slopes[[names.index("CL"), names.index("V")]]
    return np.asarray(np.exp(np.array([clearance - volume, -volume]) @ effects.T))


class FixedInput(Struct, frozen=True, eq=False):
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
            return np.asarray(dose_sums(k, p, self.design) * inverse[:, None])
        ka = float(p["ka"])
        sums = dose_sums(np.append(k, ka), p, self.design)  # rates of one patient, as modes are
        found = sums[:-1]
        found -= sums[-1]
        gap = ka - k
        meet = np.abs(gap) < MEETING * ka
        if not meet.any():
            found *= (inverse * ka / gap)[:, None]
            return np.asarray(found)
        found *= (inverse * ka / np.where(meet, ka, gap))[:, None]
        # few do; the general solution knows what to do
        volume = p["V"] / inverse_volume_ratio[meet]
        own = {"CL": k[meet] * volume, "V": volume, "ka": np.full(len(volume), ka)}
        theta = np.stack([own[name] for name in self.structure.parameters], axis=-1)
        found[meet] = concentrations(self.structure, theta, self.design)
        return np.asarray(found)


class Layout(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
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
            z, slope, bend = ramp(k * self.input, np)
            found = product(shape, (z, slope * self.input, bend * self.input**2))
            if self.young_mg.size:
                running = young(k[:, None], self.young_h, self.young_mg, self.input[:, None], np)
                found = tuple(a + b.sum(axis=1) for a, b in zip(found, running, strict=True))
            return tuple(NG_ML_PER_MG_L * x for x in found)
        meet = np.abs(self.input - k) < MEETING * self.input
        if not meet.any():
            return absorbed(shape, self._absorption, self.input, k)
        found = absorbed(shape, self._absorption, self.input, np.where(meet, 0.0, k))
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
            series = run(k, 0.0, 1.0, tau, span, np)
            at_ka = run(ka, 0.0, 1.0, tau, span, np)[0]
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
        runs = run(k[:, None], self.run_h, self.run_mg, self.run_tau_h, self.run_span_h, np)
        return s0 + runs[0].sum(axis=1), s1 + runs[1].sum(axis=1), s2 + runs[2].sum(axis=1)

    @cached_property
    def _absorption(self) -> Array:
        """Dose sums at the rate of absorption: the same whatever k."""
        return np.asarray(self._sums(self.input)[0])

    @cached_property
    def _plain(self) -> list[Seen]:
        """What each level sees beside the doses that stand alone, in plain numbers."""
        at_ka = self.input if self.zero_order else self._absorption
        runs = np.stack([self.run_h, self.run_mg, self.run_tau_h, self.run_span_h], axis=-1)
        young = np.stack([self.young_h, self.young_mg], axis=-1)
        return [
            Seen(d, b, [r for r in rr if r[1] > 0.0], [y for y in yy if y[1] > 0.0])
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
        number = self._plain[0].input
        if not self.zero_order and abs(number - k) < MEETING * number:
            return [tuple(x) for x in np.stack(self.g(np.full_like(self.input, k)), 1).tolist()]
        if self.single_mg.size:
            fade = np.exp(-k * self.single_h)
            sums = np.einsum("jls,ls->lj", self._moments, fade).tolist()
        else:
            sums = [(0.0, 0.0, 0.0)] * len(self.input)
        return [
            with_input(k, (s0, s1, s2), seen, self.zero_order)
            for (s0, s1, s2), seen in zip(sums, self._plain, strict=True)
        ]


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
