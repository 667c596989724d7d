"""Shapes of the input: how a mode exp(-rate s) looks when the dose does not enter at once.

Each shape answers two questions about a dose of age s hours:
`recent`  - the value of the mode while the input may still be running;
`settled` - the constant factor on exp(-rate s) once the input is over.
Both come with their derivatives to the rate and to the input's own parameters (logarithms), which
carries the analytic gradient through. Rates have shape (..., modes), ages (..., 1, times, doses).
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln, hyp1f1

Array = NDArray[np.float64]
Theta = Mapping[str, NDArray[Any]]

#: exp(-80) is below the rounding of any dose sum: the gamma input is over when ktr * s reaches it.
_GAMMA_OVER: Final = 80.0
#: No transit chain is followed for longer than this; slower draws are held at the rate that fits.
_LONGEST_TRANSIT_H: Final = 720.0


#: exp of this is still finite; a mode so fast has died out before any dose counts as settled.
_STEEPEST: Final = 300.0
_INPUTS: Final = frozenset({"tlag", "D", "n"})


class Shaped(NamedTuple):
    """A shaped mode, its slope in the rate, and its slopes in log input parameters."""

    value: Array
    rate_slope: Array
    input_slopes: Mapping[str, Array]


def durations_h(p: Theta) -> Array:
    """Time from intake to the end of the input, for each parameter set."""
    total = np.zeros_like(p["CL"])
    if "tlag" in p:
        total = total + p["tlag"]
    if "D" in p:
        total = total + p["D"]
    if "n" in p:
        total = total + np.minimum(_GAMMA_OVER / _transit_rate(p), _LONGEST_TRANSIT_H)
    return total


def takes_time(p: Theta) -> bool:
    """True if a dose does not enter its first compartment at once."""
    return bool(_INPUTS & p.keys())


def duration_h(p: Theta) -> float:
    """Longest time from intake to the end of the input over all parameter sets given."""
    return float(durations_h(p).max()) if takes_time(p) else 0.0


def recent(rate: Array, age: Array, p: Theta) -> Shaped:
    """Shape modes at ages s >= 0; the caller has set doses not yet taken to age and amount zero."""
    lag = _axes(p["tlag"]) if "tlag" in p else None
    s = age if lag is None else age - lag
    started = s > 0.0 if lag is not None else None
    if started is not None:
        s = np.maximum(s, 0.0)
    k = rate[..., None, None]
    if "D" in p:
        shaped = _zero_order(k, s, _axes(p["D"]))
    elif "n" in p:
        shaped = _gamma(k, s, _axes(_transit_rate(p)), _axes(p["n"] + _extra(p)), _rate_name(p))
    else:
        e = np.exp(-k * s)
        shaped = Shaped(e, -s * e, {})
    if lag is None or started is None:
        return shaped
    slope_in_s = _slope_in_age(shaped, k, s, p)
    slopes = {name: v * started for name, v in shaped.input_slopes.items()}
    slopes["tlag"] = -lag * slope_in_s * started
    return Shaped(shaped.value * started, shaped.rate_slope * started, slopes)


def settled(rate: Array, p: Theta) -> Shaped:
    """Factor on exp(-rate s) for doses whose input is over."""
    if "D" in p:
        d = p["D"][..., None]
        x = np.minimum(rate * d, _STEEPEST)
        value = np.expm1(x) / x
        rate_slope = d * (np.exp(x) - value) / x
        slopes = {"D": rate * rate_slope}
    elif "n" in p:
        value, rate_slope, slopes = _gamma_settled(rate, p)
    else:
        value, rate_slope, slopes = np.ones_like(rate), np.zeros_like(rate), {}
    if "tlag" in p:
        lag = p["tlag"][..., None]
        shift = np.exp(np.minimum(rate * lag, _STEEPEST))
        slopes = {name: v * shift for name, v in slopes.items()}
        slopes["tlag"] = rate * lag * value * shift
        value, rate_slope = value * shift, (rate_slope + lag * value) * shift
    return Shaped(value, rate_slope, slopes)


def _axes(x: NDArray[Any]) -> NDArray[Any]:
    """Add the axes of modes, times and doses."""
    return x[..., None, None, None]


def _zero_order(k: Array, s: Array, d: Array) -> Shaped:
    """Constant rate over D hours: exp(-k w) (1 - exp(-k u)) / (k D), u in the input, w after it."""
    u = np.minimum(s, d)
    w = s - u
    after, inside = np.exp(-k * w), np.exp(-k * u)
    value = after * -np.expm1(-k * u) / (k * d)
    rate_slope = -w * value + after * u * inside / (k * d) - value / k
    # while it runs only the rate 1/D matters; afterwards its end moves as well
    log_d_slope = np.where(s < d, -value, d * k * value + after * inside - value)
    return Shaped(value, rate_slope, {"D": log_d_slope})


def _transit_rate(p: Theta) -> NDArray[Any]:
    """Rate of the gamma-shaped input; a Savic chain of n compartments has mtt = (n + 1) / ktr."""
    ktr = p["ktr"] if "ktr" in p else (p["n"] + 1.0) / p["mtt"]
    return np.maximum(ktr, _GAMMA_OVER / _LONGEST_TRANSIT_H)


def _extra(p: Theta) -> float:
    """A named chain has n steps; Savic's n compartments are passed in n + 1 steps."""
    return 0.0 if "ktr" in p else 1.0


def _rate_name(p: Theta) -> tuple[str, float]:
    return ("ktr", 1.0) if "ktr" in p else ("mtt", -1.0)


def _gamma(k: Array, s: Array, ktr: Array, n: Array, name: tuple[str, float]) -> Shaped:
    """Gamma density input (n steps at rate ktr) into a mode: (ktr s)^n g(n, (ktr-k) s) exp(-k s).

    g(n, x) = x^-n P(n, x) is entire in x, so modes faster than the chain need no special case. The
    special functions are slow, so they serve only doses whose input still runs.
    """
    k, s, ktr, n = np.broadcast_arrays(k, s, ktr, n)
    value, rate_slope, log_ktr_slope = _after_gamma(k, s, ktr, n)
    young = ktr * s < _GAMMA_OVER
    k, s, ktr, n = k[young], s[young], ktr[young], n[young]
    g, dg, plain = _entire_gamma(n, (ktr - k) * s)
    # g is given as g exp(x) below x = 1; then exp(-ktr s) takes the place of exp(-k s)
    power = np.exp(n * np.log(np.maximum(ktr * s, 1e-300)) - np.where(plain, k, ktr) * s)
    value[young] = power * g
    rate_slope[young] = -s * power * g - power * dg * s
    log_ktr_slope[young] = n * power * g + power * dg * ktr * s
    return Shaped(value, rate_slope, {name[0]: name[1] * log_ktr_slope})


def _after_gamma(k: Array, s: Array, ktr: Array, n: Array) -> tuple[Array, Array, Array]:
    """Value, slope in the rate and in log ktr once ktr s > 80; zero for modes that died before."""
    alive = k * s < 0.5 * _GAMMA_OVER
    gap = np.where(alive & (ktr > k), ktr - k, ktr)
    value = np.where(alive, np.exp(n * np.log(ktr / gap) - k * s), 0.0)
    return value, value * (n / gap - s), -n * value * k / gap


def _entire_gamma(n: Array, x: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return g(n, x) and dg/dx, both times exp(x) where x <= 1, and where they are plain."""
    n, x = np.broadcast_arrays(n, x)
    plain = x > 1.0
    above, below = np.where(plain, x, 2.0), np.where(plain, 0.0, x)
    g = np.where(
        plain,
        gammainc(n, above) * above**-n,
        hyp1f1(1.0, n + 1.0, below) * np.exp(-gammaln(n + 1.0)),
    )
    tail = np.exp(-np.where(plain, x, 0.0) - gammaln(n))
    apart = np.abs(x) > 1e-4
    slope = (tail - n * g) / np.where(apart, x, 1.0)
    near_zero = -np.exp(-gammaln(n)) / (n + 1.0) * (1.0 + x / (n + 2.0))
    return g, np.where(apart, slope, near_zero), plain


def _gamma_settled(rate: Array, p: Theta) -> tuple[Array, Array, dict[str, Array]]:
    ktr = np.broadcast_to(_transit_rate(p)[..., None], rate.shape)
    n = (p["n"] + _extra(p))[..., None]
    over = np.minimum(_GAMMA_OVER / np.min(ktr), _LONGEST_TRANSIT_H)
    # a mode faster than this has itself died out by the time the input is over
    alive = rate * over < 0.5 * _GAMMA_OVER
    gap = np.where(alive, ktr - rate, 1.0)
    value = np.where(alive, np.exp(n * np.log(ktr / np.where(alive, gap, ktr))), 0.0)
    rate_slope = n * value / gap
    name, sign = _rate_name(p)
    return value, rate_slope, {name: -sign * n * value * rate / gap}


def _slope_in_age(shaped: Shaped, k: Array, s: Array, p: Theta) -> Array:
    """d/ds of a shaped mode: input rate minus elimination of what is there."""
    if "D" in p:
        d = _axes(p["D"])
        return np.where(s < d, 1.0 / d, 0.0) - k * shaped.value
    if "n" in p:
        ktr, n = _axes(_transit_rate(p)), _axes(p["n"] + _extra(p))
        density = ktr * np.exp((n - 1.0) * np.log(np.maximum(ktr * s, 1e-300)) - ktr * s)
        return density * np.exp(-gammaln(n)) - k * shaped.value
    return -k * shaped.value
