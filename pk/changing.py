"""One compartment whose clearance or volume changes over the history, in closed form.

With k(t) = kappa phi(t), where phi is the rate of the average patient and kappa what this patient
makes of it, elimination runs on a clock of its own: Phi, the integral of phi. What is there at one
time fades by exp(-kappa (Phi(t) - Phi(s))), whatever happened in between, and what enters during a
stretch of constant phi adds two such terms. So here too the whole history is one function g of one
number, c(t) = g(kappa, t) / nu, and `pk.reduced` applies. The answers are those of `pk.stitched`,
which serves every structure, to rounding.
"""

import math
from functools import cached_property
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from pk.folded import NG_ML_PER_MG_L
from pk.history import SAME_TIME_H, History
from pk.individual import Individual
from pk.jets import Jet, product
from pk.meeting import quotient
from pk.one_compartment import Layout, describes, layout
from pk.response import concentrations, design
from pk.stitched import FORGOTTEN
from pk.structure import MEETING, Structure
from pk.variability import Variability

Array = NDArray[np.float64]

#: Even one who eliminates at a twentieth of the average rate has forgotten by then.
_SLOWEST: Final = 20.0
#: Parameter sets at once, so that their arrays stay in the cache of the processor.
_CHUNK: Final = 512


class Course(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Rate phi (S,), 1/h, and volume (S,), L, of the average patient between bounds_h (S - 1,).

    `input` is ka or D, the same throughout.
    """

    structure: Structure
    history: History
    bounds_h: Array
    phi: Array
    volume: Array
    input: float

    @property
    def zero_order(self) -> bool:
        return self.structure.absorption == "zero-order"

    @property
    def first_h(self) -> float:
        """The first change; before it the parameters are constant."""
        return float(self.bounds_h[0])

    @cached_property
    def _at_bounds(self) -> Array:
        return np.append(0.0, np.cumsum(self.phi[1:-1] * np.diff(self.bounds_h)))

    def clock(self, times_h: Array) -> Array:
        """Phi at the given times, zero at the first change."""
        place = np.searchsorted(self.bounds_h, times_h)
        before = np.maximum(place - 1, 0)
        return self._at_bounds[before] + self.phi[place] * (times_h - self.bounds_h[before])

    def volume_at(self, times_h: Array) -> Array:
        return self.volume[np.searchsorted(self.bounds_h, times_h)]

    def pieces(self, since_h: float, until_h: float) -> "Pieces":
        """What enters between two times, both after the first change, as seen from the second."""
        inside = self.bounds_h[(self.bounds_h > since_h) & (self.bounds_h < until_h)]
        if self.zero_order:
            begins, ends, amount = self._given(since_h, until_h, inside)
            left = np.zeros(len(begins))
        else:
            begins, amount = self._entering(since_h, until_h, inside)
            after = np.append(inside, until_h)
            ends = after[np.searchsorted(inside, begins, side="right")]
            left = np.exp(-self.input * (ends - begins))
        at_begin, at_end = self.clock(begins), self.clock(ends)
        now = self.clock(np.array([until_h]))
        phi = self.phi[np.searchsorted(self.bounds_h, begins, side="right")]
        return Pieces(amount, phi, now - at_begin, now - at_end, left, self.input, self.zero_order)

    def _entering(self, since_h: float, until_h: float, inside: Array) -> tuple[Array, Array]:
        """First order: what lies at the absorption site at each bound, and each dose."""
        times, amounts = self.history.single_doses(since_h - SAME_TIME_H)
        taken = times < until_h - SAME_TIME_H
        starts = np.append(since_h, inside)
        depot = _depot(self.history, self.input, starts)
        return np.append(starts, times[taken]), np.append(depot, amounts[taken])

    def _given(self, since_h: float, until_h: float, inside: Array) -> tuple[Array, Array, Array]:
        """Zero order: begin, end and mg/h of each stretch of input within one segment."""
        times, amounts = self.history.single_doses(since_h - self.input - SAME_TIME_H)
        edges = np.concatenate([[since_h], inside, [until_h]])
        begins = np.maximum(times[:, None], edges[:-1])
        ends = np.minimum(times[:, None] + self.input, edges[1:])
        used = (ends > begins) & (times < until_h - SAME_TIME_H)[:, None]
        rate = np.broadcast_to(amounts[:, None] / self.input, used.shape)
        return begins[used], ends[used], rate[used]


def _depot(history: History, ka: float, at_h: Array) -> Array:
    """Amount at the absorption site at each time, of doses taken before it."""
    last, tau, count = history.last_h, history.tau, history.count
    t = at_h[:, None] - SAME_TIME_H
    later = np.where(last >= t, np.floor((last - t) / tau) + 1.0, 0.0)
    later = np.minimum(later, count)
    n = count - np.where(np.isinf(count), 0.0, later)
    age = np.where(n > 0.0, at_h[:, None] - (last - later * tau), 0.0)
    series = -np.expm1(-ka * tau * np.maximum(n, 0.0)) / -np.expm1(-ka * tau)
    return np.asarray((history.amount * np.exp(-ka * age) * series).sum(axis=1))


class Pieces(Struct, frozen=True, eq=False):
    """Stretches of input (P,), each within one segment, seen from one time.

    amount: mg at the absorption site at the beginning (first order), or mg/h (zero order). begin,
    end: clock elapsed since beginning and end. left: share still at the absorption site at the end.
    """

    amount: Array
    phi: Array
    begin: Array
    end: Array
    left: Array
    input: float
    zero_order: bool

    def amounts(self, kappa: Array) -> Array:
        """mg (M,) in the compartment, for kappa (M,)."""
        k = kappa[:, None]
        fall = np.exp(-k * self.begin)
        if self.zero_order:
            rise = np.exp(-k * self.end) - fall
            return np.asarray(rise @ (self.amount / self.phi) / kappa)
        over = self.end > 0.0  # most pieces of a long last segment end now
        fall[:, over] -= self.left[over] * np.exp(-k * self.end[over])
        fall[:, ~over] -= self.left[~over]
        gap = self.input - k * self.phi
        meet = np.abs(gap) < MEETING * self.input
        if meet.any():
            row, piece = np.nonzero(meet)
            fall[meet] = self._meeting(kappa[row], piece)[0]
            gap[meet] = 1.0
        fall /= gap
        return np.asarray(fall @ (self.amount * self.input))

    def jet(self, kappa: float) -> Jet:
        """mg in the compartment and its two derivatives in kappa, for one kappa."""
        a, b = self.begin, self.end
        e, f = np.exp(-kappa * a), np.exp(-kappa * b)
        if self.zero_order:
            d = np.array([f - e, a * e - b * f, b * b * f - a * a * e]) @ (self.amount / self.phi)
            c = 1.0 / kappa
            return product(d.tolist(), (c, -c * c, 2.0 * c**3))
        f *= self.left
        gap = self.input - kappa * self.phi
        meet = np.abs(gap) < MEETING * self.input
        gap[meet] = np.inf
        given = self.amount * self.input
        c0 = given / gap
        c1 = c0 * self.phi / gap
        c2 = 2.0 * c1 * self.phi / gap
        d0, d1, d2 = e - f, b * f - a * e, a * a * e - b * b * f
        if meet.any():
            met = self._meeting(kappa, np.flatnonzero(meet))
            c0[meet] = given[meet]  # the quotients hold the gap, and their slopes are their own
            d0[meet], d1[meet], d2[meet] = met
        return (
            float(c0 @ d0),
            float(c1 @ d0 + c0 @ d1),
            float(c2 @ d0 + 2.0 * (c1 @ d1) + c0 @ d2),
        )

    def _meeting(self, kappa: Array | float, piece: NDArray[np.intp]) -> Jet:
        """Share of pieces left in the compartment, over ka, where absorption is as fast as k.

        What is there at the end of the piece, as after a dose, fades on the clock from there.
        """
        phi, end = self.phi[piece], self.end[piece]
        lasted = (self.begin[piece] - end) / phi
        q, q1, q2 = quotient(kappa * phi, np.array(self.input), lasted)
        fade = np.exp(-kappa * end)
        return product((q, phi * q1, phi * phi * q2), (fade, -end * fade, end * end * fade))


class Changing(Struct, frozen=True, eq=False, dict=True):  # cached_property needs a __dict__
    """Curve of one patient; `loads` (2, q) of CL and V in the random effects.

    `theta` (P,): parameters of the average patient before the first change.
    """

    course: Course
    theta: Array
    loads: Array
    times_h: Array

    def at(self, eta: Array) -> Array:
        """Concentrations (..., T) in ng/mL for random effects (..., q)."""
        flat = eta.reshape(-1, eta.shape[-1])
        clearance, volume = np.exp(flat @ self.loads.T).T
        found = np.empty((len(flat), len(self.times_h)))
        for i in range(0, len(flat), _CHUNK):
            part = slice(i, i + _CHUNK)
            found[part] = self._solve(clearance[part], volume[part])
        return found.reshape(*eta.shape[:-1], -1)

    def with_slopes(self, eta: Array) -> tuple[Array, Array]:
        """Concentrations (..., T) and their slopes (..., T, q) in the random effects."""
        flat = eta.reshape(-1, eta.shape[-1])
        shape = (*eta.shape[:-1], len(self.times_h))
        kappa, nu = np.exp(flat @ np.array([self.loads[0] - self.loads[1], self.loads[1]]).T).T
        g = np.array([self.levels.g_alone(k) for k in kappa.tolist()])
        f = g[..., 0] / nu[:, None]
        fu = g[..., 1] * (kappa / nu)[:, None]
        slopes = fu[..., None] * (self.loads[0] - self.loads[1]) - f[..., None] * self.loads[1]
        return f.reshape(shape), slopes.reshape(*shape, -1)

    @cached_property
    def levels(self) -> "ChangingLevels":
        return ChangingLevels(self.course, self.times_h)

    def _solve(self, clearance: Array, volume: Array) -> Array:
        course = self.course
        kappa = clearance / volume
        theta = np.tile(self.theta, (len(kappa), 1))
        names = course.structure.parameters
        theta[:, names.index("CL")] *= clearance
        theta[:, names.index("V")] *= volume
        early = self.times_h <= course.first_h
        found = np.empty((len(kappa), len(self.times_h)))
        settle = 2.0 * course.input if course.zero_order else 0.0
        before = np.append(self.times_h[early], course.first_h)
        c = concentrations(course.structure, theta, design(course.history, before, settle))
        found[:, early] = c[:, :-1]
        amount = c[:, -1] * theta[:, names.index("V")] / NG_ML_PER_MG_L
        for place, elapsed, pieces, typical_volume in self.levels.steps:
            amount = amount * np.exp(-kappa * elapsed) + pieces.amounts(kappa)
            found[:, place] = NG_ML_PER_MG_L * amount / (volume * typical_volume)
        return found


class ChangingLevels:
    """The levels of one patient as `pk.one_compartment.Layout` has them: g of kappa, in order."""

    def __init__(self, course: Course, times_h: Array) -> None:
        self.course = course
        self.times_h = times_h
        self.early = np.flatnonzero(times_h <= course.first_h).tolist()
        before = np.append(times_h[self.early], course.first_h)
        number = np.full(len(before), course.input)
        owner = np.zeros(len(before), dtype=np.intp)
        self.before: Layout = layout(course.structure, [course.history], owner, before, number)

    @cached_property
    def steps(self) -> list[tuple[int, float, Pieces, float]]:
        """From each level after the first change to the next: place, clock, input, volume."""
        course, since, found = self.course, self.course.first_h, []
        for place in np.argsort(self.times_h, kind="stable").tolist():
            t = float(self.times_h[place])
            if t <= course.first_h:
                continue
            ends = np.array([since, t])
            elapsed = float(np.diff(course.clock(ends))[0])
            volume = float(course.volume_at(ends)[1])
            found.append((place, elapsed, course.pieces(since, t), volume))
            since = t
        return found

    def g(self, kappa: Array) -> Jet:
        """g of every level (L,) with derivatives, for the same kappa in all of (L,)."""
        return tuple(np.array(self.g_alone(float(kappa[0]))).T)

    def g_alone(self, kappa: float) -> list[Jet]:
        """g of every level in plain numbers: ng/mL, and its derivatives in kappa."""
        phi, volume = float(self.course.phi[0]), float(self.course.volume[0])
        *early, first = [
            (a, phi * b, phi * phi * c) for a, b, c in self.before.g_alone(kappa * phi)
        ]
        found: list[Jet] = [(0.0, 0.0, 0.0)] * len(self.times_h)
        for place, (a, b, c) in zip(self.early, early, strict=True):
            found[place] = (a / volume, b / volume, c / volume)
        amount: Jet = tuple(x / NG_ML_PER_MG_L for x in first)
        for place, elapsed, pieces, at_volume in self.steps:
            fade = math.exp(-kappa * elapsed)
            kept = product(amount, (fade, -elapsed * fade, elapsed * elapsed * fade))
            new = pieces.jet(kappa)
            amount = (kept[0] + new[0], kept[1] + new[1], kept[2] + new[2])
            found[place] = tuple(NG_ML_PER_MG_L * x / at_volume for x in amount)
        return found


def changing(
    person: Individual,
    effects: Variability,
    times_h: Array,
    analyte: str,
    cut: tuple[Array, Array],
) -> Changing | None:
    """Curve of a patient cut into `pk.stitched.segments`.

    None where the model is not of this kind: only `pk.stitched` can follow it.
    """
    bounds_h, typical = cut
    structure = person.model.structure
    if effects.by_occasion is not None or not describes(structure, effects.loads, analyte):
        return None
    p = structure.named(typical)
    number = p["D" if structure.absorption == "zero-order" else "ka"]
    if (number != number[0]).any():
        return None
    history = person.case.history
    course = Course(structure, history, bounds_h, p["CL"] / p["V"], p["V"], float(number[0]))
    # a change that nobody remembers leaves no trace, and every dose since would be a term
    elapsed = course.clock(times_h.min()) - course.clock(bounds_h)
    forgotten = int((elapsed > FORGOTTEN * _SLOWEST).sum())
    if forgotten:
        typical, p = typical[forgotten:], structure.named(typical[forgotten:])
        bounds_h = bounds_h[forgotten:]
        if not len(bounds_h):
            bounds_h, typical = times_h.max(keepdims=True), np.repeat(typical, 2, axis=0)
            p = structure.named(typical)
        course = replace(course, bounds_h=bounds_h, phi=p["CL"] / p["V"], volume=p["V"])
    columns = [structure.parameters.index(name) for name in ("CL", "V")]
    return Changing(course, typical[0], effects.loads[columns], times_h)
