"""Make a recorded decision again and compare."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cds.cli._common import prepared_store, read_settings, settings_option, tell
from cds.store import CipherError, DatabaseError


@click.command()
@click.argument("evaluation")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Another rulebook, for a decision that was made with an earlier revision.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the replayed response as JSON.")
@settings_option
def command(evaluation: str, rules: Path | None, as_json: bool, settings_file: Path | None) -> None:
    """Make a recorded decision again, with the same input and the same time, and compare.

    EVALUATION is the evaluation id that stands on the card and in the log.

    \b
    Examples:
      imatinib-tdm replay 0b0f7c5e-8a1f-4f5b-9d58-6c1f5b5f2a11
      imatinib-tdm replay 0b0f7c5e-8a1f-4f5b-9d58-6c1f5b5f2a11 --rules old-rules/

    Exit codes: 0 the same answer, 1 another answer or not replayable, 2 wrong settings.
    """
    from cds.services.knowledge import (
        Knowledge,
        KnowledgeError,
        knowledge_of_revision,
        load_knowledge,
    )
    from cds.services.replay import CannotReplay, replay

    settings = read_settings(settings_file)
    store = prepared_store(settings)

    def knowledge_of(revision: str) -> Knowledge:
        if rules:
            return load_knowledge(settings.model_copy(update={"rules": rules}))
        return knowledge_of_revision(settings, revision)

    try:
        replayed = replay(store, knowledge_of, evaluation)
    except (CannotReplay, KnowledgeError, DatabaseError, CipherError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        store.database.close()
    if as_json:
        click.echo(json.dumps(replayed.response, ensure_ascii=False, indent=2, default=float))
    for difference in replayed.differences:
        tell(difference, err=True)
    if not replayed.same:
        raise click.ClickException("the replayed answer differs from the recorded one")
    if not as_json:
        click.echo(f"the same answer: {replayed.cards} card(s), rulebook {replayed.rulebook[:12]}")
