"""Assess one patient: a FHIR Bundle or a saved hook request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds.cli._common import SetupError, read_settings, settings_option, tell
from cds.cli._patient_file import HOOKS, evaluation_input, moment_of, read_file
from cds.clinical.setting import Jurisdiction

if TYPE_CHECKING:
    from cds.services.decide import Decision, EvaluationInput
    from cds.services.knowledge import Knowledge

_TOLD = 10
"""Problems that are told of where there is nothing to assess."""


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--occasion",
    type=click.Choice(HOOKS),
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

    FILE is a Bundle of any type with one patient's resources, or a CDS Hooks request with its
    prefetch (`-` reads standard input). Nothing is stored and nothing is fetched: what a request
    lacks is missing. The moment is `--now`, or the Bundle's own timestamp, or the present.

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
        value, knowledge.rulebook, settings, occasion, moment_of(now, value), jurisdiction
    )
    decision = decide(given, knowledge)
    if plot is not None:
        _draw(decision, plot)
    if decision.assessment is None:
        _tell_unused(given, knowledge)
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


def _tell_unused(given: EvaluationInput, knowledge: Knowledge) -> None:
    """Say what could not be used: the drug may stand in it, and no card is there to say so."""
    from cds.clinical.problem import Impact
    from cds.services.gathering import gather_record

    problems = gather_record(given, knowledge).record.problems
    told = [problem.message for problem in problems if problem.impact is not Impact.NOTICE]
    for message in told[:_TOLD]:
        tell(f"not used: {message}", err=True)
    if len(told) > _TOLD:
        click.echo(f"not used: {len(told) - _TOLD} more", err=True)


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
        click.echo(
            f"{rulebook.drug.name} appears nowhere in this patient's record: nothing to assess"
        )
        return
    click.echo(render_response(decision.response, here))
    for quiet in decision.cards.suppressed:
        click.echo(here.paint(f"not shown: {quiet.rule_id} ({quiet.reason})", "dim"))
