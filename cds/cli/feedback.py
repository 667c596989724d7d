"""Export what users did with cards, and show acceptance per rule."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cds.cli._common import read_settings, settings_option
from cds.store import CipherError, DatabaseError


@click.group()
def command() -> None:
    """Export what users did with cards, and show acceptance per rule.

    \b
    Examples:
      imatinib-tdm feedback export > feedback.ndjson
      imatinib-tdm feedback figures

    Exit codes: 0 success, 1 the store cannot be read, 2 wrong settings.
    """


@command.command()
@settings_option
def export(settings_file: Path | None) -> None:
    """Write all feedback as NDJSON, joined with user, rule and rulebook revision.

    Comments are free text that users typed: treat the file as clinical data.
    """
    from cds.services.wiring import open_store

    try:
        for entry in open_store(read_settings(settings_file)).export_feedback():
            click.echo(json.dumps(entry, ensure_ascii=False))
    except (DatabaseError, CipherError) as error:
        raise click.ClickException(str(error)) from None


@command.command()
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")
def figures(settings_file: Path | None, as_json: bool) -> None:
    """Show per rule how many cards were shown, accepted and overridden."""
    from cds.services.wiring import open_store

    try:
        rows = open_store(read_settings(settings_file)).acceptance()
    except DatabaseError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(rows))
        return
    click.echo(f"{'rule':<48} {'shown':>7} {'accepted':>9} {'overridden':>11}")
    for row in rows:
        click.echo(
            f"{row['rule']:<48} {row['shown']:>7} {row['accepted']:>9} {row['overridden']:>11}"
        )
