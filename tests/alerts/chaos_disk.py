"""A disk that is full for a while: a small file system of its own, or a limit on files.

Mounting takes rights that not every machine gives. Where it is not allowed, the processes that
write get a limit on the size of their files (RLIMIT_FSIZE): every write beyond it fails, as it does
on a full disk, only with another errno.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_CHUNK = 64 * 1024
_SMALLEST = 4096
_BALLAST = "ballast"


class Disk(Protocol):
    """Where the database lies."""

    means: str
    """How it gets full."""

    def fill(self) -> None: ...
    def free(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Mounted:
    """A file system of a few megabytes, filled to the last byte."""

    directory: Path
    means: str = "tmpfs"

    def fill(self) -> None:
        """Leave room for nothing."""
        with (self.directory / _BALLAST).open("ab", buffering=0) as ballast:
            size = _CHUNK
            while size:
                try:
                    ballast.write(b"\0" * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Make room again."""
        (self.directory / _BALLAST).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Limited:
    """Processes that may not write, asked for anew each time because they come and go."""

    processes: Callable[[], Iterable[int]]
    means: str = "RLIMIT_FSIZE"

    def fill(self) -> None:
        """Let every write beyond the first page of a file fail."""
        self._limit(_SMALLEST)

    def free(self) -> None:
        """Let them write again."""
        self._limit("unlimited")

    def _limit(self, size: int | str) -> None:
        for process in self.processes():
            with suppress(FileNotFoundError):  # it has ended meanwhile
                owner = Path(f"/proc/{process}").stat()
                subprocess.run(
                    ["prlimit", "--pid", str(process), f"--fsize={size}:unlimited"],
                    check=False,
                    capture_output=True,
                    user=owner.st_uid,
                    group=owner.st_gid,
                    extra_groups=[] if os.geteuid() == 0 else None,
                )


@contextmanager
def small_disk(
    directory: Path, megabytes: int, processes: Callable[[], Iterable[int]], *, mount: bool = True
) -> Iterator[Disk]:
    """A disk at the directory that can be filled, by the means that this machine allows."""
    directory.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    if not (mount and _runs(command)):
        yield Limited(processes)
        return
    try:
        yield Mounted(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=False, capture_output=True)


def use_what_is_set_aside(database: str) -> None:
    """Have a SQLite database give back the log it would write over, so that it needs room."""
    connection = sqlite3.connect(database.removeprefix("sqlite:///"), timeout=0.3)
    with suppress(sqlite3.OperationalError):  # somebody reads: then a little is left
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def family(process: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children")
    try:
        return [process, *map(int, children.read_text(encoding="ascii").split())]
    except OSError:
        return []


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
