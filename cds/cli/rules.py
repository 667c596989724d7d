"""Check, test, read and change the clinical content in rules/."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds.cli import _rules_shelf as shelf_commands
from cds.cli._common import SetupError, processes_option, read_settings, settings_option, tell
from cds.cli._rules_patients import tell_patients
from cds.cli._screen import counted, progress, working
from cds.clinical.setting import Jurisdiction, Occasion
from cds.rulebook import Rulebook, RulebookError, catalogue, load

if TYPE_CHECKING:
    from cds.assess import Assessment
    from cds.rulebook.mutation import Mutant
    from cds.services.decide import EvaluationInput
    from cds.settings import Settings

_folder = click.Path(path_type=Path, file_okay=False, exists=True)
_directory = click.argument("directory", type=_folder, required=False)


@click.group()
def command() -> None:
    """Check, test, read and change the clinical content in rules/.

    DIRECTORY is a rulebook; without it, the one that came with the product.

    \b
    Examples:
      imatinib-tdm rules lint rules/
      imatinib-tdm rules test rules/ --rule trough. --mutations
      imatinib-tdm rules show trough.cml-below-target

    Exit codes: 0 success, 1 the rulebook needs attention, 2 wrong usage or settings.
    """


@command.command()
@_directory
@click.option("--strict", is_flag=True, help="Warnings refuse too.")
def lint(directory: Path | None, *, strict: bool) -> None:
    """Say what is wrong with every file, where, and how to mend it.

    \b
    Examples:
      imatinib-tdm rules lint
      imatinib-tdm rules lint my-rules/ --strict

    Exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 wrong usage.
    """
    from cds.rulebook.lint import lint as lint_directory
    from cds.rulebook.remarks import Level

    with working("checking"):
        remarks = lint_directory(_place(directory), today=datetime.now(UTC).date())
    for remark in remarks:
        click.echo(str(remark))
    errors = sum(remark.level is Level.ERROR for remark in remarks)
    warnings = len(remarks) - errors
    click.echo(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}")
    if errors or (strict and remarks):
        sys.exit(1)


@command.command()
@_directory
@click.option("--rule", "only", multiple=True, help="Only rules whose id contains this text.")
@click.option("--mutations", is_flag=True, help="Name the conditions that no test would miss.")
def test(directory: Path | None, *, only: tuple[str, ...], mutations: bool) -> None:
    """Run the tests inside the rule files on both evaluators.

    \b
    Examples:
      imatinib-tdm rules test
      imatinib-tdm rules test my-rules/ --rule trough. --mutations

    Exit codes: 0 all passed, 1 some failed, 2 wrong usage.
    """
    from cds.rulebook.cases import run_tests
    from cds.rulebook.mutation import mutate

    rulebook, errors = _load_what_is_sound(_place(directory))
    _check_chosen(rulebook, only)
    chosen = [r for r in rulebook.rules if not only or any(part in r.id for part in only)]
    results = [
        result for rule in progress(chosen, "testing") for result in run_tests(rulebook, [rule])
    ]
    failed = [result for result in results if result.failure is not None]
    for result in failed:
        click.echo(f"{result.place}: {result.rule_id}, '{result.name}': {result.failure}")
    click.echo(f"{len(results)} tests of {len(chosen)} rules, {len(failed)} failed")
    if mutations:
        changed = progress(chosen, "changing conditions")
        _show_mutations([mutant for rule in changed for mutant in mutate(rulebook, [rule])])
    if errors:
        click.echo(f"{counted(errors, 'error')} in files that were left out: see rules lint")
    if failed or errors:
        sys.exit(1)


@command.command()
@click.argument("rule_id")
@click.option("--rules", "directory", type=_folder, help="Another rulebook.")
def show(rule_id: str, directory: Path | None) -> None:
    """Show one rule as a readable page (Markdown).

    \b
    Examples:
      imatinib-tdm rules show trough.cml-below-target

    Exit codes: 0 success, 1 there is no such rule, 2 wrong usage.
    """
    from cds.rulebook.page import rule_page
    from cds.rulebook.remarks import did_you_mean

    rulebook = _load(_place(directory), with_tests=True)
    try:
        rule = rulebook.rule(rule_id)
    except KeyError:
        cure = did_you_mean(rule_id, [rule.id for rule in rulebook.rules])
        raise click.ClickException(f"no rule '{rule_id}': {cure}") from None
    click.echo(rule_page(rulebook, rule), nl=False)


@command.command()
@click.option("--rules", "directory", type=_folder, help="Another rulebook.")
def schema(directory: Path | None) -> None:
    """Write the JSON Schema of a rule file, for an editor that completes and checks YAML.

    \b
    Examples:
      imatinib-tdm rules schema > rule.schema.json

    Exit codes: 0 success, 2 the rulebook cannot be read.
    """
    from cds.rulebook.schema import rule_schema

    rulebook = _load(_place(directory))
    click.echo(json.dumps(rule_schema(catalogue(), rulebook), ensure_ascii=False, indent=1))


@command.command()
@click.argument("file", type=click.File("rb"))
@click.option("--rule", "only", multiple=True, help="Only rules whose id contains this text.")
@click.option("--all", "every", is_flag=True, help="Silent rules too.")
@click.option("--occasion", type=click.Choice([o.value for o in Occasion]))
@click.option("--now", help="The moment of the assessment, such as 2026-11-20T10:00:00Z.")
@click.option("--jurisdiction", type=click.Choice([j.value for j in Jurisdiction]))
@settings_option
def explain(
    file: Any,
    only: tuple[str, ...],
    occasion: str | None,
    now: str | None,
    jurisdiction: str | None,
    settings_file: Path | None,
    *,
    every: bool,
) -> None:
    """Say why each rule fired, stayed silent or could not decide for one patient.

    FILE is a Bundle with one patient's resources, or a CDS Hooks request with its prefetch.
    Each line of the tree begins with + (holds), - (does not hold) or ? (unknown).

    \b
    Examples:
      imatinib-tdm rules explain patient.json
      imatinib-tdm rules explain patient.json --rule trough.cml-below-target --all

    Exit codes: 0 explained, 2 the file, the rule or the settings cannot be used.
    """
    from cds.rulebook.explain import as_text
    from cds.rulebook.explain import explain as explain_rules
    from cds.rulebook.rule import Outcome

    settings = read_settings(settings_file)
    rulebook = _load(_place(settings.rules))
    _check_chosen(rulebook, only)
    assessment = _assess(file, rulebook, settings, occasion, now, jurisdiction)
    if assessment is None:
        click.echo(
            f"{rulebook.drug.name} appears nowhere in this patient's record: no rule was asked"
        )
        return
    quiet = () if every or only else (Outcome.SILENT, Outcome.NOT_APPLICABLE)
    for explanation in explain_rules(rulebook, assessment.facts, assessment.setting):
        if only and not any(part in explanation.rule_id for part in only):
            continue
        if explanation.outcome not in quiet:
            tell("\n".join(as_text(explanation)))


@command.command()
@click.argument("old", type=_folder)
@click.argument("new", type=_folder)
@click.option(
    "--patients", type=_folder, help="Patients to assess with both: Bundles or bulk data (NDJSON)."
)
@processes_option
@settings_option
def diff(
    old: Path, new: Path, patients: Path | None, processes: int, settings_file: Path | None
) -> None:
    """Say what changed between two rulebooks, and which patients' findings change.

    \b
    Examples:
      imatinib-tdm rules diff rules/ my-rules/ --patients fhir_examples/patients
      imatinib-tdm rules diff rules/ my-rules/ --patients bulk-export/

    Exit codes: 0 compared, 1 some patients could not be, 2 a rulebook or the patients cannot be
    read.
    """
    from cds.rulebook.diff import compare

    with working("comparing"):
        before, after = _load(old, with_tests=True), _load(new, with_tests=True)
        changes = compare(before, after)
    for change in changes:
        click.echo(str(change))
    click.echo(
        f"{counted(len(changes), 'change')}, {before.revision[:12]} -> {after.revision[:12]}"
    )
    if patients is not None:
        tell_patients(old, new, patients, processes, read_settings(settings_file))


def _check_chosen(rulebook: Rulebook, only: tuple[str, ...]) -> None:
    """Refuse a text that no rule's id contains: it would silently ask about nothing."""
    from cds.rulebook.remarks import did_you_mean

    names = [rule.id for rule in rulebook.rules]
    for part in only:
        if not any(part in name for name in names):
            cure = did_you_mean(part, names)
            raise click.BadParameter(f"no rule is called '{part}': {cure}", param_hint="--rule")


def _place(directory: Path | None) -> Path:
    from cds import content

    return directory or content.rules_dir()


def _load(directory: Path, *, with_tests: bool = False) -> Rulebook:
    try:
        return load(directory, with_tests=with_tests)
    except RulebookError as error:
        raise SetupError(str(error)) from None


def _load_what_is_sound(directory: Path) -> tuple[Rulebook, int]:
    """The rulebook without its broken files, so that the others can be worked on."""
    from cds.rulebook.content import read_content, read_directory
    from cds.rulebook.remarks import Remarks

    remarks = Remarks()
    try:
        content = read_content(read_directory(directory), remarks, root=directory.name)
    except RulebookError as error:
        raise SetupError(str(error)) from None
    if content is None:
        raise SetupError("\n".join(str(remark) for remark in remarks.errors))
    return Rulebook(content), len(remarks.errors)


def _show_mutations(mutants: list[Mutant]) -> None:
    from cds.rulebook.mutation import kill_ratio

    for mutant in mutants:
        if not mutant.killed:
            click.echo(f"{mutant.place}: {mutant.rule_id}: no test notices: {mutant.change}")
    killed = sum(mutant.killed for mutant in mutants)
    click.echo(f"{killed} of {len(mutants)} mutants killed ({kill_ratio(mutants):.1%})")


def _assess(
    file: Any,
    rulebook: Rulebook,
    settings: Settings,
    occasion: str | None,
    now: str | None,
    jurisdiction: str | None,
) -> Assessment | None:
    """Assess the patient in a file exactly as `imatinib-tdm assess` does."""
    from cds.services.decide import decide
    from cds.services.knowledge import Knowledge, load_models

    given = _input(file, rulebook, settings, occasion, now, jurisdiction)
    return decide(given, Knowledge(rulebook, load_models())).assessment


def _input(
    file: Any,
    rulebook: Rulebook,
    settings: Settings,
    occasion: str | None,
    now: str | None,
    jurisdiction: str | None,
) -> EvaluationInput:
    from cds.cli import _patient_file as patient

    value = patient.read_file(file)
    at = patient.moment_of(now, value)
    return patient.evaluation_input(value, rulebook, settings, occasion, at, jurisdiction)


for _each in (
    shelf_commands.status,
    shelf_commands.history,
    shelf_commands.activate,
    shelf_commands.rollback,
):
    command.add_command(_each)


if __name__ == "__main__":
    command()
