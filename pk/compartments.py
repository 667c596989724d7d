"""Amounts in all compartments while parameters are constant, from what was there and what enters.

With x(t0) the amounts at the beginning and b the compartment that takes the dose,
    x(t) = sum_j P_j [exp(-rate_j (t - t0)) x(t0) + doses_j(t) b],
where P_j are the spectral projectors of the compartment matrix (Frobenius covariants, in closed
form because the rates are). Every step is analytic in the parameters, so complex steps pass.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pk.structure import METABOLITE, Structure, disposition_rates

Array = NDArray[np.float64]
Anything = NDArray[Any]
Parameters = dict[str, Anything]

#: Rates nearer than this (relative) meet: projectors divide by their distance, twice for slopes.
_MEETING: Final = 1e-3
#: Where rates meet, amounts are interpolated between rates moved by so many times as much, up and
#: down. The weights are those of the polynomial through all; its error goes with
#: (0.002 rate x time)^8 / 70.
_APART: Final = {2.0: 56.0 / 70.0, 4.0: -28.0 / 70.0, 6.0: 8.0 / 70.0, 8.0: -1.0 / 70.0}


def amounts_at(
    structure: Structure,
    p: Parameters,
    elapsed_h: Array,
    state: Anything | None,
    dose_sums: Callable[[Anything], Anything],
) -> Anything:
    """Amounts (..., T, n), mg, so long (T,) after they were `state` (..., n; None: nothing there).

    `dose_sums` gives, for modes with rates (..., J), the sums (..., J, T) over what enters since.
    """
    total: Any = 0.0
    for weight, apart in _apart(structure, p):
        rates = rates_of(structure, apart)
        projectors = _projectors(_matrix(_compartments(structure), apart, rates), rates)
        entry = projectors[..., 0]  # the first compartment takes the dose
        x: Anything = np.einsum("...jt,...jn->...tn", dose_sums(rates), entry)
        if state is not None:
            fade = np.exp(-rates[..., None] * elapsed_h)
            carried = np.einsum("...jnm,...m->...jn", projectors, state)
            x = x + np.einsum("...jt,...jn->...tn", fade, carried)
        total = total + weight * x
    return np.asarray(total)


def compartment_of(structure: Structure, analyte: str) -> tuple[int, str]:
    """Place of the compartment that holds the analyte, and the parameter that is its volume."""
    name, volume = ("metabolite", "Vm") if analyte == METABOLITE else ("central", "V")
    return _compartments(structure).index(name), volume


def _compartments(structure: Structure) -> tuple[str, ...]:
    names = ["depot"] if "ka" in structure.parameters else []
    names.append("central")
    if structure.disposition == "two-compartment":
        names.append("peripheral")
    if structure.metabolite != "none":
        names.append("metabolite")
    if structure.metabolite == "two-compartment":
        names.append("metabolite-peripheral")
    return tuple(names)


def _apart(structure: Structure, p: Parameters) -> list[tuple[float, Parameters]]:
    """Parameters whose rates are apart, with weights that sum to one: the given ones if they are.

    Amounts are entire functions of every rate, so where two meet they can be interpolated between
    neighbours on both sides: absorption moves up as the metabolite moves down.
    """
    rates = rates_of(structure, p).real
    gap = np.abs(rates[..., :, None] / rates[..., None, :] - 1.0) + np.eye(rates.shape[-1])
    meet = (gap < _MEETING).any(axis=(-2, -1))
    if not meet.any():
        return [(1.0, p)]
    found = []
    for far, weight in _APART.items():
        for shift in (far * _MEETING * meet, -far * _MEETING * meet):
            moved = {"ka": 1.0 + shift, "CLm": 1.0 - shift, "Qm": 1.0 - shift}
            found.append((weight, {n: v * moved[n] if n in moved else v for n, v in p.items()}))
    return found


def rates_of(structure: Structure, p: Parameters) -> Anything:
    """All rates of a segment: absorption first, then parent, then metabolite."""
    parts = [disposition_rates(p["CL"], p["V"], p.get("Q"), p.get("V2"))]
    if structure.metabolite != "none":
        parts.append(disposition_rates(p["CLm"], p["Vm"], p.get("Qm"), p.get("V2m")))
    if "ka" in p:
        parts.insert(0, p["ka"][..., None])
    return np.concatenate(parts, axis=-1)


def _matrix(names: tuple[str, ...], p: Parameters, rates: Anything) -> Anything:
    """Rates of transfer between compartments, dx/dt = M x, in 1/h."""
    n = len(names)
    m = np.zeros((*rates.shape[:-1], n, n), dtype=rates.dtype)

    def move(source: str, target: str | None, rate: Anything) -> None:
        i = names.index(source)
        m[..., i, i] -= rate
        if target is not None:
            m[..., names.index(target), i] += rate

    if "depot" in names:
        move("depot", "central", p["ka"])
    move("central", "metabolite" if "metabolite" in names else None, p["CL"] / p["V"])
    if "peripheral" in names:
        move("central", "peripheral", p["Q"] / p["V"])
        move("peripheral", "central", p["Q"] / p["V2"])
    if "metabolite" in names:
        move("metabolite", None, p["CLm"] / p["Vm"])
    if "metabolite-peripheral" in names:
        move("metabolite", "metabolite-peripheral", p["Qm"] / p["Vm"])
        move("metabolite-peripheral", "metabolite", p["Qm"] / p["V2m"])
    return m


def _projectors(matrix: Anything, rates: Anything) -> Anything:
    """Frobenius covariants: exp(M t) = sum_j exp(-rate_j t) P_j for distinct rates."""
    n = rates.shape[-1]
    eye = np.eye(n)
    found = []
    for j in range(n):
        p = np.broadcast_to(eye, matrix.shape)
        for i in range(n):
            if i != j:
                gap = (rates[..., i] - rates[..., j])[..., None, None]
                p = p @ (matrix + rates[..., i, None, None] * eye) / gap
        found.append(p)
    return np.stack(found, axis=-3)
