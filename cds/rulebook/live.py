"""Follow a rulebook directory while serving: a good edit takes over, a bad one changes nothing.

Each process follows on its own, after it was forked. An edit is read when the directory has come
to rest, checked aside, and swapped in by one assignment; requests keep the rulebook they began
with. What has served is kept on a shelf that all processes share: the first to see an edit checks
it, the others take its word, and a rollback reaches them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from cds.rulebook.accept import accept
from cds.rulebook.content import Files, read_directory, revision_of
from cds.rulebook.remarks import Place, Remark, RulebookError
from cds.rulebook.rulebook import Rulebook, load_files
from cds.rulebook.shelf import Active, Shelf, ShelfError

POLL_S = 0.15

_Signature = tuple[tuple[str, int, int, int], ...]


class Refused(Struct, frozen=True):
    """An edit that does not serve, and why."""

    revision: str
    at: datetime
    remarks: tuple[Remark, ...]


class LiveStatus(Struct, frozen=True):
    """What serves in this process, since when, and what was refused since."""

    revision: str
    since: datetime
    why: str
    refused: Refused | None
    trouble: str | None
    """The shelf or the directory could not be read; what serves goes on serving."""

    def words(self) -> tuple[str, ...]:
        """The status as lines for people: what serves, and every reason why an edit does not."""
        since = self.since.isoformat(timespec="seconds")
        lines = [f"revision {self.revision[:12]} serves since {since} ({self.why})"]
        if self.refused is not None:
            named = f" {self.refused.revision[:12]}" if self.refused.revision else ""
            at = self.refused.at.isoformat(timespec="seconds")
            lines.append(f"edit{named} refused at {at}; what served goes on serving:")
            lines += [f"  {remark}" for remark in self.refused.remarks]
        if self.trouble is not None:
            lines.append(f"trouble: {self.trouble}")
        return tuple(lines)


class LiveRulebook:
    """The rulebook in force; `current` may be another object at every call, each one immutable."""

    def __init__(
        self,
        directory: Path,
        shelf: Shelf,
        clock: Callable[[], datetime],
        *,
        on_change: Callable[[Rulebook], None] | None = None,
        tell: Callable[[LiveStatus], None] | None = None,
    ) -> None:
        """Load what serves: the directory, or what was activated in its place.

        `on_change` is a trial: it is called with a rulebook that is about to serve, and whatever
        it raises refuses the edit. `tell` hears when another revision serves or an edit is
        refused.
        """
        self._directory, self._shelf, self._clock = directory, shelf, clock
        self._on_change, self._tell = on_change, tell
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._one = threading.Lock()
        self._seen: _Signature | None = None
        self._settled: tuple[_Signature, Active | None] | None = None
        self._refused: Refused | None = None
        self._trouble: str | None = None
        self._current, self._why = self._begin()
        self._since = clock()

    @property
    def current(self) -> Rulebook:
        """The rulebook that serves now; hold it for the length of a request."""
        return self._current

    @property
    def status(self) -> LiveStatus:
        """What serves and what was refused."""
        return LiveStatus(
            self._current.revision, self._since, self._why, self._refused, self._trouble
        )

    def poll(self) -> bool:
        """Look once; True if another revision serves now."""
        with self._one:
            try:
                return self._look()
            except (OSError, ShelfError) as error:
                self._trouble = str(error)
                return False

    def follow(self, interval_s: float = POLL_S) -> None:
        """Look again and again in a thread of this process, until `stop`."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._loop, args=(interval_s,), name="rulebook", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self, interval_s: float) -> None:
        while not self._stop.wait(interval_s):
            self.poll()

    def _begin(self) -> tuple[Rulebook, str]:
        active = self._shelf.active()
        try:
            files = read_directory(self._directory)
            revision = revision_of(files)
            if active is None or active.instead_of != revision:
                rulebook = load_files(files, root=self._directory.name)
                self._shelf.keep(revision, files)
                self._shelf.activate(revision, "directory", self._clock())
                return rulebook, "directory"
        except RulebookError as error:
            if active is None:
                raise
            # A broken directory after a restart: the last good revision is on the shelf.
            self._refused = Refused("", self._clock(), error.remarks)
        return self._from_shelf(active.revision), active.why

    def _look(self) -> bool:
        signature, active = self._signature(), self._shelf.active()
        came_to_rest, self._seen = signature == self._seen, signature
        if self._settled == (signature, active) or not came_to_rest:
            return False
        before = self._current, self._refused
        files = self._files()
        changed = False if files is None else self._consider(files, active)
        self._trouble = None
        self._settled = signature, self._shelf.active()
        if self._tell is not None and (self._current, self._refused) != before:
            self._tell(self.status)
        return changed

    def _files(self) -> Files | None:
        try:
            return read_directory(self._directory)
        except RulebookError as error:
            self._refused = Refused("", self._clock(), error.remarks)
            return None

    def _consider(self, files: Files, active: Active | None) -> bool:
        """Decide which revision is to serve, and let it."""
        revision = revision_of(files)
        if active is not None and active.instead_of == revision:
            return self._swap(
                active.revision, active.why, lambda: self._from_shelf(active.revision)
            )
        changed = self._swap(revision, "directory", lambda: self._checked(revision, files))
        with self._shelf.alone():
            # Unless somebody rolled back while the edit was being checked: the next look sees it.
            if self._current.revision == revision and self._shelf.active() == active:
                self._shelf.activate(revision, "directory", self._clock())
        return changed

    def _swap(self, revision: str, why: str, build: Callable[[], Rulebook]) -> bool:
        if revision == self._current.revision:
            self._refused, self._why = None, why
            return False
        try:
            rulebook = build()
        except RulebookError as error:
            self._refused = Refused(revision, self._clock(), error.remarks)
            return False
        if self._on_change is not None:
            try:
                self._on_change(rulebook)
            except Exception as error:  # noqa: BLE001 - whatever fails in the trial refuses the edit
                self._refused = Refused(revision, self._clock(), (self._failed_trial(error),))
                return False
        # The old one gives back its memory when the last request that holds it has ended.
        self._current = rulebook
        self._refused, self._since, self._why = None, self._clock(), why
        return True

    def _failed_trial(self, error: Exception) -> Remark:
        message = f"the trial run failed: {type(error).__name__}: {error}"
        cure = "a table may have lost a field that the service reads; undo the edit"
        return Remark(Place(self._directory.name), "RB801", message, cure)

    def _checked(self, revision: str, files: Files) -> Rulebook:
        """An edit that passed: checked here, or by the process that was first."""
        root = self._directory.name
        with self._shelf.alone():
            if self._shelf.has(revision):
                return load_files(files, root=root)
            today = self._clock().date()
            rulebook = accept(files, root=root, today=today, serving=self._current)
            self._shelf.keep(revision, files)
            return rulebook

    def _from_shelf(self, revision: str) -> Rulebook:
        return load_files(self._shelf.files(revision), root=self._directory.name)

    def _signature(self) -> _Signature:
        found = []
        for path in sorted(self._directory.rglob("*.y*ml")):
            try:
                stat = path.stat()
            except FileNotFoundError:  # replaced by the editor this very moment
                continue
            found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)


def rollback(shelf: Shelf, directory: Path, at: datetime) -> Active:
    """Let what served before serve again, until the directory is edited anew."""
    with shelf.alone():
        active = shelf.active()
        if active is None or active.before is None:
            raise ShelfError("nothing has served before this revision")
        return _set_aside(shelf, directory, active.before, at, "rollback")


def activate(shelf: Shelf, directory: Path, revision: str, at: datetime) -> Active:
    """Let a kept revision (or the one that begins so) serve, until the directory is edited anew."""
    with shelf.alone():
        return _set_aside(shelf, directory, shelf.find(revision), at, "activate")


def _set_aside(shelf: Shelf, directory: Path, revision: str, at: datetime, why: str) -> Active:
    present = revision_of(read_directory(directory))
    instead_of = None if present == revision else present
    return shelf.activate(revision, why, at, instead_of=instead_of)
