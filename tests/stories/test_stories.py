"""Every story, end to end over the real application, gets the cards it demands."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from cds.clinical.setting import Occasion, Setting
from cds.demo.compare import differences, rules_of
from cds.demo.stories import HookExample, Story
from cds.rulebook import Outcome
from cds.services.decide import Decision, EvaluationInput, decide
from cds.services.knowledge import Knowledge
from tests.stories.conftest import HOOKS

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "cards" / "data" / "response.schema.json").read_text("utf-8")
)
SERVICES = {"patient-view": "tdm-patient-view"}


def asked(client: FlaskClient, hook: HookExample) -> dict[str, Any]:
    """The answer to the hook request."""
    service = SERVICES.get(hook.hook, "tdm-orders")
    answer = client.post(f"/cds-services/{service}", json=hook.request)
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.get_json()
    return response


@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_a_story_gets_exactly_the_cards_it_must_get(
    story: Story, hook: HookExample, client_at: Callable[[datetime], FlaskClient]
) -> None:
    response = asked(client_at(story.now), hook)

    jsonschema.validate(response, SCHEMA)
    assert differences(hook.expected.cards, response) == []
    assert [card["summary"] for card in response["cards"]] == [
        card.summary for card in hook.expected.cards
    ]


def decided(
    story: Story, hook: HookExample, knowledge: Knowledge, *, later: timedelta = timedelta(0)
) -> Decision:
    """The decision behind the answer, with its assessment."""
    request = hook.request
    given = EvaluationInput(
        evaluation="story",
        at=story.now + later,
        client="test",
        base_url="",
        setting=Setting(Occasion(hook.hook)),
        patient_id=request["context"]["patientId"],
        context=request["context"],
        resources=request["prefetch"],
    )
    return decide(given, knowledge)


@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_the_rows_of_the_catalogue_fire_and_keep_still_as_written(
    story: Story, hook: HookExample, knowledge: Knowledge
) -> None:
    assessment = decided(story, hook, knowledge).assessment
    assert assessment is not None
    row_of = {rule.id: rule.row for rule in knowledge.rulebook.rules}
    fired = [t for t in assessment.verdict.trace if t.outcome is Outcome.FIRED]
    speaking = {row_of[t.rule_id] for t in fired if not t.silent}

    assert assessment.verdict.agreed
    assert set(hook.expected.rows_fire) <= {row_of[t.rule_id] for t in fired}
    assert not set(hook.expected.rows_must_not_fire) & speaking


@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_asking_again_gives_the_same_cards_with_the_same_ids(
    story: Story, hook: HookExample, client_at: Callable[[datetime], FlaskClient]
) -> None:
    client = client_at(story.now)
    once, again = (
        [(card["uuid"], rules_of(card)) for card in asked(client, hook)["cards"]] for _ in range(2)
    )

    assert once == again
    assert len({uuid for uuid, _ in once}) == len(once)


@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_days_passing_alone_make_no_new_clinical_state(
    story: Story, hook: HookExample, knowledge: Knowledge
) -> None:
    def states(later: timedelta) -> dict[tuple[str, str | None], str]:
        shown = decided(story, hook, knowledge, later=later).cards.state_digests
        return {(state.rule_id, state.subject): state.state_digest for state in shown}

    today, later = states(timedelta(0)), states(timedelta(days=2, hours=5))
    still = today.keys() & later.keys()

    assert {key: today[key] for key in still} == {key: later[key] for key in still}
