"""What keeps a database from working, in a word for the log and a sentence for whoever runs it.

The driver's own message may hold a statement and its values, so only its code is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Trouble(NamedTuple):
    """`problem` is a stable word; `words` say what is wrong and what to do."""

    problem: str
    words: str


_SQLITE: Final[Mapping[str, Trouble]] = {
    "SQLITE_FULL": Trouble("disk-full", "there is no room on the disk; make some"),
    "SQLITE_READONLY": Trouble(
        "read-only", "the file or its directory cannot be written; check owner, rights and mount"
    ),
    "SQLITE_PERM": Trouble("read-only", "the file cannot be opened; check owner and rights"),
    "SQLITE_CANTOPEN": Trouble(
        "not-opened", "the file cannot be opened; check that its directory is there, and its rights"
    ),
    "SQLITE_BUSY": Trouble(
        "locked", "another process holds it; end that one if it does not go on by itself"
    ),
    "SQLITE_LOCKED": Trouble(
        "locked", "another process holds it; end that one if it does not go on by itself"
    ),
    "SQLITE_NOTADB": Trouble("damaged", "the file is no database; restore a backup"),
    "SQLITE_CORRUPT": Trouble("damaged", "the file is damaged; restore a backup"),
    "SQLITE_IOERR": Trouble("disk", "the disk cannot be read or written; look at its state"),
}


def trouble_of(error: BaseException) -> Trouble:
    """What a failure of the driver, or of SQLAlchemy around it, means."""
    cause = getattr(error, "orig", None) or error
    code = str(getattr(cause, "sqlite_errorname", ""))
    known = next((said for name, said in _SQLITE.items() if code.startswith(name)), None)
    return known or Trouble("database", type(error).__name__)
