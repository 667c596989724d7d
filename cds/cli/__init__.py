"""The command `imatinib-tdm`: one module per subcommand, loaded when it is called.

A module `cds/cli/NAME.py` that defines `command` is the subcommand NAME (underscores become
hyphens); the first line of its docstring is its line in the overview. Nothing else needs to be
registered, and `imatinib-tdm rules lint` never imports a web server.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import click

from cds import __version__

_HERE = Path(__file__).parent


class _LazyGroup(click.Group):
    """Finds subcommands by file name and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = [module.name for module in pkgutil.iter_modules([str(_HERE)])]
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"cds.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"cds.cli.{cmd_name} defines no click command called `command`")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = _closest(args[0], self.list_commands(ctx)) if args else None
            if close:
                raise click.UsageError(f"{error.message} Did you mean '{close}'?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _first_line(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imatinib-tdm")
def main() -> None:
    """Therapeutic drug monitoring of imatinib: CDS Hooks service, rules and dosing.

    \b
    Examples:
      imatinib-tdm serve                  answer hooks on http://127.0.0.1:8000
      imatinib-tdm doctor https://fhir.example.org/r4
      imatinib-tdm COMMAND --help

    Exit codes: 0 success, 1 the command found a problem, 2 wrong usage or settings.
    """


def _first_line(name: str) -> str:
    """The first line of a command module's docstring, without importing the module."""
    path = _HERE / f"{name.replace('-', '_')}.py"
    path = path if path.exists() else _HERE / name.replace("-", "_") / "__init__.py"
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return (documentation or "").split("\n", maxsplit=1)[0]


def _closest(word: str, names: list[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, names, n=1)), None)
