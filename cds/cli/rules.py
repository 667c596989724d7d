"""`imatinib-tdm rules`: lint, test, show, explain and compare the clinical content."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from cds.rulebook import Rulebook, RulebookError
from cds.rulebook.cases import run_tests
from cds.rulebook.content import read_content, read_directory
from cds.rulebook.lint import lint as lint_directory
from cds.rulebook.mutation import Mutant, kill_ratio, mutate
from cds.rulebook.remarks import Level, Remarks

_DIRECTORY = click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default="rules"
)


@click.group()
def command() -> None:
    """Check, test and read the clinical content in rules/."""


@command.command()
@_DIRECTORY
@click.option("--strict", is_flag=True, help="Warnings refuse too.")
def lint(directory: Path, *, strict: bool) -> None:
    """Say what is wrong with every file, where, and how to mend it."""
    remarks = lint_directory(directory, today=datetime.now(UTC).date())
    for remark in remarks:
        click.echo(str(remark))
    errors = sum(remark.level is Level.ERROR for remark in remarks)
    click.echo(f"{errors} errors, {len(remarks) - errors} warnings")
    if errors or (strict and remarks):
        sys.exit(1)


@command.command()
@_DIRECTORY
@click.option("--rule", "only", multiple=True, help="Only rules whose id contains this text.")
@click.option("--mutations", is_flag=True, help="Name the conditions that no test would miss.")
def test(directory: Path, *, only: tuple[str, ...], mutations: bool) -> None:
    """Run the tests inside the rule files on both evaluators."""
    rulebook, errors = _load_what_is_sound(directory)
    chosen = [r for r in rulebook.rules if not only or any(part in r.id for part in only)]
    results = run_tests(rulebook, chosen)
    failed = [result for result in results if result.failure is not None]
    for result in failed:
        click.echo(f"{result.place}: {result.rule_id}, '{result.name}': {result.failure}")
    click.echo(f"{len(results)} tests of {len(chosen)} rules, {len(failed)} failed")
    if mutations:
        _show_mutations(mutate(rulebook, chosen))
    if errors:
        click.echo(f"{errors} errors in files that were left out: see rules lint")
    if failed or errors:
        sys.exit(1)


def _show_mutations(mutants: tuple[Mutant, ...]) -> None:
    for mutant in mutants:
        if not mutant.killed:
            click.echo(f"{mutant.place}: {mutant.rule_id}: no test notices: {mutant.change}")
    killed = sum(mutant.killed for mutant in mutants)
    click.echo(f"{killed} of {len(mutants)} mutants killed ({kill_ratio(mutants):.1%})")


def _load_what_is_sound(directory: Path) -> tuple[Rulebook, int]:
    """The rulebook without its broken files, so that the others can be worked on."""
    remarks = Remarks()
    try:
        content = read_content(read_directory(directory), remarks, root=directory.name)
    except RulebookError as error:
        content = None
        remarks.extend(error.remarks)
    if content is None:
        for remark in remarks.errors:
            click.echo(str(remark), err=True)
        sys.exit(1)
    return Rulebook(content), len(remarks.errors)


if __name__ == "__main__":
    command()
