"""One compartment, one level: values with their first and second derivative in the rate k.

The formulas take numpy or math as `m`, so that the same lines serve a vector of levels and, without
the fixed cost of array operations, one level in plain numbers.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pk.folded import NG_ML_PER_MG_L

#: A value with its first and second derivative in k.
Jet = tuple[Any, Any, Any]


class Seen(NamedTuple):
    """What one level sees beside the doses that stand alone, in plain numbers.

    input: ka or D; at_ka: dose sum at the rate of absorption (idle in zero order); regular: (age,
    mg, tau, span) of runs; young: (age, mg) of inputs that still run.
    """

    input: float
    at_ka: float
    regular: Sequence[Any]
    young: Sequence[Any]


def with_input(k: float, alone: Jet, seen: Seen, zero_order: bool) -> Jet:
    """g of one level, given the sums over the doses that stand alone."""
    s0, s1, s2 = alone
    for age, mg, tau, span in seen.regular:
        r0, r1, r2 = run(k, age, mg, tau, span, math)
        s0, s1, s2 = s0 + r0, s1 + r1, s2 + r2
    number = seen.input
    if not zero_order:
        return absorbed((s0, s1, s2), seen.at_ka, number, k)
    z0, z1, z2 = ramp(k * number, math)
    a, a1, a2 = product((s0, s1, s2), (z0, z1 * number, z2 * number * number))
    for age, mg in seen.young:
        y0, y1, y2 = young(k, age, mg, number, math)
        a, a1, a2 = a + y0, a1 + y1, a2 + y2
    return NG_ML_PER_MG_L * a, NG_ML_PER_MG_L * a1, NG_ML_PER_MG_L * a2


def run(k: Any, age: Any, mg: Any, tau: Any, span: Any, m: Any) -> Jet:
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


def ramp(x: Any, m: Any) -> Jet:
    """(1 - exp(-x)) / x and its derivatives in x: what is left of an input at its end."""
    e = m.exp(-x)
    z = -m.expm1(-x) / x
    slope = (e - z) / x
    return z, slope, -(e + 2.0 * slope) / x


def young(k: Any, age: Any, mg: Any, duration: Any, m: Any) -> Jet:
    """A zero-order input that still runs: only the part given so far is there to be eliminated."""
    z, slope, bend = ramp(k * age, m)
    share = mg * age / duration
    return share * z, share * slope * age, share * bend * age * age


def absorbed(s: Jet, at_ka: Any, ka: Any, k: Any) -> Jet:
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
