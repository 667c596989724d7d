"""Assess one patient: a FHIR Bundle or a saved hook request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds.cli._common import SetupError, read_settings, settings_option
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.fhir.parse import JsonError, Limits, load_json

if TYPE_CHECKING:
    from cds.services.decide import Decision, EvaluationInput
    from cds.services.knowledge import Knowledge
    from cds.settings import Settings

_LIMITS = Limits(bytes=64 * 1024 * 1024, nodes=2_000_000)
"""A file of one's own may be larger than a request."""
_HOOKS = [occasion.value for occasion in Occasion]


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--occasion",
    type=click.Choice(_HOOKS),
    help="What makes us look; a request's own hook, otherwise patient-view.",
)
@click.option("--now", help="The moment of the assessment, such as 2026-11-20T10:00:00Z.")
@click.option(
    "--jurisdiction",
    type=click.Choice([j.value for j in Jurisdiction]),
    help="Whose label applies.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the CDS Hooks response as JSON.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the concentration-time picture as SVG to this file.",
)
@settings_option
def command(
    file: Any,
    occasion: str | None,
    now: str | None,
    jurisdiction: str | None,
    as_json: bool,
    plot: Path | None,
    settings_file: Path | None,
) -> None:
    """Assess one patient, exactly as a hook call would, and print the cards.

    FILE is a Bundle with one patient's resources, or a CDS Hooks request with its prefetch
    (`-` reads standard input). Nothing is stored and nothing is fetched. The moment is `--now`, or
    the Bundle's own timestamp, or the present.

    \b
    Examples:
      imatinib-tdm assess patient.json
      imatinib-tdm assess request.json --jurisdiction eu --json
      imatinib-tdm assess patient.json --plot level.svg

    Exit codes: 0 assessed (with or without cards), 2 the file or the settings cannot be used.
    """
    from cds.services.decide import decide
    from cds.services.knowledge import KnowledgeError, load_knowledge

    settings = read_settings(settings_file)
    value = read_file(file)
    try:
        knowledge = load_knowledge(settings)
    except KnowledgeError as error:
        raise SetupError(str(error)) from None
    given = evaluation_input(
        value, knowledge, settings, occasion, moment_of(now, value), jurisdiction
    )
    decision = decide(given, knowledge)
    if plot is not None:
        _draw(decision, plot)
    if as_json:
        click.echo(json.dumps(decision.response, ensure_ascii=False, indent=2))
    else:
        _print(given, decision, knowledge)


def _draw(decision: Decision, path: Path) -> None:
    """Write the concentration-time picture of the report, or say that there is nothing to draw."""
    from cds.report import picture

    drawn = picture(decision.assessment) if decision.assessment is not None else None
    if drawn is None:
        click.echo("nothing to draw: no regimen that a model can follow", err=True)
        return
    try:
        path.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"picture written to {path}", err=True)


def read_file(file: Any) -> dict[str, Any]:
    """Return the Bundle or request, or end with what is wrong with the file."""
    try:
        value = load_json(file.read(), limits=_LIMITS)
    except JsonError as error:
        raise SetupError(f"{file.name}: {error}") from None
    is_request = isinstance(value, dict) and "hook" in value
    is_bundle = isinstance(value, dict) and value.get("resourceType") == "Bundle"
    if not (is_request or is_bundle):
        raise SetupError(f"{file.name}: neither a FHIR Bundle nor a CDS Hooks request")
    return dict(value)


def moment_of(now: str | None, value: Mapping[str, Any]) -> datetime:
    """Return the moment asked for, else the Bundle's, else the present."""
    said = now or value.get("timestamp")
    if said is None:
        return datetime.now().astimezone()
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        raise SetupError(f"'{said}' is not a time such as 2026-11-20T10:00:00Z") from None
    if moment.tzinfo is None:
        raise SetupError(f"'{said}' needs a zone, such as {moment.isoformat()}Z")
    return moment


def evaluation_input(
    value: Mapping[str, Any],
    knowledge: Knowledge,
    settings: Settings,
    occasion: str | None,
    at: datetime,
    jurisdiction: str | None,
) -> EvaluationInput:
    """Return what a hook call with these data would have handed to the decision."""
    from cds.demo.compose import resources_of
    from cds.services.decide import EvaluationInput, new_evaluation_id
    from cds.services.whole_record import whole_record

    is_request = "hook" in value
    context = value.get("context") if is_request else {}
    if not isinstance(context, dict):
        raise SetupError("the request's context is not an object")
    if is_request:
        resources = value.get("prefetch", {})
    else:
        resources = whole_record(resources_of(value), knowledge.rulebook)
    if not isinstance(resources, dict):
        raise SetupError("the request's prefetch is not an object")
    patient = str(context.get("patientId") or _patient_id(value))
    try:
        chosen = Occasion(occasion or value.get("hook", Occasion.PATIENT_VIEW))
    except ValueError:
        raise SetupError(f"hook '{value.get('hook')}' is not one of {', '.join(_HOOKS)}") from None
    setting = Setting(
        chosen,
        Jurisdiction(jurisdiction or settings.jurisdiction),
        settings.time_zone,
        settings.paediatric_doses,
    )
    return EvaluationInput(
        evaluation=new_evaluation_id(),
        at=at,
        client="command-line",
        base_url="",
        setting=setting,
        patient_id=patient,
        context={**context, "patientId": patient},
        resources=resources,
    )


def _patient_id(value: Mapping[str, Any]) -> str:
    """Return the id of the one Patient; several patients in one Bundle are refused."""
    from cds.demo.compose import resources_of

    ids = {str(r.get("id")) for r in resources_of(value) if r.get("resourceType") == "Patient"}
    if len(ids) != 1:
        raise SetupError(f"the Bundle holds {len(ids)} patients; one is assessed at a time")
    return ids.pop()


def _print(given: EvaluationInput, decision: Decision, knowledge: Knowledge) -> None:
    """Print the cards, and what stood behind them where there is nothing to say."""
    from cds.cards.terminal import render_response
    from cds.cli._screen import screen

    here = screen()
    setting, rulebook = given.setting, knowledge.rulebook
    click.echo(
        here.paint(
            f"{setting.occasion} at {given.at.isoformat(timespec='minutes')}, "
            f"{setting.jurisdiction} label, rulebook {rulebook.version} "
            f"({rulebook.revision[:12]})\n",
            "dim",
        )
    )
    if decision.assessment is None:
        click.echo(f"{rulebook.drug.name} appears nowhere in this record: nothing to assess")
        return
    click.echo(render_response(decision.response, here))
    for quiet in decision.cards.suppressed:
        click.echo(here.paint(f"not shown: {quiet.rule_id} ({quiet.reason})", "dim"))
