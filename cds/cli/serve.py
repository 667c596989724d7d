"""Start the CDS Hooks service."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cds.cli._common import SetupError, read_settings, settings_option
from cds.settings import SettingsError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; default from settings.")
@click.option("--threads", type=click.IntRange(1, 32), help="Threads each; default from settings.")
@settings_option
def command(
    host: str, port: int, workers: int | None, threads: int | None, settings_file: Path | None
) -> None:
    """Start the CDS Hooks service.

    On a loopback address without registered clients it answers without a token, for trying out.
    On any other address it needs registered clients and TLS (its own, or a proxy's).

    \b
    Examples:
      imatinib-tdm serve
      imatinib-tdm serve --host 0.0.0.0 --port 8443 --settings site.yaml

    Exit codes: 0 stopped, 2 the settings do not allow to start.
    """
    settings = read_settings(settings_file)
    server = settings.server.model_copy(
        update={
            name: value
            for name, value in {"workers": workers, "threads": threads}.items()
            if value is not None
        }
    )
    settings = settings.model_copy(update={"server": server})
    with _environment():
        from cds.alerts import attach, load_alert_settings
        from cds.web.server import CannotServe, serve

        try:
            load_alert_settings(settings)  # a mistake is said now, and not by every worker
            serve(settings, host, port, extend=attach)
        except (CannotServe, SettingsError) as error:
            raise SetupError(str(error)) from None


@contextmanager
def _environment() -> Iterator[None]:
    """Set what libraries read from the environment when they are imported, and clear it again."""
    with tempfile.TemporaryDirectory(prefix="tdm-metrics-") as shared:
        wanted = {
            # Counters are shared by all workers.
            "PROMETHEUS_MULTIPROC_DIR": shared,
            # Workers use the cores; threads of numpy inside one would fight them.
            "OPENBLAS_NUM_THREADS": "1",
        }
        own = {name: value for name, value in wanted.items() if name not in os.environ}
        os.environ.update(own)
        try:
            yield
        finally:
            for name in own:
                os.environ.pop(name, None)
