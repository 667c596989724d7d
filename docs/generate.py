"""Write the reference part of the documentation from the code and content it describes.

Run by `make docs` before the site is built, so that it cannot lag behind. It is not committed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

import pk
from cds.cli import main as program
from cds.fhir.problems import PROBLEMS
from cds.rulebook import Rulebook, catalogue, load
from cds.rulebook.page import index_page, rule_page
from cds.rulebook.remarks import REMARK_KINDS
from cds.rulebook.schema import rule_schema
from cds.settings import Settings
from cds.telemetry import Metrics

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"


def main() -> None:
    """Write every reference page."""
    REFERENCE.mkdir(exist_ok=True)
    rulebook = load(HERE.parent / "rules")
    pages = {
        "facts.md": facts_page(),
        "problems.md": problems_page(),
        "models.md": models_page(),
        "cli.md": cli_page(),
        "settings.md": settings_page(),
        "metrics.md": metrics_page(),
        "remarks.md": remarks_page(),
        "rule-fields.md": rule_fields_page(rulebook),
        "sources.md": sources_page(rulebook),
        "rules/index.md": index_page(rulebook),
        **rule_pages(rulebook),
    }
    for name, text in pages.items():
        path = REFERENCE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.rstrip() + "\n")
    click.echo(f"wrote {len(pages)} pages to {REFERENCE.relative_to(HERE.parent)}", err=True)


def rule_pages(rulebook: Rulebook) -> dict[str, str]:
    """One page for each rule, under its id."""
    return {f"rules/{rule.id}.md": rule_page(rulebook, rule) for rule in rulebook.rules}


def facts_page() -> str:
    """The closed catalogue: the only words a rule may use."""
    lines = ["# Facts", "", "The only words a rule may use. A fact without an attribute does not "
             "know it, and a rule that needs it is undecided.", ""]  # fmt: skip
    for name, kind in catalogue().kinds.items():
        number = "exactly one" if kind.one else "any number"
        lines += [f"## {name}", "", f"{kind.meaning} ({number}).", ""]
        lines += [
            "| attribute | type | unit | known | meaning |",
            "| --- | --- | --- | --- | --- |",
        ]
        for attribute in kind.attributes.values():
            values = f" ({', '.join(attribute.values)})" if attribute.values else ""
            lines.append(
                f"| `{attribute.name}` | {attribute.type}{values} | {attribute.unit or ''} "
                f"| {'always' if attribute.always else 'perhaps'} | {attribute.meaning} |"
            )
        lines.append("")
    return "\n".join(lines)


def problems_page() -> str:
    """What the reader can find wrong with data."""
    lines = ["# Problems", "", "What could not be read, converted or decided.", ""]
    lines += ["| code | what it means | what it does to the advice |", "| --- | --- | --- |"]
    lines += [f"| `{code}` | {kind.meaning} | {kind.impact} |" for code, kind in PROBLEMS.items()]
    return "\n".join(lines)


def models_page() -> str:
    """Every population model: population, structure, numbers with source and status."""
    lines = [
        "# Population models",
        "",
        "A status says where a number was seen: `primary` in the paper itself or a full coding "
        "of it, `secondary` in a later table, `conflict` where published sources disagree.",
        "",
    ]
    for name in pk.list_models():
        lines += [*_model(pk.load_model(name)), ""]
    return "\n".join(lines)


def _model(model: pk.PopulationModel) -> Iterable[str]:
    state = "Every number was read at its source." if model.verified else "From secondary sources."
    population = model.population
    yield from (f"## {model.id}", "", f"{model.title}. {state}", "", model.citation.strip(), "")
    levels = f", {population.levels} levels" if population.levels else ""
    yield f"Population: {population.description} ({population.patients} patients{levels})."
    if model.conflicts:
        yield f"Sources disagree on: {', '.join(model.conflicts)}."
    yield from ("", *(f"* {note.strip()}" for note in model.notes), "")
    yield from (
        "| parameter | typical value | covariates | source | status |",
        "|---|---|---|---|---|",
    )
    for parameter in model.parameters:
        covariates = ", ".join(dict.fromkeys(effect.covariate for effect in parameter.effects))
        yield (
            f"| {parameter.name} | {parameter.value:g} {parameter.unit} | {covariates} "
            f"| {parameter.source} | {parameter.status} |"
        )
    yield from ("", f"File `pk/models/{model.id}.yaml`, digest `{model.digest[:12]}`.")


def cli_page() -> str:
    """The help of every command."""
    lines = ["# Command line", ""]
    for path, command in _commands((), program):
        context = click.Context(command, info_name=" ".join(("imatinib-tdm", *path)))
        lines += [f"## imatinib-tdm {' '.join(path)}".rstrip(), "", "```"]
        lines += [command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(
    path: tuple[str, ...], command: click.Command
) -> Iterable[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _commands((*path, name), inner)


def settings_page() -> str:
    """Every setting, from the schema that checks the file."""
    schema = Settings.model_json_schema()
    lines = [
        "# Settings",
        "",
        "One YAML file, named by `--settings` or `IMATINIB_TDM_SETTINGS`.",
        "",
    ]
    sections = {"(top level)": schema, **schema.get("$defs", {})}
    for name, section in sections.items():
        lines += [f"## {name}", "", str(section.get("description", "")).strip(), ""]
        lines += ["| setting | default | meaning |", "| --- | --- | --- |"]
        for field, value in section.get("properties", {}).items():
            default = value.get("default", "")
            lines.append(f"| `{field}` | `{default}` | {value.get('description', '')} |")
        lines.append("")
    return "\n".join(lines)


def metrics_page() -> str:
    """What `/metrics` shows, from the registry that counts."""
    lines = [
        "# Metrics",
        "",
        "`GET /metrics` in the Prometheus text format, over all workers. "
        "No label carries patient data.",
        "",
        "| metric | kind | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    metrics = Metrics()
    for metric in metrics.registry.collect():
        labels = ", ".join(f"`{name}`" for name in _labels(metrics, metric.name))
        suffix = "_total" if metric.type == "counter" else ""
        lines.append(
            f"| `{metric.name}{suffix}` | {metric.type} | {labels} | {metric.documentation} |"
        )
    return "\n".join(lines)


def _labels(metrics: Metrics, name: str) -> tuple[str, ...]:
    collectors = [v for v in vars(metrics).values() if hasattr(v, "_labelnames")]
    return next(c._labelnames for c in collectors if c._name == name)


def remarks_page() -> str:
    """What `rules lint` can find, by number."""
    lines = [
        "# Findings of `rules lint`",
        "",
        "An error keeps a rulebook from being used; a warning does not. Every finding names file, "
        "line, column and the cure.",
        "",
        "| number | finding | level |",
        "| --- | --- | --- |",
    ]
    lines += [f"| `{code}` | {kind.title} | {kind.level} |" for code, kind in REMARK_KINDS.items()]
    return "\n".join(lines)


def rule_fields_page(rulebook: Rulebook) -> str:
    """The fields of a rule file, from the schema that editors check with."""
    schema = rule_schema(catalogue(), rulebook)
    lines = [
        "# Fields of a rule file",
        "",
        "`imatinib-tdm rules schema` prints the whole JSON Schema, with which an editor completes "
        "and checks as you type.",
        "",
        "| field | needed | holds |",
        "| --- | --- | --- |",
    ]
    for name, field in schema["properties"].items():
        needed = "yes" if name in schema["required"] else ""
        lines.append(f"| `{name}` | {needed} | {_holds(field)} |")
    lines += ["", "## Inside `then`", "", "| field | needed | holds |", "| --- | --- | --- |"]
    speaking = schema["properties"]["then"]["oneOf"][0]
    for name, field in speaking["properties"].items():
        needed = "yes" if name in speaking["required"] else ""
        lines.append(f"| `{name}` | {needed} | {_holds(field)} |")
    return "\n".join(lines)


def _holds(field: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{str(field['const']).lower()}`"
    if field.get("type") == "array":
        return f"list of: {_holds(field.get('items', {}))}"
    if field.get("type") == "object":
        named = [*field.get("properties", {}), *field.get("patternProperties", {})]
        return "mapping of " + ", ".join(f"`{name}`" for name in named)
    if "$ref" in field:
        return field["$ref"].rsplit("/", 1)[-1]
    if "oneOf" in field:
        return "one of several forms"
    return " ".join(str(field.get(word, "")) for word in ("type", "pattern")).strip()


def sources_page(rulebook: Rulebook) -> str:
    """The bibliography, with what was taken from each source and whether it was seen there."""
    lines = [
        "# Sources",
        "",
        "`verified` means that the figure was seen in the named source or a copy of it. It does "
        "not mean that a clinician agreed.",
        "",
        "| key | citation | kind | verified | supports |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key, source in rulebook.content.sources.items():
        cited = f"[{source.citation}]({source.url})" if source.url else source.citation
        seen = "yes" if source.verified else "**no**"
        supports = " ".join(source.supports.split())
        lines.append(f"| `{key}` | {cited} | {source.kind} | {seen} | {supports} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
    if "--build" in sys.argv:
        sys.exit(subprocess.call([sys.executable, "-m", "mkdocs", "build", "--strict"]))
