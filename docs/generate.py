"""Write the reference part of the documentation from the code and content it describes.

Run by `make docs` before the site is built, so that it cannot lag behind. It is not committed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import click

import pk
from cds.cli import main as program
from cds.fhir.problems import PROBLEMS
from cds.rulebook import Rulebook, catalogue, load
from cds.rulebook.page import index_page, rule_page
from cds.settings import Settings

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
    """Every population model with its population, source and state of verification."""
    lines = ["# Population models", ""]
    for name in pk.list_models():
        model = pk.load_model(name)
        state = "every number read at its source" if model.verified else "from secondary sources"
        lines += [f"## {name}", "", f"{model.title}. {state.capitalize()}.", ""]
        lines += [f"Digest `{model.digest[:12]}`; file `pk/models/{name}.yaml`.", ""]
    return "\n".join(lines)


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


if __name__ == "__main__":
    main()
    if "--build" in sys.argv:
        sys.exit(subprocess.call([sys.executable, "-m", "mkdocs", "build", "--strict"]))
