"""Fit a patient to published population models, from a case file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds.cli._common import table
from cds.clinical.probability import percent

if TYPE_CHECKING:
    import pk


@click.group()
def command() -> None:
    """Fit a patient to published population models, from a case file.

    \b
    Examples:
      imatinib-tdm pk fit docs/examples/case.json --model widmer-2006
      imatinib-tdm pk fit case.json --model widmer-2006 --model gotta-2014

    Exit codes: 0 success, 1 the case or the fit cannot be relied on, 2 wrong usage.
    """


@command.command()
@click.argument("case_file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--model", "names", multiple=True, required=True, help="A model; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of tables.")
def fit(case_file: Path, names: tuple[str, ...], *, as_json: bool) -> None:
    """Estimate one patient's parameters and what regimens lead to.

    CASE_FILE is JSON: covariates, doses or a steady state, levels, and optionally a regimen to
    predict and limits for proposals; docs/how-to/dose-with-pk.md describes its fields. Several
    models are also averaged.

    \b
    Examples:
      imatinib-tdm pk fit docs/examples/case.json --model widmer-2006
      imatinib-tdm pk fit case.json --model widmer-2006 --model gotta-2014 --json

    Exit codes: 0 fitted, 1 the case cannot be used or the fit not relied on, 2 wrong usage.
    """
    import pk
    from cds.cli._pk_case import CaseFileError, read_case_file

    try:
        given = read_case_file(case_file)
        case, current, wanted = given.case(), given.current(), given.wanted()
        models = [pk.load_model(name) for name in dict.fromkeys(names)]
        fits = [pk.fit(case, model) for model in models]
        answer: dict[str, Any] = {"models": [_fitted(p, current) for p in fits]}
        average = pk.average(case, models) if len(models) > 1 else None
        if average is not None:
            answer["average"] = _averaged(average, current)
        exposure: pk.Average | pk.Posterior = average or fits[0]
        if wanted is not None and not exposure.doubts:
            answer["proposals"] = [_row(p) for p in pk.propose(exposure, *wanted)]
        answer["doubts"] = list(exposure.doubts)
    except pk.errors.UnknownModelError as error:
        raise click.UsageError(str(error)) from None
    except (CaseFileError, pk.errors.PkError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _show(answer)
    if answer["doubts"]:
        sys.exit(1)


def _fitted(posterior: pk.Posterior, current: pk.Regimen | None) -> dict[str, Any]:
    from pk.predict import INTERVAL

    health = posterior.health
    tails = [0.5 - 0.5 * INTERVAL, 0.5 + 0.5 * INTERVAL]
    units = {p.name: p.unit for p in posterior.model.parameters}
    return {
        "model": posterior.model.id,
        "parameters": [
            {
                "name": name,
                "unit": units[name],
                "population": posterior.typical[name],
                "estimate": value,
                "interval": posterior.parameter_quantiles(name, tails).tolist(),
            }
            for name, value in posterior.parameters.items()
        ],
        "levels": [
            {
                "time_h": check.level.time_h,
                "analyte": check.level.analyte,
                "measured_ng_ml": None if check.level.below_loq else check.level.ng_ml,
                "below_ng_ml": check.level.lloq_ng_ml if check.level.below_loq else None,
                "fitted_ng_ml": check.predicted_ng_ml,
                "population_percentile": 100.0 * check.prior_percentile,
                "distance_sd": check.residual_sd,
            }
            for check in health.levels
        ],
        "levels_excluded": [level.excluded_because for level in health.levels_excluded],
        "imputed": dict(posterior.imputed),
        "outside_population": list(posterior.domain.soft),
        "reliable": health.reliable,
        "reasons": list(health.reasons),
        "converged": health.converged,
        "starts": health.starts,
        "starts_that_agree": health.starts_that_agree,
        "steady_state": _predicted(posterior, current),
    }


def _predicted(posterior: pk.Posterior, current: pk.Regimen | None) -> dict[str, Any] | None:
    if current is None:
        return None
    found = posterior.steady_state(current)
    return {
        "amount_mg": current.amount_mg,
        "interval_h": current.interval_h,
        "trough_ng_ml": found.trough_ng_ml,
        "trough_interval": list(found.trough_interval),
        "peak_ng_ml": found.peak_ng_ml,
        "time_to_peak_h": found.time_to_peak_h,
        "auc24_mg_h_l": found.auc24_mg_h_l,
        "half_life_h": found.half_life_h,
    }


def _averaged(average: pk.Average, current: pk.Regimen | None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "members": [
            {"model": m.model.id, "weight": m.weight, "excluded_because": m.excluded_because}
            for m in average.members
        ]
    }
    if current is not None:
        found = average.steady_state(current)
        answer["trough_ng_ml"] = found.trough_ng_ml
        answer["trough_interval"] = list(found.trough_interval)
        answer["spread"] = found.spread
    return answer


def _row(proposal: pk.Proposal) -> dict[str, Any]:
    return {
        "amount_mg": proposal.regimen.amount_mg,
        "interval_h": proposal.regimen.interval_h,
        "trough_ng_ml": proposal.trough_ng_ml,
        "trough_interval": list(proposal.trough_interval),
        "p_below": proposal.p_below,
        "p_in": proposal.p_in,
        "p_above": proposal.p_above,
        "auc24_mg_h_l": proposal.auc24_mg_h_l,
        "current": proposal.is_current,
        "acceptable": proposal.acceptable,
        "why_not": list(proposal.why_not),
    }


def _show(answer: dict[str, Any]) -> None:
    for one in answer["models"]:
        _show_fit(one)
    if "average" in answer:
        _show_average(answer["average"])
    if "proposals" in answer:
        columns = ("regimen", "trough ng/mL", "90 %", "below", "in", "above", "")
        rows = [
            [
                f"{p['amount_mg']:g} mg every {p['interval_h']:g} h",
                f"{p['trough_ng_ml']:.0f}",
                _range(p["trough_interval"]),
                *(f"{percent(100 * p[key])} %" for key in ("p_below", "p_in", "p_above")),
                "; ".join([*(["current"] if p["current"] else []), *p["why_not"]]),
            ]
            for p in answer["proposals"]
        ]
        click.echo(table(columns, rows))
    for doubt in answer["doubts"]:
        click.echo(f"not reliable: {doubt}")


def _show_fit(one: dict[str, Any]) -> None:
    click.echo(f"{one['model']}: {len(one['levels'])} levels used")
    columns = ("parameter", "population", "estimate", "90 %", "unit")
    rows = [
        [
            p["name"],
            f"{p['population']:.4g}",
            f"{p['estimate']:.4g}",
            " to ".join(f"{x:.4g}" for x in p["interval"]),
            p["unit"],
        ]
        for p in one["parameters"]
    ]
    click.echo(table(columns, rows))
    if one["levels"]:
        columns = ("level at h", "measured", "fitted", "percentile", "distance")
        rows = [
            [
                f"{v['time_h']:g}",
                f"<{v['below_ng_ml']:g}" if v["below_ng_ml"] else f"{v['measured_ng_ml']:g}",
                f"{v['fitted_ng_ml']:.0f}",
                percent(v["population_percentile"]),
                f"{v['distance_sd']:+.1f} SD",
            ]
            for v in one["levels"]
        ]
        click.echo(table(columns, rows))
    for name, value in one["imputed"].items():
        click.echo(f"not given, taken as {value}: {name}")
    for remark in one["outside_population"]:
        click.echo(f"extrapolates: {remark}")
    for reason in one["reasons"]:
        click.echo(f"not reliable: {reason}")
    if (found := one["steady_state"]) is not None:
        click.echo(
            f"{found['amount_mg']:g} mg every {found['interval_h']:g} h in steady state: trough "
            f"{found['trough_ng_ml']:.0f} ({_range(found['trough_interval'])}), peak "
            f"{found['peak_ng_ml']:.0f} ng/mL after {found['time_to_peak_h']:.1f} h, AUC24 "
            f"{found['auc24_mg_h_l']:.1f} mg h/L, half-life {found['half_life_h']:.1f} h"
        )
    click.echo()


def _show_average(average: dict[str, Any]) -> None:
    rows = [
        [m["model"], f"{percent(100 * m['weight'])} %", m["excluded_because"] or ""]
        for m in average["members"]
    ]
    click.echo(table(("model", "weight", "left out because"), rows))
    if "trough_ng_ml" in average:
        click.echo(
            f"average: trough {average['trough_ng_ml']:.0f} ({_range(average['trough_interval'])}) "
            f"ng/mL; the members differ {average['spread']:.2f}-fold"
        )
    click.echo()


def _range(interval: list[float]) -> str:
    return f"{interval[0]:.0f} to {interval[1]:.0f}"
