"""Assess everyone in an export: a table of patients, and what it adds up to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds.cli._common import SetupError, processes_option, read_settings, settings_option, tell
from cds.cli._screen import counted, progress_of, working
from cds.clinical.setting import Jurisdiction, Occasion, Setting

if TYPE_CHECKING:
    from cds.cohort.export import Export
    from cds.cohort.row import Row
    from cds.rulebook import Rulebook
    from cds.settings import Settings

_SHOWN = 20
_folder = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("directory", type=_folder)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one line for each patient: a table (.csv) or JSON lines (.ndjson).",
)
@click.option("--rules", type=_folder, help="Rulebook; otherwise the one the service would use.")
@click.option("--now", help="The moment of assessment, such as 2026-11-20T10:00:00Z.")
@click.option(
    "--jurisdiction",
    type=click.Choice([j.value for j in Jurisdiction]),
    help="Whose label applies.",
)
@processes_option
@settings_option
def command(
    directory: Path,
    out: Path | None,
    rules: Path | None,
    now: str | None,
    jurisdiction: str | None,
    processes: int,
    settings_file: Path | None,
) -> None:
    """Assess everyone in an export, each exactly as when the chart is opened, and add it up.

    DIRECTORY holds FHIR bulk data (*.ndjson, as `$export` gives it) or one Bundle for each patient
    (*.json). Nothing is stored and nothing is fetched. The moment is `--now`, or a Bundle's own
    timestamp, or the present. To see what an edit of the rules would change for these patients,
    use `imatinib-tdm rules diff OLD NEW --patients DIRECTORY`.

    \b
    Examples:
      imatinib-tdm cohort export/
      imatinib-tdm cohort export/ --out patients.csv --processes 8

    Exit codes: 0 everyone was assessed, 1 something could not be read, 2 wrong usage or settings.
    """
    from cds.cohort.dispatch import dispatch
    from cds.cohort.table import Sums, summary
    from cds.cohort.work import Plan, rows
    from cds.services.knowledge import rules_path

    settings = read_settings(settings_file)
    place = rules or rules_path(settings)
    rulebook = read_rulebook(place)
    export = read_export(directory, rulebook)
    plan = Plan(
        (place,), setting_of(settings, jurisdiction), moment(now), fixed=now is not None
    )  # fmt: skip
    sums = Sums()
    with _written(out) as write:
        done = dispatch(export.subjects, rows(plan), processes)
        for row in progress_of(done, len(export.subjects), "assessing"):
            write(row)
            sums.add(row)
    click.echo("\n".join(summary(sums, rulebook.drug.name)))
    tell_unread(export)
    if out is not None:
        click.echo(f"\npatient data written to {out}", err=True)
    if sums.lost or export.unread:
        raise SystemExit(1)


def read_rulebook(place: Path) -> Rulebook:
    """Load the rulebook, or end with what is wrong in it."""
    from cds.rulebook import RulebookError, load

    try:
        return load(place)
    except RulebookError as error:
        raise SetupError(str(error)) from None


def read_export(directory: Path, rulebook: Rulebook) -> Export:
    """Find the patients, or end with why there are none."""
    from cds.cohort.export import ExportError, index_export
    from cds.fhir.prefetch import prefetch_templates

    templates = prefetch_templates(rulebook.drug, rulebook.terminology).values()
    kinds = frozenset(template.partition("?")[0].partition("/")[0] for template in templates)
    try:
        with working("looking for patients"):
            return index_export(directory, kinds)
    except ExportError as error:
        raise SetupError(str(error)) from None


def setting_of(settings: Settings, jurisdiction: str | None) -> Setting:
    """The setting in which a chart is opened at this site."""
    return Setting(
        Occasion.PATIENT_VIEW,
        Jurisdiction(jurisdiction or settings.jurisdiction),
        settings.time_zone,
        settings.paediatric_doses,
    )


def moment(now: str | None) -> datetime:
    """The moment asked for, else the present."""
    from cds.cli._patient_file import moment_of

    return moment_of(now, {})


def tell_unread(export: Export) -> None:
    """Say which lines could not be read, and what was not looked at."""
    if export.unread:
        parts = counted(len(export.unread), "part")
        click.echo(f"\n{parts} of the export could not be read:", err=True)
        for why in export.unread[:_SHOWN]:
            tell(f"  {why}", err=True)
        if len(export.unread) > _SHOWN:
            click.echo(f"  and {len(export.unread) - _SHOWN} more", err=True)
    if export.unused:
        listed = ", ".join(f"{kind} {count}" for kind, count in export.unused.items())
        tell(f"\nnot looked at, because no rule reads them: {listed}", err=True)


@contextmanager
def _written(out: Path | None) -> Iterator[Callable[[Row], object]]:
    """What takes a row to its file: its owner's alone, and under its name when it is whole."""
    from cds.cohort.table import FORMATS

    if out is None:
        yield lambda row: None
        return
    lines = FORMATS.get(out.suffix)
    if lines is None:
        raise SetupError(f"{out.name} ends neither in {' nor in '.join(FORMATS)}")
    growing = out.with_name(f"{out.name}.part")
    try:
        growing.unlink(missing_ok=True)
        # only a file made here is sure to be nobody else's, and no link to another place
        descriptor = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SetupError(f"{out} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield lines(file)
        growing.replace(out)
    finally:
        growing.unlink(missing_ok=True)  # patient data of a run that was cut short
