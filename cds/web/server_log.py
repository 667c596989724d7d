"""What the server software says, as lines of the product's log.

Its own lines are no JSON, and they quote what they complain of: a request line with an id in it, a
piece of a body. Here its words are kept, with numbers and names of signals; what was put into them
otherwise is left out.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from gunicorn.glogging import Logger

from cds.telemetry import error_fields, log

_SIGNALS = frozenset(signal.Signals.__members__)
_LEFT_OUT = "..."


class ServerLog(Logger):  # type: ignore[misc] # gunicorn carries no types
    """The log gunicorn is given; what is less than a warning is not said."""

    def critical(self, msg: object, *args: object, **_options: Any) -> None:
        """Say what ends a process."""
        log().critical("server", problem=_words(msg, args))

    def error(self, msg: object, *args: object, **_options: Any) -> None:
        """Say what went wrong, and where, if it was an exception."""
        error = sys.exception()
        place = error_fields(error) if error is not None else {}
        log().error("server", problem=_words(msg, args), **place)

    exception = error

    def warning(self, msg: object, *args: object, **_options: Any) -> None:
        """Say what deserves a look."""
        log().warning("server", problem=_words(msg, args))

    def info(self, msg: object, *args: object, **options: Any) -> None:
        """Stay silent: the product says itself that it serves."""

    debug = info

    def log(self, lvl: object, msg: object, *args: object, **options: Any) -> None:
        """Say it as a warning, whatever the level is called."""
        self.warning(msg, *args, **options)


def _words(message: object, args: tuple[object, ...]) -> str:
    """The words of the server software; what it quotes is left out."""
    if not isinstance(message, str):
        return type(message).__name__
    if not args:
        return message
    return message % tuple(
        arg if isinstance(arg, int) or arg in _SIGNALS else _LEFT_OUT for arg in args
    )
