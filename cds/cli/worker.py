"""Work off alerts on new levels, and accept HL7 v2 messages."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds.cli._common import SetupError, read_settings, settings_option

if TYPE_CHECKING:
    from types import FrameType


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, then end.")
@settings_option
def command(once: bool, settings_file: Path | None) -> None:
    """Work off alerts on new levels, and accept HL7 v2 messages.

    Several workers may run, on several machines; each takes what no other has. A worker may be
    killed at any time: what it had in hand is done by the next one. It follows edits of the rules
    as the server does. With `mllp` in the alerts file it also listens for HL7 v2 messages.

    \b
    Examples:
      imatinib-tdm worker
      imatinib-tdm worker --once

    Exit codes: 0 stopped, 2 the settings do not allow to start.
    """
    from cds.alerts import build_alerts, listen_for_messages, load_alert_settings
    from cds.alerts.settings import alerts_path
    from cds.services import SetupFailed, build_services, live_knowledge
    from cds.services.warmup import leave_out_of_garbage_search, warm_up
    from cds.settings import SettingsError
    from cds.store import DatabaseError
    from cds.telemetry import configure_logging

    configure_logging()
    settings = read_settings(settings_file)
    try:
        alert_settings = load_alert_settings(settings)
        if not alert_settings.servers:
            raise SetupError(f"{alerts_path(settings)}: no server is registered under `servers:`")
        knowledge = live_knowledge(settings)
        services = build_services(settings, knowledge=knowledge)
        problem = services.problems().get("database")
        if problem:
            raise SetupError(problem)
        alerts = build_alerts(services, alert_settings)
    except (SettingsError, SetupFailed, DatabaseError) as error:
        raise SetupError(str(error)) from None
    try:
        if once:
            click.echo(f"{alerts.worker.drain()} done")
            return
        listen_for_messages(alerts, services)
        warm_up(services.knowledge, services.clock.now())
        knowledge.follow()
        leave_out_of_garbage_search()
        alerts.start()

        def leave(_signal: int, _frame: FrameType | None) -> None:
            alerts.leave()

        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        alerts.wait()
    finally:
        alerts.close()
        services.close()
