"""Prepare, inspect and clean the database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from cds.cli._common import SetupError, prepared_store, read_settings, settings_option
from cds.settings import Settings
from cds.store import Database, DatabaseError


@click.group()
def command() -> None:
    """Prepare, inspect and clean the database.

    \b
    Examples:
      imatinib-tdm db upgrade
      imatinib-tdm db check
      imatinib-tdm db backup /backup/tdm-2026-11-26.sqlite3
      imatinib-tdm db purge --settings site.yaml

    Exit codes: 0 success, 1 the database needs attention, 2 wrong settings.
    """


@command.command()
@settings_option
def upgrade(settings_file: Path | None) -> None:
    """Create the tables or bring them to this version.

    \b
    Examples:
      imatinib-tdm db upgrade
      imatinib-tdm db upgrade --settings site.yaml

    Exit codes: 0 the schema is that of this version, 1 it could not be made so, 2 wrong settings.
    """
    from cds.store.migrate import upgrade as apply

    database = _database(read_settings(settings_file))
    try:
        before = database.revision()
        apply(database)
        after = database.revision()
    except DatabaseError as error:
        raise click.ClickException(f"{database.shown}: {error}") from None
    click.echo(f"{database.shown} is at schema {after}" + (" already" if before == after else ""))


@command.command()
@settings_option
def check(settings_file: Path | None) -> None:
    """Say whether the database can be used.

    \b
    Examples:
      imatinib-tdm db check

    Exit codes: 0 it can be used, 1 it cannot, 2 wrong settings.
    """
    database = _database(read_settings(settings_file))
    problem = database.check() or database.unwritable()
    if problem:
        raise click.ClickException(problem)
    click.echo(f"{database.shown} is ready")


@command.command()
@settings_option
def purge(settings_file: Path | None) -> None:
    """Remove expired tokens and sessions, and clinical content past the retention time.

    That a decision was made, with its versions and digests, stays recorded for ever.

    \b
    Examples:
      imatinib-tdm db purge --settings site.yaml

    Exit codes: 0 success, 1 the database cannot be used, 2 wrong settings.
    """
    from cds.services.clock import Clock

    settings = read_settings(settings_file)
    store = prepared_store(settings)
    try:
        removed = store.purge(Clock().now(), timedelta(days=settings.ledger.retention_days))
    except DatabaseError as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"removed {removed['tokens']} expired tokens, {removed['sessions']} sessions that are over "
        f"and {removed['bodies']} bodies"
    )


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@settings_option
def backup(file: Path, settings_file: Path | None) -> None:
    """Copy the SQLite database to FILE while the service runs.

    The copy is consistent and checked; an existing file is never overwritten. Keep the ledger key
    as well, and apart from it: without the key no decision in the copy can be read.

    \b
    Examples:
      imatinib-tdm db backup /backup/tdm-2026-11-26.sqlite3

    Exit codes: 0 copied and checked, 1 not copied, 2 wrong settings.
    """
    from cds.store.backup import back_up

    database = _database(read_settings(settings_file))
    try:
        size = back_up(database, file)
    except DatabaseError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {size} bytes, checked")


def _database(settings: Settings) -> Database:
    try:
        return Database(settings.database)
    except DatabaseError as error:
        raise SetupError(str(error)) from None
