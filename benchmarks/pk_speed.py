"""Speed of the dosing library, as ratios to a plain baseline measured in the same run.

    python -m benchmarks.pk_speed [--quick]

The baseline is what one would write first: the same closed form in numpy, the same objective, and
scipy's L-BFGS-B with finite differences. Ratios travel between machines; milliseconds do not, so
both are printed and nothing here passes or fails.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from scipy.optimize import minimize

import pk
from pk.batch import prepare
from pk.individual import individual
from pk.minimise import minimise_alone
from pk.reduced import Reduced, alone
from pk.variability import variability

DATA = Path(__file__).parents[1] / "tests" / "pk" / "data" / "simulated_cohort.json"
EIGHT = [
    "widmer-2006",
    "gotta-2014",
    "schmidli-2005",
    "judson-2005",
    "demetri-2009",
    "di-paolo-2014",
    "wang-2019",
    "he-2023",
]


def cohort() -> list[pk.Case]:
    return [
        pk.Case(
            {
                "weight_kg": p["weight"],
                "age_years": p["age"],
                "sex": "male" if p["male"] else "female",
                "indication": "gist" if p["gist"] else "cml",
            },
            [pk.Dose(t, p["dose_mg"]) for t in p["dose_times_h"]],
            [pk.Level(t, y) for t, y in zip(p["sample_times_h"], p["y_ng_ml"], strict=True)],
        )
        for p in json.loads(DATA.read_text(encoding="utf-8"))["patients"]
    ]


def least_ms(run: Callable[[], object], repeats: int) -> float:
    """Least over repeats, after one run to warm up: what else the machine does can only add."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def baseline(case: pk.Case, model: pk.PopulationModel) -> Callable[[], np.ndarray]:
    """MAP of one patient by plain numpy and scipy; returns eta."""
    typical = individual(case, model).typical
    inverse = np.linalg.inv(model.omega)
    sd = model.residual["parent"].proportional
    dose_times = np.array([d.time_h for d in case.doses])
    amounts = np.array([d.amount_mg for d in case.doses])
    times = np.array([v.time_h for v in case.levels])
    y = np.array([v.ng_ml for v in case.levels])

    def negative_log_posterior(eta: np.ndarray) -> float:
        cl, v, ka = typical[0] * np.exp(eta[0]), typical[1] * np.exp(eta[1]), typical[2]
        ke = cl / v
        age = times[:, None] - dose_times
        given = age > 0
        age = np.where(given, age, 0.0)
        unit = np.where(given, np.exp(-ke * age) - np.exp(-ka * age), 0.0)
        f = 1000.0 * ka / (v * (ka - ke)) * (unit @ amounts)
        misfit = np.log(sd * f) + 0.5 * ((y - f) / (sd * f)) ** 2
        return float(0.5 * eta @ inverse @ eta + misfit.sum())

    def run() -> np.ndarray:
        return np.asarray(minimize(negative_log_posterior, np.zeros(2), method="L-BFGS-B").x)

    return run


def objective_of(case: pk.Case, model: pk.PopulationModel) -> Reduced:
    """The objective of one patient, ready to be minimised."""
    found = alone(individual(case, model), variability(model, case), model.residual["parent"], 1.0)
    if found is None:
        raise TypeError(f"{model.id} has no objective in plain numbers")
    return found


def compare_map(cases: list[pk.Case], model: pk.PopulationModel, repeats: int) -> float:
    """Print MAP against the baseline; return the baseline, ms."""
    plain, ours, whole, apart = [], [], [], []
    for case in cases[:40]:
        run = baseline(case, model)
        plain.append(least_ms(run, repeats))
        effects = variability(model, case)
        target = objective_of(case, model)
        ours.append(least_ms(lambda t=target: minimise_alone(t), repeats))
        whole.append(least_ms(lambda c=case: pk.fit(c, model), repeats))
        apart.append(np.abs(effects.root @ minimise_alone(target).z[0] - run()).max())
    base = float(np.median(plain))
    print(f"baseline, scipy L-BFGS-B with differences   {base:8.3f} ms   1.0 x")
    for label, values in (("MAP, one patient", ours), ("fit(), from the case on", whole)):
        value = float(np.median(values))
        print(f"{label:<43} {value:8.3f} ms   {base / value:.1f} x faster")
    print(f"largest difference to the baseline's eta    {max(apart):.1e}")
    many = cases * 4
    batches = prepare(many, model)
    each = least_ms(lambda: [b.solve() for b in batches], repeats) / len(many)
    print(f"batched MAP, {len(many)} patients, each           {each:8.4f} ms   {base / each:.0f} x")
    each = least_ms(lambda: pk.fit_many(many, model), max(repeats // 5, 1)) / len(many)
    print(f"fit_many(), from the cases on, each         {each:8.4f} ms   {base / each:.1f} x")
    return base


def report_uses(case: pk.Case, model: pk.PopulationModel, base: float, repeats: int) -> None:
    """Print what a request costs, in ms and in baseline estimates."""
    posterior = pk.fit(case, model)
    end = case.history.end_h
    grid = end + np.linspace(0.5, 24.0, 25)
    probs = [0.05, 0.25, 0.5, 0.75, 0.95]
    options = pk.DoseOptions(
        (100.0, 400.0), 800.0, 100.0, intervals_h=(24.0, 12.0), current=pk.Regimen(400.0, 24.0)
    )
    rows = len(pk.propose(posterior, pk.Target(1000.0, 3000.0), options))
    models = [pk.load_model(name) for name in EIGHT]

    def propose() -> None:
        pk.propose(posterior, pk.Target(1000.0, 3000.0), options)

    def everything() -> None:
        average = pk.average(case, models)
        average.steady_state(pk.Regimen(400.0, 24.0))
        pk.propose(average, pk.Target(1000.0, 3000.0), options)

    # an inducer that begins five days before the last dose and takes days to reach its full effect
    induced = replace(case, clearance_effects=[pk.ClearanceEffect(3.8, end - 120.0, None, 48.0)])

    uses = {
        "nodes of the posterior": lambda: pk.fit(case, model).nodes,
        "24 h bands of the concentration": lambda: posterior.quantiles(grid, probs),
        "24 h bands of a measurement": lambda: posterior.quantiles(grid, probs, residual=True),
        f"{rows} regimens with probabilities": propose,
        "average of eight models with proposals": everything,
        "fit(), an inducer begins": lambda: pk.fit(induced, model),
        "nodes, an inducer begins": lambda: pk.fit(induced, model).nodes,
        "adherence over 7 doses": lambda: pk.infer_adherence(case, model),
        "next sample": lambda: pk.next_sample(posterior, pk.Regimen(400.0, 24.0)),
    }
    for label, run in uses.items():
        ms = least_ms(run, repeats)
        print(f"{label:<43} {ms:8.3f} ms   {ms / base:.2f} baseline estimates")


def report_growth(model: pk.PopulationModel, cases: list[pk.Case], repeats: int) -> None:
    """Time against size; linear growth keeps the last column flat."""
    print("\npatients in a batch      ms    us/patient")
    for n in (25, 50, 100, 200, 400, 800, 1600, 3200):
        batches = prepare((cases * 22)[:n], model)
        ms = least_ms(lambda found=batches: [b.solve() for b in found], repeats)
        print(f"{n:19d} {ms:8.2f} {1e3 * ms / n:10.1f}  {'#' * round(1e3 * ms / n / 10)}")
    print("\nirregular doses          ms    us/dose")
    rng = np.random.default_rng(1)
    patient = dict(cases[0].covariates)
    for n in (30, 100, 300, 1000, 3000):
        doses = [pk.Dose(24.0 * i + float(rng.uniform(0, 2)), 400.0) for i in range(n)]
        case = pk.Case(patient, doses, [pk.Level(24.0 * n, 900.0)])
        ms = least_ms(lambda c=case: pk.fit(c, model).parameters, repeats)
        print(f"{n:19d} {ms:8.2f} {1e3 * ms / n:10.2f}")
    print("\nregular doses            ms")
    for n in (30, 300, 3000):
        doses = [pk.Dose(24.0 * i, 400.0) for i in range(n)]
        case = pk.Case(patient, doses, [pk.Level(24.0 * n - 0.5, 900.0)])
        target = objective_of(case, model)
        ms = least_ms(lambda t=target: minimise_alone(t), repeats)
        print(f"{n:19d} {ms:8.2f}")


def report_draws(case: pk.Case, name: str, repeats: int) -> None:
    """Time against the number of draws, for a model with more than two random effects.

    The interval of the next trough is printed beside it: what the further draws buy.
    """
    model = pk.load_model(name)
    end = case.history.end_h
    grid, probs = end + np.linspace(0.5, 24.0, 25), [0.05, 0.25, 0.5, 0.75, 0.95]
    print(
        f"\n{'draws':>19}    nodes ms  us/draw   bands ms  us/draw  effective  90 % of the trough"
    )
    for draws in (1024, 2048, 4096, 8192, 16384, 32768):
        options = pk.FitOptions(draws=draws)
        posterior = pk.fit(case, model, options)
        nodes_ms = least_ms(lambda o=options: pk.fit(case, model, o).nodes, repeats)
        bands_ms = least_ms(lambda p=posterior: p.quantiles(grid, probs), repeats)
        low, high = posterior.quantiles([end + 24.0], [0.05, 0.95])[:, 0]
        print(
            f"{draws:19d} {nodes_ms:10.2f} {1e3 * nodes_ms / draws:7.2f} {bands_ms:10.2f} "
            f"{1e3 * bands_ms / draws:7.2f} {posterior.nodes.effective:10.0f}  "
            f"{low:.0f} to {high:.0f} ng/mL  {'#' * round(1e3 * bands_ms / draws)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 5 if parser.parse_args().quick else 30
    model = pk.load_model("widmer-2006")
    cases = cohort()
    base = compare_map(cases, model, repeats)
    report_uses(cases[0], model, base, repeats)
    report_growth(model, cases, max(repeats // 3, 3))
    for name in ("yamakawa-2011", "petain-2008"):
        report_draws(cases[0], name, max(repeats // 3, 3))


if __name__ == "__main__":
    main()
