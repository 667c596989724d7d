"""The application behind a real socket and the server's own worker, without its processes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask
from gunicorn.workers.gthread import TConn

from cds.settings import Settings
from cds.web.server import _server
from cds.web.worker import Worker

LIMIT = 4096
"""Bytes a body may have there."""

Ask = Callable[[bytes], tuple[bytes, bool]]
"""Bytes over TCP -> the answer in lower case, and whether the connection would be used again."""


class _Loaded:
    """What gunicorn asks for the application."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def wsgi(self) -> Flask:
        return self._app


@contextmanager
def answering(app: Flask) -> Iterator[Ask]:
    config = _server(Settings(), None, "127.0.0.1", 0, None).cfg
    worker = Worker(0, 0, [], _Loaded(app), 30, config, config.logger_class(config))
    worker.load_wsgi()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send(request: bytes) -> tuple[bytes, bool]:
            with socket.create_connection(listener.getsockname(), timeout=5) as client:
                ours, theirs = listener.accept()
                with ours:
                    client.sendall(request)
                    connection = TConn(config, ours, theirs, listener.getsockname())
                    goes_on = worker.handle(connection)
                    return client.recv(65536).lower(), goes_on

        yield send
    worker.tmp.close()
