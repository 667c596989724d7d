"""Which revision of the rulebook serves: see it, choose another, go back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cds.cli._common import read_settings, settings_option
from cds.rulebook import RulebookError


@click.command()
@settings_option
def status(settings_file: Path | None) -> None:
    """Say what serves, and whether the directory could: if not, where and how to mend it.

    \b
    Examples:
      imatinib-tdm rules status

    Exit codes: 0 the directory serves or could, 1 it is refused.
    """
    from cds.rulebook.shelf import Shelf, ShelfError
    from cds.rulebook.standing import standing
    from cds.services.knowledge import rules_path, shelf_path

    settings = read_settings(settings_file)
    try:
        found = standing(
            Shelf(shelf_path(settings)), rules_path(settings), datetime.now(UTC).date()
        )
    except (ShelfError, RulebookError) as error:
        raise click.ClickException(str(error)) from None
    click.echo("\n".join(found.words()))
    if found.remarks:
        sys.exit(1)


@click.command()
@click.argument("revision")
@settings_option
def activate(revision: str, settings_file: Path | None) -> None:
    """Let a kept revision (or the one that begins so) serve until the directory is edited.

    \b
    Examples:
      imatinib-tdm rules history
      imatinib-tdm rules activate 81010a3d00e2

    Exit codes: 0 it serves from now on, 1 there is no such revision, 2 wrong settings.
    """
    from cds.rulebook.live import activate as activate_revision

    _on_shelf(settings_file, lambda shelf, directory, at: activate_revision(
        shelf, directory, revision, at))  # fmt: skip


@click.command()
@settings_option
def rollback(settings_file: Path | None) -> None:
    """Let the revision that served before serve again, in every worker.

    \b
    Examples:
      imatinib-tdm rules rollback

    Exit codes: 0 the former one serves from now on, 1 there is none, 2 wrong settings.
    """
    from cds.rulebook.live import rollback as roll_back

    _on_shelf(settings_file, roll_back)


@click.command()
@settings_option
def history(settings_file: Path | None) -> None:
    """Show which revisions served, since when and why.

    \b
    Examples:
      imatinib-tdm rules history

    Exit codes: 0 success, 2 wrong settings.
    """
    from cds.rulebook.shelf import Shelf
    from cds.services.knowledge import shelf_path

    served = Shelf(shelf_path(read_settings(settings_file))).history()
    if not served:
        click.echo("nothing has served yet")
    for entry in served:
        click.echo(f"{entry.at}  {entry.revision[:12]}  {entry.why}")


def _on_shelf(settings_file: Path | None, change: Any) -> None:
    """Change what serves, and say what serves now."""
    from cds.rulebook.shelf import Shelf, ShelfError
    from cds.services.knowledge import rules_path, shelf_path

    settings = read_settings(settings_file)
    try:
        active = change(Shelf(shelf_path(settings)), rules_path(settings), datetime.now(UTC))
    except (ShelfError, RulebookError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{active.revision} serves from now on ({active.why})")
