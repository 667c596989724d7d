"""Structures in closed form: the concentration after a unit dose as a sum of exponentials.

Every linear compartment model answers an instantaneous unit dose with
    c(s) = sum_j coef_j exp(-rate_j s),          s = time since the dose.
Disposition gives one or two such modes; first-order absorption and a metabolite are convolutions,
which again give modes. What is not a mode - zero-order input, a chain of transit compartments,
lag - is the shape of the input (pk.absorption). Superposition over doses is in pk.response.

Amounts in mg, volumes in L, time in h, so concentrations here are mg/L.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
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

# Two modes nearer than this (relative) are pulled apart, as partial fractions divide by their
# distance. The error this makes (a few 1e-7) and the cancellation it avoids (1e-8) are negligible.
CONFLUENT: Final = 1e-8
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


@dataclass(frozen=True, slots=True)
class Structure:
    """The named structure of a model: no equations in model files, only these words."""

    disposition: str
    absorption: str
    lag: bool = False
    bioavailability: bool = False
    metabolite: str = "none"
    binding: str = "none"

    #: Names of the structural parameters, in the order every array uses.
    parameters: tuple[str, ...] = field(init=False)

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
        names = (
            *_DISPOSITION[self.disposition],
            *_ABSORPTION[self.absorption],
            *(("tlag",) if self.lag else ()),
            *(("F",) if self.bioavailability else ()),
            *_METABOLITE[self.metabolite],
            *_BINDING[self.binding],
        )
        object.__setattr__(self, "parameters", names)

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
    rate_b = b.rate
    gap = rate_b[..., None, :] - a.rate[..., :, None]
    near = np.abs(gap.real) < CONFLUENT * rate_b.real[..., None, :]
    if near.any():
        rate_b = np.where(near.any(axis=-2), rate_b * (1.0 + 3.0 * CONFLUENT), rate_b)
        gap = rate_b[..., None, :] - a.rate[..., :, None]
    terms = a.coef[..., :, None] * b.coef[..., None, :] / gap
    shape = np.broadcast_shapes(a.rate.shape[:-1], rate_b.shape[:-1])
    rates = [np.broadcast_to(r, (*shape, r.shape[-1])) for r in (a.rate, rate_b)]
    return Modes(
        np.concatenate(rates, axis=-1),
        np.concatenate([terms.sum(axis=-1), -terms.sum(axis=-2)], axis=-1),
    )
