"""Export recorded decisions as FHIR AuditEvents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from cds.cli._common import prepared_store, read_settings, settings_option
from cds.store import DatabaseError


@click.group()
def command() -> None:
    """Export recorded decisions as FHIR AuditEvents (IHE Basic Audit Log Patterns).

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
    help="Only decisions from this time on (UTC).",
)
@settings_option
def export(since: datetime | None, settings_file: Path | None) -> None:
    """Write one AuditEvent per decision as NDJSON; it names patients and users.

    \b
    Examples:
      imatinib-tdm audit export > audit.ndjson
      imatinib-tdm audit export --since 2026-11-01

    Exit codes: 0 success, 1 the ledger cannot be read, 2 wrong usage or settings.
    """
    from cds.services.audit import audit_events

    store = prepared_store(read_settings(settings_file))
    try:
        for event in audit_events(store, since.replace(tzinfo=UTC) if since else None):
            click.echo(json.dumps(event, ensure_ascii=False))
    except DatabaseError as error:
        raise click.ClickException(str(error)) from None
    finally:
        store.database.close()
