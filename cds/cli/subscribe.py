"""Ask a FHIR server to tell us of new levels."""

from __future__ import annotations

from pathlib import Path

import click

from cds.cli._common import SetupError, read_settings, settings_option


@click.command()
@click.argument("server", required=False)
@click.option(
    "--topic/--criteria",
    default=None,
    help="Topic-based or plain criteria; otherwise what the server's capabilities say.",
)
@settings_option
def command(server: str | None, topic: bool | None, settings_file: Path | None) -> None:
    """Ask a FHIR server to tell us of new levels.

    Creates our Subscription there, or renews it. Without SERVER, at all servers of the alerts file.
    While a worker runs it renews what is about to end by itself.

    \b
    Examples:
      imatinib-tdm subscribe
      imatinib-tdm subscribe north --criteria

    Exit codes: 0 success, 1 a server did not accept, 2 wrong settings.
    """
    from cds.alerts import build_alerts, load_alert_settings
    from cds.alerts.remote import Refused
    from cds.alerts.settings import alerts_path
    from cds.alerts.subscription import subscribe
    from cds.fhir.client import FetchError
    from cds.services import SetupFailed, build_services
    from cds.settings import SettingsError

    settings = read_settings(settings_file)
    try:
        alert_settings = load_alert_settings(settings)
        services = build_services(settings)
        alerts = build_alerts(services, alert_settings)
    except (SettingsError, SetupFailed) as error:
        raise SetupError(str(error)) from None
    try:
        chosen = [s for s in alert_settings.servers if server in (None, s.id)]
        if not chosen:
            which = "no server" if server is None else f"no server '{server}'"
            raise SetupError(f"{alerts_path(settings)}: {which} is registered under `servers:`")
        for one in chosen:
            try:
                done = subscribe(
                    alerts.worker.remotes[one.id],
                    services.knowledge.rulebook.drug,
                    settings.public_base_url,
                    services.clock.now(),
                    heartbeat_s=alert_settings.heartbeat_s,
                    topic=topic,
                )
            except FetchError as error:
                raise click.ClickException(f"{one.id}: {error.message}") from None
            except Refused as refusal:
                raise click.ClickException(f"{one.id}: {refusal.problem}") from None
            alerts.watchman.remember(one, done)
            kind = "topic" if done.topic else "criteria"
            made = "renewed" if done.renewed else "created"
            click.echo(f"{one.id}: {kind} Subscription {made} until {done.until:%Y-%m-%d}")
    finally:
        alerts.close()
        services.close()
