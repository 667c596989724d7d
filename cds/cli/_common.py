"""What several commands share: the settings option, and errors that name the cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cds.settings import Settings, SettingsError, load_settings

F = TypeVar("F", bound=Callable[..., Any])

settings_option = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file (YAML); otherwise $IMATINIB_TDM_SETTINGS, otherwise the defaults.",
)
"""The option every command takes that needs settings."""


class SetupError(click.ClickException):
    """The command cannot start with these settings."""

    exit_code = 2


def read_settings(settings_file: Path | None) -> Settings:
    """Load the settings, or end with what is wrong in them."""
    try:
        return load_settings(settings_file)
    except SettingsError as error:
        raise SetupError(str(error)) from None
