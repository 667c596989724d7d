"""An independent oracle: the models as differential equations, solved numerically.

Shares no formula with pk: the structure is written out as compartments, inputs are switched on and
off at their times, and scipy integrates (DOP853). Slow and plain on purpose.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import gamma

Doses = list[tuple[float, float]]
Parameters = Callable[[float], Mapping[str, float]]


def concentrations(
    parameters: Parameters,
    doses: Doses,
    times: list[float],
    breaks: tuple[float, ...] = (),
    analyte: str = "parent",
) -> np.ndarray:
    """Concentrations in ng/mL; `parameters(t)` may change with time, abruptly only at `breaks`."""
    p0 = parameters(doses[0][0])
    chain = int(p0["n"]) if "ktr" in p0 else 0
    depot = 1 if "ka" in p0 else 0
    central = chain + depot
    size = central + 4

    def input_rate(t: float) -> float:
        if "mtt" not in p0:
            return 0.0
        n = p0["n"] + 1.0
        rate = n / p0["mtt"]
        return sum(a * gamma.pdf(t - d, n, scale=1.0 / rate) for d, a in doses if t > d)

    def infused(middle: float) -> float:
        if "D" not in p0:
            return 0.0
        total = 0.0
        for d, a in doses:
            p = parameters(d)
            start = d + p.get("tlag", 0.0)
            if start <= middle < start + p["D"]:
                total += a / p["D"]
        return total

    def slope(t: float, x: np.ndarray, constant: float) -> np.ndarray:
        p = parameters(t)
        dx = np.zeros(size)
        flow = 0.0
        for i in range(chain):
            out = p["ktr"] * x[i]
            dx[i] = flow - out
            flow = out
        if depot:
            out = p["ka"] * x[chain]
            dx[chain] = flow - out + input_rate(t)
            flow = out
        c = central
        dx[c] = flow + constant - p["CL"] / p["V"] * x[c]
        if "Q" in p:
            swap = p["Q"] / p["V"] * x[c] - p["Q"] / p["V2"] * x[c + 1]
            dx[c] -= swap
            dx[c + 1] = swap
        if "CLm" in p:
            dx[c + 2] = p["CL"] / p["V"] * x[c] - p["CLm"] / p["Vm"] * x[c + 2]
            if "Qm" in p:
                swap = p["Qm"] / p["Vm"] * x[c + 2] - p["Qm"] / p["V2m"] * x[c + 3]
                dx[c + 2] -= swap
                dx[c + 3] = swap
        return dx

    stops = {*times, *breaks, *(d for d, _ in doses)}
    if "D" in p0:
        for d, _ in doses:
            p = parameters(d)
            stops |= {d + p.get("tlag", 0.0), d + p.get("tlag", 0.0) + p["D"]}
    x, at = np.zeros(size), doses[0][0]
    found: dict[float, float] = {}
    for stop in sorted(s for s in stops if doses[0][0] <= s <= max(times)):
        if stop > at:
            constant = infused(0.5 * (at + stop))
            solution = solve_ivp(
                slope,
                (at, stop),
                x,
                args=(constant,),
                method="DOP853",
                rtol=1e-10,
                atol=1e-12,
                max_step=0.5 if "mtt" in p0 else np.inf,
            )
            x, at = solution.y[:, -1], stop
        p = parameters(stop)
        row, volume = (central + 2, "Vm") if analyte == "metabolite" else (central, "V")
        found[stop] = 1000.0 * x[row] / p[volume]
        if "D" not in p0 and "mtt" not in p0:
            x = x.copy()
            x[0] += sum(a * parameters(d).get("F", 1.0) for d, a in doses if d == stop)
    return np.array([found[t] for t in times])
