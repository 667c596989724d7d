"""See, repair and retry alerts on new levels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds.cli._common import SetupError, prepared_store, read_settings, settings_option, tell

if TYPE_CHECKING:
    from cds.alerts.operator import WorkLine
    from cds.alerts.queue import Queue


@click.group()
def command() -> None:
    """See, repair and retry alerts on new levels.

    \b
    Examples:
      imatinib-tdm alerts list
      imatinib-tdm alerts show 17
      imatinib-tdm alerts retry 17
      imatinib-tdm alerts inbox

    Exit codes: 0 success, 1 there is no such work or some was given up, 2 wrong settings.
    """


@command.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Also what is done.")
@settings_option
def list_work(everything: bool, settings_file: Path | None) -> None:
    """List work that was given up, fails or waits.

    Exit code 1 when any was given up, so that a monitor can run this.

    \b
    Examples:
      imatinib-tdm alerts list
      imatinib-tdm alerts list --all

    Exit codes: 0 nothing was given up, 1 some was or the database cannot be used, 2 wrong settings.
    """
    from cds.alerts.operator import find_work

    with _queue(settings_file) as queue:
        lines = find_work(queue)
    shown = [line for line in lines if everything or line.state != "done"]
    for line in shown:
        click.echo(_written(line))
    if not shown:
        click.echo("nothing waits and nothing failed")
    if any(line.state == "dead" for line in shown):
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("row", type=int)
@settings_option
def show(row: int, settings_file: Path | None) -> None:
    """Show one row of work with what it is about (clinical content).

    \b
    Examples:
      imatinib-tdm alerts show 17

    Exit codes: 0 success, 1 there is no such work, 2 wrong settings.
    """
    from cds.alerts.operator import show_work
    from cds.store.jsontext import encode

    with _queue(settings_file) as queue:
        found = show_work(queue, row)
    if found is None:
        raise click.ClickException(f"there is no work {row}")
    line, body = found
    click.echo(_written(line))
    click.echo(json.dumps(json.loads(encode(dict(body))), indent=2, ensure_ascii=False))


@command.command()
@click.argument("rows", type=int, nargs=-1)
@click.option("--dead", "all_dead", is_flag=True, help="Everything that was given up.")
@settings_option
def retry(rows: tuple[int, ...], all_dead: bool, settings_file: Path | None) -> None:
    """Try again, now and with full patience.

    \b
    Examples:
      imatinib-tdm alerts retry 17 18
      imatinib-tdm alerts retry --dead

    Exit codes: 0 success, 1 there is no such work, 2 wrong usage or settings.
    """
    from cds.alerts.operator import find_work
    from cds.services.clock import Clock

    if not rows and not all_dead:
        raise click.UsageError("name the work to retry, or give --dead")
    with _queue(settings_file) as queue:
        chosen = [*rows]
        if all_dead:
            chosen += [line.id for line in find_work(queue, state="dead", limit=100_000)]
        unknown = [row for row in chosen if not queue.retry(row, Clock().now())]
    click.echo(f"{len(chosen) - len(unknown)} to be tried again")
    if unknown:
        raise click.ClickException(f"no open work {', '.join(map(str, unknown))}")


@command.command()
@settings_option
def inbox(settings_file: Path | None) -> None:
    """List the alerts that stand (clinical content).

    \b
    Examples:
      imatinib-tdm alerts inbox

    Exit codes: 0 success, 1 the database failed, 2 wrong settings.
    """
    from cds.alerts.inbox import listed

    with _queue(settings_file) as queue:
        standing = list(listed(queue.database, queue.cipher))
        if not standing:
            click.echo("no alert stands")
        for row in standing:
            summary = row["card"]["summary"]
            tell(f"{row['at']:%Y-%m-%d %H:%M}  {row['server']}  {row['severity']:8}  {summary}")


@contextmanager
def _queue(settings_file: Path | None) -> Iterator[Queue]:
    from cds.alerts.settings import AlertSettings
    from cds.alerts.tables import create_tables, open_database
    from cds.alerts.wiring import open_queue
    from cds.store import CipherError, DatabaseError

    settings = read_settings(settings_file)
    store = prepared_store(settings)
    try:
        database = open_database(settings.database)
        create_tables(database)
    except DatabaseError as error:
        raise SetupError(str(error)) from None
    try:
        yield open_queue(database, store.cipher, AlertSettings())
    except (CipherError, DatabaseError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()
        store.database.close()


def _written(line: WorkLine) -> str:
    words = [f"{line.id:6}", f"{line.state:5}", f"{line.kind:8}", line.server]
    if line.problem:
        words.append(line.problem)
    if line.attempts:
        words.append(f"after {line.attempts} attempts")
    if line.failing_since:
        words.append(f"since {line.failing_since:%Y-%m-%d %H:%M}")
    if line.state == "open":
        words.append(f"next {line.due:%Y-%m-%d %H:%M:%S} UTC")
    return "  ".join(words)
