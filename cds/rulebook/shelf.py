"""Keep every revision that has served, and which one serves, where all processes can see it.

    revisions/<revision>.json   the files of a revision, whole
    active.json                 which one serves and why
    history.jsonl               every change, oldest first

Files are replaced in one step, so a reader never sees half of one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from msgspec import Struct, structs

from cds.rulebook.content import Files, revision_of

KEPT = 100
"""Revisions on the shelf; older ones go, the one that serves stays."""


class ShelfError(Exception):
    """A revision is not there, is not whole, or is not named clearly."""


class Active(Struct, frozen=True):
    """Which revision serves."""

    revision: str
    why: str
    """`directory`, `activate` or `rollback`."""
    at: str
    instead_of: str | None = None
    """The revision of the directory that was set aside; any other edit there takes over again."""
    before: str | None = None
    """What served until then: the target of a rollback."""


class Shelf:
    """A directory of revisions."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._revisions = path / "revisions"
        self._revisions.mkdir(parents=True, exist_ok=True)

    def has(self, revision: str) -> bool:
        """Whether a revision is kept, that is, has been accepted once."""
        return self._file(revision).is_file()

    def keep(self, revision: str, files: Files) -> None:
        """Put an accepted revision on the shelf."""
        if self.has(revision):
            return
        text = {name: content.decode("utf-8") for name, content in files.items()}
        _replace(self._file(revision), json.dumps({"files": text}, ensure_ascii=False))
        self._forget_old()

    def files(self, revision: str) -> dict[str, bytes]:
        """The files of a kept revision, checked against its name."""
        try:
            stored = json.loads(self._file(revision).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ShelfError(f"no revision {revision[:12]} on the shelf") from None
        except ValueError as error:
            raise ShelfError(f"revision {revision[:12]} cannot be read: {error}") from None
        files = {name: str(text).encode() for name, text in stored["files"].items()}
        if revision_of(files) != revision:
            raise ShelfError(f"revision {revision[:12]} was changed on the shelf")
        return files

    def find(self, beginning: str) -> str:
        """The one revision that begins like this."""
        found = [name for name in self.revisions() if name.startswith(beginning)]
        if len(found) != 1:
            count = f"{len(found)} revisions begin" if found else "no revision begins"
            raise ShelfError(f"{count} with '{beginning}'")
        return found[0]

    def revisions(self) -> tuple[str, ...]:
        """Every kept revision, oldest first."""
        return tuple(file.stem for file in self._by_age())

    def active(self) -> Active | None:
        """Which revision serves."""
        try:
            return Active(**json.loads((self._path / "active.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ShelfError(f"active.json cannot be read: {error}") from None

    def activate(
        self, revision: str, why: str, at: datetime, *, instead_of: str | None = None
    ) -> Active:
        """Say that a kept revision serves from now on."""
        if not self.has(revision):
            raise ShelfError(f"no revision {revision[:12]} on the shelf")
        present = self.active()
        if present is not None and (present.revision, present.instead_of) == (revision, instead_of):
            return present
        before = present.before if present and present.revision == revision else None
        if present is not None and present.revision != revision:
            before = present.revision
        active = Active(revision, why, at.isoformat(), instead_of, before)
        line = json.dumps(structs.asdict(active))
        with (self._path / "history.jsonl").open("a", encoding="utf-8") as history:
            history.write(line + "\n")
        _replace(self._path / "active.json", line)
        return active

    def history(self) -> tuple[Active, ...]:
        """Every change of what serves, oldest first."""
        try:
            lines = (self._path / "history.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        return tuple(Active(**json.loads(line)) for line in lines)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the shelf, so that one process checks an edit and the others wait for its word."""
        with (self._path / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _file(self, revision: str) -> Path:
        if not revision.isalnum():
            raise ShelfError(f"'{revision}' is not a revision")
        return self._revisions / f"{revision}.json"

    def _by_age(self) -> list[Path]:
        return sorted(self._revisions.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)

    def _forget_old(self) -> None:
        active = self.active()
        needed = {active.revision, active.before} if active else set()
        old = [file for file in self._by_age() if file.stem not in needed]
        for file in old[: max(0, len(old) - KEPT)]:
            file.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, and to the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
