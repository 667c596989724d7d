"""Start the service and play the story patients against it."""

from __future__ import annotations

import json
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cds.cli._screen import screen

if TYPE_CHECKING:
    from cds.demo.server import RunningService
    from cds.demo.smart import SmartServer
    from cds.demo.stories import Story

_PORT = 8000
_INTERRUPTED = 130
_SIGN_IN = """
Still serving on {service.base_url} (Ctrl-C stops it; log: {service.log}). Open in a browser:

  {hospital}   the demo hospital as a registered EHR: it signs its calls, and its
                           cards and its worklist open in the service by SMART launch
"""
_EXAMPLE = ("cml-low-trough", "order-sign")


@click.command()
@click.option("--once", is_flag=True, help="End after printing the cards.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"Loopback port; {_PORT} or a free one if taken."
)
@click.option("--sign-in", is_flag=True, help="As a registered hospital: reports by SMART launch.")
@click.option("--story", "only", multiple=True, metavar="ID", help="Play only these stories.")
def command(once: bool, port: int | None, sign_in: bool, only: tuple[str, ...]) -> None:
    """Start the service and play the story patients against it over HTTP.

    Prints the cards of each request, then keeps serving and says what to try next. Everything runs
    on this machine, with synthetic patients and a database that is thrown away at the end.

    \b
    Examples:
      imatinib-tdm demo
      imatinib-tdm demo --sign-in
      imatinib-tdm demo --once --story cml-low-trough

    Exit codes: 0 every answer was as expected, 1 it was not, 2 the service did not start.
    """
    import httpx

    from cds.content import examples_dir
    from cds.demo.fhir import alerts_file
    from cds.demo.server import StartError, free_port, is_free, running_service
    from cds.demo.smart import SmartServer, registration
    from cds.demo.stories import load_stories

    stories = [s for s in load_stories(examples_dir()) if not only or s.id in only]
    if unknown := set(only) - {story.id for story in stories}:
        raise click.UsageError(f"no story is called {', '.join(sorted(unknown))}")
    if port is None:
        port = _PORT if is_free(_PORT) and not once else 0
    elif port and not is_free(port):
        raise click.UsageError(f"port {port} is taken; choose another, or 0 for a free one")
    port = port or free_port()
    hospital_port, secret = free_port(), secrets.token_urlsafe(24)
    fhir_base = f"http://127.0.0.1:{hospital_port}/fhir"
    smart = SmartServer(fhir_base, f"http://127.0.0.1:{port}", _now) if sign_in else None
    clients = (registration(smart),) if smart else ()
    wrong: int | None = None
    try:
        with (
            _stopped_by_signals(),
            running_service(
                port, clients=clients, alerts=alerts_file(fhir_base, secret)
            ) as service,
        ):
            wrong = _play(stories, service.base_url, smart)
            if not once:
                from cds.demo.hospital import running_hospital

                if smart is None:  # who signs in sees only what the hospital itself asked
                    _invent_past(service)
                with running_hospital(
                    stories, service.base_url, hospital_port, smart=smart, secret=secret
                ) as hospital:
                    if smart:
                        click.echo(_SIGN_IN.format(service=service, hospital=hospital))
                    else:
                        _say_what_next(service, hospital)
                    service.wait()
    except (StartError, httpx.HTTPError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("\nstopped")
        if wrong is None:
            sys.exit(_INTERRUPTED)
    sys.exit(1 if wrong else 0)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let Ctrl-C and a polite kill both end the service with us, even as a background job."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _now() -> datetime:
    return datetime.now(UTC)


def _play(stories: Sequence[Story], base_url: str, smart: SmartServer | None) -> int:
    """Print every answer; return how many were not as expected."""
    import httpx

    from cds.cards.terminal import render_response
    from cds.demo.play import play
    from cds.demo.smart import SignedCalls

    auth = SignedCalls(smart) if smart else None
    here = screen()
    last, wrong, asked = None, 0, 0
    with httpx.Client(base_url=base_url, timeout=30.0, auth=auth) as client:
        for played in play(stories, client, _now()):
            asked += 1
            if played.story is not last:
                last = played.story
                click.echo(f"\n{here.paint(f'== {last.title}', 'bold')}\n   {last.sentence}")
            click.echo(f"\n   {played.hook.hook} ({played.milliseconds:.0f} ms)\n")
            if played.response:
                click.echo(render_response(played.response, here))
            wrong += bool(played.differences)
            for difference in played.differences:
                click.echo(f"   not as expected: {difference}", err=True)
    click.echo(f"\nStories: {len(stories)}. Requests: {asked}. As expected: {asked - wrong}.")
    return wrong


def _invent_past(service: RunningService) -> None:
    """Give the safety board something to show; the board says that it is invented."""
    from cds.demo.history import invent_history
    from cds.report.board import reason_names
    from cds.rulebook import load
    from cds.services.knowledge import rules_path
    from cds.services.wiring import open_store
    from cds.settings import load_settings

    settings = load_settings(service.settings)
    store = open_store(settings)
    reasons = list(reason_names(load(rules_path(settings))))
    count = invent_history(store, reasons, _now())
    store.database.close()
    click.echo(f"Invented past for the safety board: {count} decisions, marked as such.")


def _say_what_next(service: RunningService, hospital: str) -> None:
    """Name the service's addresses and commands that work as they stand."""
    from cds.content import examples_dir
    from cds.demo.play import request_for_today
    from cds.demo.stories import load_stories

    story = next(s for s in load_stories(examples_dir()) if s.id == _EXAMPLE[0])
    hook = next(h for h in story.hooks if h.hook == _EXAMPLE[1])
    request = service.log.with_name(hook.request_file.name)
    request.write_text(json.dumps(request_for_today(story, hook, _now())), "utf-8")
    click.echo(
        f"""
Still serving on {service.base_url} (Ctrl-C stops it; log: {service.log}). Open in a browser:

  {hospital}   the demo hospital: choose a patient, order, see the cards
  {service.base_url}/rules   every rule with its sources and tests
  {service.base_url}/worklist   alerts on levels that the demo hospital's laboratory files
  {service.base_url}/board   the safety board: what each rule did, what users did (invented past)

or try:

  curl {service.base_url}/cds-services
  curl -H 'Content-Type: application/json' -d @{request} \\
       {service.base_url}/cds-services/tdm-orders
  imatinib-tdm assess {story.patient_file}
"""
    )
