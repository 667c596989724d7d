"""Check a FHIR server as the service would use it, and say what to fix."""

from __future__ import annotations

import json
from pathlib import Path

import click
from msgspec import structs

from cds.cli._common import SetupError, read_settings, settings_option, tell
from cds.screen_text import undriving

_SIGNS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "failed": ("FAIL", "red")}


@click.command()
@click.argument("fhir_base")
@click.option("--patient", help="Id of a patient on the drug, to try the searches with.")
@click.option(
    "--token",
    envvar="IMATINIB_TDM_DOCTOR_TOKEN",
    help="Access token; better in $IMATINIB_TDM_DOCTOR_TOKEN than on the command line.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines.")
@settings_option
def command(
    fhir_base: str,
    patient: str | None,
    token: str | None,
    as_json: bool,
    settings_file: Path | None,
) -> None:
    """Check a FHIR server as the service would use it, and say what to fix.

    Looks at reachability, TLS, FHIR version, declared searches and, with a patient, at the data
    themselves: found under the codes of the rulebook, and fast enough.

    \b
    Examples:
      imatinib-tdm doctor https://fhir.example.org/r4
      imatinib-tdm doctor https://fhir.example.org/r4 --patient 123

    Exit codes: 0 all fine or warnings only, 1 something failed, 2 wrong usage or settings.
    """
    from cds.services.doctor import examine
    from cds.services.knowledge import KnowledgeError, load_knowledge

    if not fhir_base.startswith(("https://", "http://")):
        raise click.BadParameter("must be an http(s) address", param_hint="FHIR_BASE")
    try:
        rulebook = load_knowledge(read_settings(settings_file)).rulebook
    except KnowledgeError as error:
        raise SetupError(str(error)) from None
    failed = 0
    for check in examine(fhir_base, rulebook, token=token, patient=patient):
        failed += check.state == "failed"
        if as_json:
            click.echo(
                json.dumps({k: v for k, v in structs.asdict(check).items() if v is not None})
            )
            continue
        sign, colour = _SIGNS[check.state]
        click.echo(f"{click.style(sign, fg=colour)} {check.name}: {undriving(check.message)}")
        if check.cure and check.state != "ok":
            tell(f"     to fix: {check.cure}")
    if failed:
        raise click.exceptions.Exit(1)
