"""Export what users did with cards, and show what became of each rule."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds.cli._common import prepared_store, read_settings, settings_option
from cds.store import CipherError, DatabaseError

if TYPE_CHECKING:
    from cds.store import RuleFigures


@click.group()
def command() -> None:
    """Export what users did with cards, and show what became of each rule.

    \b
    Examples:
      imatinib-tdm feedback export > feedback.ndjson
      imatinib-tdm feedback figures --since 2026-01-01

    Exit codes: 0 success, 1 the store cannot be read, 2 wrong settings.
    """


@command.command()
@settings_option
def export(settings_file: Path | None) -> None:
    """Write all feedback as NDJSON, joined with user, rule and rulebook revision.

    Comments are free text that users typed: treat the file as clinical data.

    \b
    Examples:
      imatinib-tdm feedback export > feedback.ndjson

    Exit codes: 0 success, 1 the store cannot be read, 2 wrong settings.
    """
    store = prepared_store(read_settings(settings_file))
    try:
        for entry in store.export_feedback():
            click.echo(json.dumps(entry, ensure_ascii=False))
    except (DatabaseError, CipherError) as error:
        raise click.ClickException(str(error)) from None


@command.command()
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day that counts (UTC).")
def figures(settings_file: Path | None, since: datetime | None, *, as_json: bool) -> None:
    """Show per rule what became of it: the same figures as the safety board.

    Decisions: asked, fired, would have fired (a rule being tried out), suppressed, undecided, and
    of these with something unreadable. Cards: shown, accepted, overridden; each card once, by its
    last answer.

    \b
    Examples:
      imatinib-tdm feedback figures
      imatinib-tdm feedback figures --since 2026-01-01 --json

    Exit codes: 0 success, 1 the store cannot be read, 2 wrong usage or settings.
    """
    from cds.store import Window

    window = Window.always() if since is None else Window(since.date(), date.max)
    store = prepared_store(read_settings(settings_file))
    try:
        rows = store.figures(window).rules
    except DatabaseError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows]))
        return
    click.echo(f"{'rule':<48} {'rev':>3} " + " ".join(f"{head:>10}" for head in _COLUMNS.values()))
    for row in rows:
        values = " ".join(f"{getattr(row, name):>10}" for name in _COLUMNS)
        click.echo(f"{row.rule:<48} {row.revision:>3} {values}")


_COLUMNS = {
    "evaluated": "asked",
    "fired": "fired",
    "shadow": "would have",
    "suppressed": "suppressed",
    "undecided": "undecided",
    "unread": "unreadable",
    "shown": "shown",
    "accepted": "accepted",
    "overridden": "overridden",
}


def _as_json(row: RuleFigures) -> dict[str, Any]:
    counts = {name: getattr(row, name) for name in _COLUMNS}
    reasons = [
        {"system": system, "code": code, "count": count}
        for (system, code), count in sorted(row.reasons.items())
    ]
    return {"rule": row.rule, "revision": row.revision, **counts, "reasons": reasons}
