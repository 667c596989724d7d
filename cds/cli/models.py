"""List, show and check the published population models."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds.cli._common import table
from cds.cli._screen import counted

if TYPE_CHECKING:
    import pk

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")


@click.group()
def command() -> None:
    """List, show and check the published population models.

    A model is one YAML file: structure, typical values, variability and residual error, each number
    with its source and status. A model file cannot run code.

    \b
    Examples:
      imatinib-tdm models list
      imatinib-tdm models show widmer-2006
      imatinib-tdm models validate my-model-2026.yaml

    Exit codes: 0 success, 1 a model file is not valid, 2 wrong usage.
    """


@command.command("list")
@_json
def list_command(*, as_json: bool) -> None:
    """List every model that came with the product.

    \b
    Examples:
      imatinib-tdm models list
      imatinib-tdm models list --json

    Exit codes: 0 success.
    """
    import pk

    rows = [_summary(pk.load_model(name)) for name in pk.list_models()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    columns = ("id", "patients", "levels", "indications", "structure", "status")
    click.echo(table(columns, [[_text(row[c]) for c in columns] for row in rows]))


@command.command()
@click.argument("name")
@_json
def show(name: str, *, as_json: bool) -> None:
    """Show one model: every number with its source and status, and whom it describes.

    \b
    Examples:
      imatinib-tdm models show widmer-2006

    Exit codes: 0 success, 2 there is no such model.
    """
    import pk

    try:
        model = pk.load_model(name)
    except pk.errors.UnknownModelError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(_all_of(model), indent=2, ensure_ascii=False))
        return
    click.echo(f"{model.title}\n{model.citation}")
    click.echo(f"{_text(_summary(model)['structure'])}; {model.population.description}")
    click.echo(f"digest {model.digest}\n")
    numbers = _numbers(model)
    columns = ("number", "value", "unit", "depends on", "status", "source")
    click.echo(table(columns, [[_text(row[c]) for c in columns] for row in numbers]))
    click.echo()
    asked = [_contract(contract) for contract in model.domain.values()]
    columns = ("covariate", "when missing", "studied", "limits")
    if asked:
        click.echo(table(columns, [[_text(row[c]) for c in columns] for row in asked]))
        click.echo()
    for key, source in model.sources.items():
        click.echo(f"{key}: {source}")
    for note in model.notes:
        click.echo(f"note: {note.strip()}")


@command.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True))
def validate(files: tuple[Path, ...]) -> None:
    """Check model files; without FILES, all that came with the product.

    The name of a file is the id of its model. The first fault of each file is named as file:key.

    \b
    Examples:
      imatinib-tdm models validate
      imatinib-tdm models validate my-model-2026.yaml

    Exit codes: 0 all are valid, 1 one is not, 2 wrong usage.
    """
    from pk.covariates import MODELS
    from pk.errors import ModelFileError
    from pk.model import list_models
    from pk.model_file import read_model

    faults = 0
    paths = files or tuple(MODELS / f"{name}.yaml" for name in list_models())
    for path in paths:
        try:
            model = read_model(path.read_text(encoding="utf-8"), path.stem)
        except UnicodeDecodeError:
            faults += 1
            click.echo(f"{path.stem}: is not a text file in UTF-8")
        except ModelFileError as error:
            faults += 1
            click.echo(str(error))
        else:
            disputed = f", sources disagree on {', '.join(c)}" if (c := model.conflicts) else ""
            click.echo(f"{path.stem}: valid{disputed}")
    click.echo(f"{counted(len(paths), 'file')}, {faults} not valid")
    if faults:
        sys.exit(1)


def _summary(model: pk.PopulationModel) -> dict[str, Any]:
    structure = model.structure
    parts = [structure.disposition, structure.absorption]
    parts += ["lag"] if structure.lag else []
    parts += ["metabolite"] if structure.metabolite != "none" else []
    parts += ["saturable binding"] if not structure.linear else []
    population = model.population
    return {
        "id": model.id,
        "patients": population.patients,
        "levels": population.levels,
        "indications": list(population.indications),
        "structure": parts,
        "status": "verified" if model.verified else "not verified",
        "conflicts": list(model.conflicts),
    }


def _all_of(model: pk.PopulationModel) -> dict[str, Any]:
    return {
        **_summary(model),
        "title": model.title,
        "citation": model.citation,
        "doi": model.doi,
        "pmid": model.pmid,
        "digest": model.digest,
        "population": model.population.description,
        "numbers": _numbers(model),
        "covariates": [_contract(contract) for contract in model.domain.values()],
        "sources": dict(model.sources),
        "notes": list(model.notes),
    }


def _numbers(model: pk.PopulationModel) -> list[dict[str, Any]]:
    """Every number of the model: typical values, variability, residual error."""
    rows = [
        {
            "number": p.name,
            "value": p.value,
            "unit": p.unit,
            "depends on": list(dict.fromkeys(e.covariate for e in p.effects)),
            "status": p.status,
            "source": p.source,
        }
        for p in model.parameters
    ]
    for place, names, variances, between in (
        ("random_effects", model.effects, model.omega.diagonal(), "patients"),
        ("occasion_effects", model.occasion_effects, model.occasion_omega.diagonal(), "occasions"),
    ):
        for name, variance in zip(names, variances.tolist(), strict=True):
            label = f"sd of log {name} between {between}"
            rows.append(_row(model, f"{place}.{name}", label, variance**0.5, ""))
    for place in (w for w in model.statuses if w.startswith("correlations.")):
        a, b = (model.effects.index(name) for name in place.split(".")[1].split("-"))
        sds = model.omega.diagonal() ** 0.5
        value = float(model.omega[a, b] / (sds[a] * sds[b]))
        rows.append(_row(model, place, f"correlation {place.split('.')[1]}", value, ""))
    for analyte, error in model.residual.items():
        for label, value, unit in (
            ("proportional error", error.proportional, ""),
            ("additive error", error.additive_ng_ml, "ng/mL"),
            ("sd of log level", error.log_sd, ""),
        ):
            if value:
                rows.append(_row(model, f"residual.{analyte}", f"{label}, {analyte}", value, unit))
    return rows


def _row(
    model: pk.PopulationModel, place: str, number: str, value: float, unit: str
) -> dict[str, Any]:
    return {
        "number": number,
        "value": value,
        "unit": unit,
        "depends on": [],
        "status": model.statuses[place],
        "source": model.cited[place],
    }


def _contract(contract: Any) -> dict[str, Any]:
    missing = contract.when_missing
    if contract.impute is not None:
        missing = f"{missing} {_text(contract.impute)}"
    return {
        "covariate": contract.name,
        "when missing": missing,
        "studied": list(contract.soft),
        "limits": list(contract.hard),
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        numbers = all(isinstance(v, int | float) for v in value)
        return (" to " if numbers else ", ").join(_text(v) for v in value)
    return str(value)
