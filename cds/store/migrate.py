"""Bring the schema to the version this code needs (alembic, loaded only here)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from cds.store.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database, to: str = "head") -> None:
    """Apply the migrations that are missing."""
    with database.writing() as connection:
        command.upgrade(_config(connection), to)


def downgrade(database: Database, to: str) -> None:
    """Undo migrations down to `to` (`base` for none); data of dropped tables is lost."""
    with database.writing() as connection:
        command.downgrade(_config(connection), to)


def head() -> str:
    """The newest migration on disk."""
    from alembic.script import ScriptDirectory

    revision = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    if revision is None:
        raise RuntimeError("the package carries no migrations")
    return revision


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
