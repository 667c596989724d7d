"""Export decisions, and who looked at them, as FHIR AuditEvents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from cds.cli._common import prepared_store, read_settings, settings_option
from cds.store import DatabaseError


@click.group()
def command() -> None:
    """Export decisions, and who looked at them, as FHIR AuditEvents (IHE Basic Audit Log Patterns).

    \b
    Examples:
      imatinib-tdm audit export > audit.ndjson
      imatinib-tdm audit export --since 2026-11-01

    Exit codes: 0 success, 1 the ledger cannot be read, 2 wrong usage or settings.
    """


@command.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Only what happened from this time on (UTC).",
)
@settings_option
def export(since: datetime | None, settings_file: Path | None) -> None:
    """Write an AuditEvent for each decision and each look at one, as NDJSON; it names patients.

    \b
    Examples:
      imatinib-tdm audit export > audit.ndjson
      imatinib-tdm audit export --since 2026-11-01

    Exit codes: 0 success, 1 the ledger cannot be read, 2 wrong usage or settings.
    """
    from cds.services.audit import audit_events, look_events

    first = since.replace(tzinfo=UTC) if since else None
    store = prepared_store(read_settings(settings_file))
    try:
        for event in (*audit_events(store, first), *look_events(store, first)):
            click.echo(json.dumps(event, ensure_ascii=False))
    except DatabaseError as error:
        raise click.ClickException(str(error)) from None
    finally:
        store.database.close()
