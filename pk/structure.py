"""Structures in closed form: the concentration after a unit dose as a sum of exponentials.

Every linear compartment model answers an instantaneous unit dose with
    c(s) = sum_j coef_j exp(-rate_j s),          s = time since the dose.
Disposition gives one or two such modes; first-order absorption and a metabolite are convolutions,
which again give modes. What is not a mode - zero-order input, a chain of transit compartments,
lag - is the shape of the input (pk.absorption). Superposition over doses is in pk.response.

Amounts in mg, volumes in L, time in h, so concentrations here are mg/L.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pk.errors import ModelFileError

Array = NDArray[np.float64]
Theta = Mapping[str, NDArray[Any]]

PARENT: Final = "parent"
METABOLITE: Final = "metabolite"

_DISPOSITION: Final = {
    "one-compartment": ("CL", "V"),
    "two-compartment": ("CL", "V", "Q", "V2"),
}
_ABSORPTION: Final = {
    "first-order": ("ka",),
    "zero-order": ("D",),
    "transit": ("ka", "ktr", "n"),
    "mean-transit": ("ka", "mtt", "n"),
}
_METABOLITE: Final = {
    "none": (),
    "one-compartment": ("CLm", "Vm"),
    "two-compartment": ("CLm", "Vm", "Qm", "V2m"),
}

# Saturable binding has no closed form; pk.saturable integrates it.
_BINDING: Final = {
    "none": (),
    "saturable": ("Kd", "Bmax", "Bmaxm", "fm", "mass_ratio"),
}

#: Two rates nearer than this (relative) meet. Partial fractions divide by their distance, so there
#: a value would keep 14 digits less those of the distance, and its second derivative lose three
#: times as many; nothing is singular but the formula, and another takes its place.
MEETING: Final = 0.01
#: Pairs of modes, this far from each other's middle (relative) and its multiples, stand for two
#: that meet.
_SPREAD: Final = 0.5 * MEETING
_PAIRS: Final = 5
_STEP: Final = 1e-30  # complex step: no subtraction, so no rounding, however small


class Modes(NamedTuple):
    """Rates (1/h) and coefficients (mg/L per mg), arrays of shape (..., modes)."""

    rate: NDArray[Any]
    coef: NDArray[Any]


class ModeSlopes(NamedTuple):
    """Modes and their derivatives; the slopes have a leading axis of parameters."""

    rate: Array
    coef: Array
    rate_slope: Array
    coef_slope: Array


class Structure(Struct, frozen=True, dict=True):  # cached_property needs a __dict__
    """The named structure of a model: no equations in model files, only these words."""

    disposition: str
    absorption: str
    lag: bool = False
    bioavailability: bool = False
    metabolite: str = "none"
    binding: str = "none"

    def __post_init__(self) -> None:
        for name, words in (
            ("disposition", _DISPOSITION),
            ("absorption", _ABSORPTION),
            ("metabolite", _METABOLITE),
            ("binding", _BINDING),
        ):
            if getattr(self, name) not in words:
                raise ModelFileError(
                    f"structure.{name}", f"{getattr(self, name)!r} is not one of {list(words)}"
                )

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the structural parameters, in the order every array uses."""
        return (
            *_DISPOSITION[self.disposition],
            *_ABSORPTION[self.absorption],
            *(("tlag",) if self.lag else ()),
            *(("F",) if self.bioavailability else ()),
            *_METABOLITE[self.metabolite],
            *_BINDING[self.binding],
        )

    @property
    def linear(self) -> bool:
        """True if concentrations are proportional to the dose."""
        return self.binding == "none"

    @property
    def analytes(self) -> tuple[str, ...]:
        return (PARENT,) if self.metabolite == "none" else (PARENT, METABOLITE)

    def named(self, theta: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Split an array (..., parameters) by parameter name."""
        return {name: theta[..., i] for i, name in enumerate(self.parameters)}

    def modes(self, p: Theta, analyte: str = PARENT) -> Modes:
        """Answer of `analyte` to a unit dose entering the absorption site at once."""
        modes = _disposition(p["CL"], p["V"], p.get("Q"), p.get("V2"))
        if "ka" in p:
            modes = _convolve(modes, Modes(p["ka"][..., None], p["ka"][..., None]))
        if analyte == METABOLITE:
            metabolite = _disposition(p["CLm"], p["Vm"], p.get("Qm"), p.get("V2m"))
            formed = Modes(modes.rate, modes.coef * p["CL"][..., None])
            modes = _convolve(formed, metabolite)
        if "F" in p:
            modes = Modes(modes.rate, modes.coef * p["F"][..., None])
        return modes

    def half_life_h(self, theta: Array) -> Array:
        """Half-life of the slowest phase of elimination (not of absorption), h."""
        p = self.named(theta)
        rate = disposition_rates(p["CL"], p["V"], p.get("Q"), p.get("V2"))
        return np.asarray(np.log(2.0) / rate.min(axis=-1))

    def mode_slopes(self, theta: Array, wrt: NDArray[np.intp], analyte: str) -> ModeSlopes:
        """Modes with exact derivatives to the logarithms of the parameters indexed by `wrt`.

        The complex step (Squire & Trapp 1998): one evaluation in complex numbers gives a derivative
        that is exact to rounding, so no formula has to be differentiated by hand.
        """
        directions = np.zeros((len(wrt), len(self.parameters)))
        directions[np.arange(len(wrt)), wrt] = _STEP
        spread = directions.reshape(len(wrt), *(1,) * (theta.ndim - 1), -1)
        modes = self.modes(self.named(theta * (1.0 + 1j * spread)), analyte)
        return ModeSlopes(
            modes.rate[0].real,
            modes.coef[0].real,
            modes.rate.imag / _STEP,
            modes.coef.imag / _STEP,
        )


def disposition_rates(
    cl: NDArray[Any], v: NDArray[Any], q: NDArray[Any] | None, v2: NDArray[Any] | None
) -> NDArray[Any]:
    """Rates (..., 1 or 2) of one or two compartments, 1/h."""
    return _disposition(cl, v, q, v2).rate


def _disposition(
    cl: NDArray[Any], v: NDArray[Any], q: NDArray[Any] | None, v2: NDArray[Any] | None
) -> Modes:
    """Modes of a unit bolus into the central compartment."""
    if q is None or v2 is None:
        return Modes((cl / v)[..., None], (1.0 / v)[..., None])
    k10, k12, k21 = cl / v, q / v, q / v2
    total = k10 + k12 + k21
    root = np.sqrt(total * total - 4.0 * k10 * k21)
    alpha = 0.5 * (total + root)
    beta = k10 * k21 / alpha  # not (total - root) / 2, which cancels
    fast = (alpha - k21) / (root * v)
    slow = (k21 - beta) / (root * v)
    return Modes(np.stack([alpha, beta], axis=-1), np.stack([fast, slow], axis=-1))


def _convolve(a: Modes, b: Modes) -> Modes:
    """Modes of the convolution of two sums of exponentials (partial fractions)."""
    rate_a, rate_b = np.broadcast_arrays(a.rate[..., :, None], b.rate[..., None, :])
    gap = rate_b - rate_a
    both = a.coef[..., :, None] * b.coef[..., None, :]
    meet = np.abs(gap.real) < MEETING * rate_b.real
    terms = both / np.where(meet, 1.0, gap)
    met = []
    if meet.any():
        terms = np.where(meet, 0.0, terms)
        for pair in np.argwhere(meet.any(axis=tuple(range(meet.ndim - 2)))).tolist():
            i: Any = (..., *pair)
            met.append(_together(rate_a[i], rate_b[i], np.where(meet[i], both[i], 0.0)))
    return Modes(
        np.concatenate([rate_a[..., 0], rate_b[..., 0, :], *(m.rate for m in met)], axis=-1),
        np.concatenate([terms.sum(axis=-1), -terms.sum(axis=-2), *(m.coef for m in met)], axis=-1),
    )


def _together(a: NDArray[Any], b: NDArray[Any], coef: NDArray[Any]) -> Modes:
    """Modes of coef (exp(-a s) - exp(-b s)) / (b - a) for rates (...) that meet.

    With middle m and half distance h it is coef exp(-m s) sinh(h s) / h, an entire function of h^2.
    So it is interpolated, as a polynomial in h^2, between distances that are safe to divide by.
    The error goes with (spread m s)^10 / 1e5: 1e-13 at m s = 20, 1e-10 at m s = 40. A row whose
    rates do not meet comes with coefficient zero.
    """
    middle = 0.5 * (a + b)
    at = (0.5 * (b - a) / middle) ** 2
    steps = _SPREAD * np.arange(1.0, _PAIRS + 1.0)
    rates, coefs = [], []
    for k, step in enumerate(steps):
        others = np.delete(steps, k) ** 2
        share = np.prod((at[..., None] - others) / (step**2 - others), axis=-1)
        rates += [middle * (1.0 - step), middle * (1.0 + step)]
        weight = coef * share / (2.0 * step * middle)
        coefs += [weight, -weight]
    return Modes(np.stack(rates, axis=-1), np.stack(coefs, axis=-1))
