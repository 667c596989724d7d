"""An oracle without rounding: compartments stepped from event to event in fifty digits.

Shares no formula with pk. Each step is the exponential of the compartment matrix (mpmath), which
knows nothing of partial fractions, and slopes are differences that fifty digits can afford.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath as mp

mp.mp.dps = 50
_STEP = mp.mpf("1e-14")

Parameters = Mapping[str, Any]


def concentrations(
    parameters: Callable[[float], Parameters],
    doses: Sequence[tuple[float, float]],
    times: Sequence[float],
    breaks: Sequence[float] = (),
    steady: tuple[float, float, float] | None = None,
    analyte: str = "parent",
) -> list[Any]:
    """Concentrations in ng/mL; `parameters(t)` are constant between the `breaks`.

    steady: last time, amount and interval of doses since ever (first-order input only).
    """
    stops = {mp.mpf(t) for t in (*times, *breaks, *(t for t, _ in doses))}
    if "D" in parameters(doses[0][0]):
        stops |= {mp.mpf(t) + mp.mpf(parameters(t)["D"]) for t, _ in doses}
    stops = sorted(stops)
    at, x = stops[0], None
    if steady is not None:
        at = mp.mpf(steady[0])
        x = _for_ever(parameters(steady[0]), steady[1], steady[2])
    found = {}
    for stop in stops:
        p = parameters(float(at))
        given = sum(
            (mp.mpf(a) / p["D"] for t, a in doses if "D" in p and t <= at < t + mp.mpf(p["D"])),
            mp.mpf(0),
        )
        x = _step(p, x, given, stop - at)
        at = stop
        q = parameters(float(at) - 1e-9)
        if analyte == "metabolite":
            found[stop] = 1000 * x[len(x) - 2] / q["Vm"]
        else:
            found[stop] = 1000 * x[1 if "ka" in q else 0] / q["V"]
        if "ka" in q:
            x[0] += sum((mp.mpf(a) for t, a in doses if t == at), mp.mpf(0))
    return [found[mp.mpf(t)] for t in times]


def slopes(solve: Callable[[Any], Sequence[Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Values of `solve` at 0, and its first and second derivatives there."""
    below, here, above = (solve(s) for s in (-_STEP, mp.mpf(0), _STEP))
    return (
        list(here),
        [(c - a) / (2 * _STEP) for a, c in zip(below, above, strict=True)],
        [(c - 2 * b + a) / _STEP**2 for a, b, c in zip(below, here, above, strict=True)],
    )


def _matrix(p: Parameters, given: Any) -> Any:
    """Transfer between depot, central, peripheral, metabolite; the last row is the constant one."""
    names = [n for n, key in (("depot", "ka"), ("central", "CL"), ("far", "Q")) if key in p]
    names += ["metabolite"] if "CLm" in p else []
    m = mp.zeros(len(names) + 1)

    def move(source: str, target: str | None, rate: Any) -> None:
        i = names.index(source)
        m[i, i] -= rate
        if target is not None:
            m[names.index(target), i] += rate

    if "depot" in names:
        move("depot", "central", mp.mpf(p["ka"]))
    move("central", "metabolite" if "CLm" in p else None, mp.mpf(p["CL"]) / p["V"])
    if "far" in names:
        move("central", "far", mp.mpf(p["Q"]) / p["V"])
        move("far", "central", mp.mpf(p["Q"]) / p["V2"])
    if "CLm" in p:
        move("metabolite", None, mp.mpf(p["CLm"]) / p["Vm"])
    m[names.index("central"), len(names)] = given
    return m


def _step(p: Parameters, x: Any, given: Any, hours: Any) -> Any:
    m = _matrix(p, given)
    if x is None:
        x = mp.zeros(m.rows, 1)
        x[m.rows - 1] = 1
    return mp.expm(m * hours, method="taylor") * x if hours else x


def _for_ever(p: Parameters, amount: float, tau: float) -> Any:
    """Amounts right after the last dose of an infinite series."""
    m = _matrix(p, 0)
    n = m.rows - 1
    kept = mp.eye(n) - mp.expm(m[:n, :n] * mp.mpf(tau), method="taylor")
    dose = mp.zeros(n, 1)
    dose[0] = amount
    x = mp.zeros(n + 1, 1)
    x[:n, 0] = mp.lu_solve(kept, dose)
    x[n] = 1
    return x
