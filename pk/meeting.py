"""Where two rates meet: the difference of two exponentials over the difference of their rates.

A dose that is absorbed at the rate ka and eliminated at the rate k leaves
(exp(-k s) - exp(-ka s)) / (ka - k) of itself after s hours. Nothing happens at k = ka (flip-flop
kinetics lie beyond), only the formula divides nothing by nothing. Written as an integral,
s exp(-ka s) times the mean of exp((ka - k) s u) over u from 0 to 1, it is smooth, and so are its
derivatives.
"""

from math import factorial
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Below this the series serves, above it the closed form, which has lost two digits there at most.
_SERIES: Final = 0.5
#: Terms of the series: the next one is below 1e-17 at `_SERIES`.
_TERMS: Final = 14
#: exp of this is finite. A mean so large belongs to an exponential that is zero.
_STEEPEST: Final = 700.0


def quotient(k: Array, ka: Array, age: Array) -> tuple[Array, Array, Array]:
    """(exp(-k age) - exp(-ka age)) / (ka - k) and its first two derivatives in k.

    For rates that are about the same (`pk.structure.MEETING`); exact to rounding there.
    """
    mean, slope, bend = fading_mean((k - ka) * age)
    share = age * np.exp(-ka * age)
    return share * mean, share * age * slope, share * age * age * bend


def fading_mean(x: Array) -> tuple[Array, Array, Array]:
    """Mean of exp(-x u) for u in (0, 1), and its first two derivatives, for any x > -700."""
    small = np.abs(x) < _SERIES
    few = np.where(small, -x, 0.0)
    mean, slope, bend = np.zeros((3, *np.shape(x)))
    for n in range(_TERMS, -1, -1):  # Horner, with x^n / n! times the moments of u
        scale = 1.0 / factorial(n)
        mean = mean * few + scale / (n + 1.0)
        slope = slope * few - scale / (n + 2.0)
        bend = bend * few + scale / (n + 3.0)
    if not small.all():
        far = np.maximum(np.where(small, 1.0, x), -_STEEPEST)
        end = np.exp(-far)
        closed = -np.expm1(-far) / far
        falls = (end - closed) / far
        mean = np.where(small, mean, closed)
        slope = np.where(small, slope, falls)
        bend = np.where(small, bend, -(end + 2.0 * falls) / far)
    return mean, slope, bend
