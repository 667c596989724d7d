"""What several commands share: the settings option, and errors that name the cure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cds.screen_text import undriving
from cds.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from cds.store import Store

F = TypeVar("F", bound=Callable[..., Any])

settings_option = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file (YAML); otherwise $IMATINIB_TDM_SETTINGS, otherwise the defaults.",
)
"""The option every command takes that needs settings."""

processes_option = click.option(
    "--processes",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 1,
    show_default="one for each core",
    help="How many patients are assessed side by side.",
)
"""The option of commands that assess many patients."""


class SetupError(click.ClickException):
    """The command cannot start with these settings; the message may quote them, or a file."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(undriving(message))


def tell(text: str, *, err: bool = False) -> None:
    """Print words that came from a record or from another server."""
    click.echo(undriving(text), err=err)


def read_settings(settings_file: Path | None) -> Settings:
    """Load the settings, or end with what is wrong in them."""
    try:
        return load_settings(settings_file)
    except SettingsError as error:
        raise SetupError(str(error)) from None


def prepared_store(settings: Settings) -> Store:
    """Open the store, or end with what keeps it from being read and what to do."""
    from cds.services.wiring import open_store
    from cds.store import CipherError, DatabaseError

    try:
        store = open_store(settings)
    except (CipherError, DatabaseError) as error:
        raise SetupError(str(error)) from None
    problem = store.database.check()
    if problem:
        store.database.close()
        raise click.ClickException(problem)
    return store


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table: columns as wide as their widest entry, two spaces between them."""
    lines = [columns, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
