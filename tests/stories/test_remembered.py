"""What the models said is remembered between the hooks of a story, and never changes a decision."""

from __future__ import annotations

import pytest

import pk
from cds.assess import Assessment, assess
from cds.assess.remembered import Remembered
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.demo.stories import HookExample, Story
from cds.services.decide import EvaluationInput
from cds.services.gathering import gather_record
from cds.services.knowledge import Knowledge
from cds.services.trace import assessment_json
from tests.stories.conftest import HOOKS, STORIES

SHARED = Remembered()
"""One memory for all stories, as in a worker that answers for many patients."""


def assessed(
    story: Story, hook: HookExample, knowledge: Knowledge, memory: Remembered, jurisdiction: str
) -> Assessment:
    request = hook.request
    given = EvaluationInput(
        evaluation="story",
        at=story.now,
        client="test",
        base_url="",
        setting=Setting(Occasion(hook.hook), Jurisdiction(jurisdiction)),
        patient_id=request["context"]["patientId"],
        context=request["context"],
        resources=request["prefetch"],
    )
    record = gather_record(given, knowledge).record
    return assess(
        record, knowledge.rulebook, knowledge.models, given.setting, now=story.now, memory=memory
    )


@pytest.mark.parametrize("jurisdiction", ["us", "eu"])
@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_a_remembered_answer_is_the_fresh_one(
    story: Story, hook: HookExample, jurisdiction: str, knowledge: Knowledge
) -> None:
    fresh = assessed(story, hook, knowledge, Remembered(), jurisdiction)
    first = assessed(story, hook, knowledge, SHARED, jurisdiction)
    again = assessed(story, hook, knowledge, SHARED, jurisdiction)

    assert assessment_json(first) == assessment_json(fresh)
    assert assessment_json(again) == assessment_json(fresh)
    assert again.exposure.posterior is first.exposure.posterior


def test_the_hooks_of_one_story_ask_the_models_once(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = next(one for one in STORIES if one.id == "cml-low-trough")
    fits: list[str] = []
    fit = pk.fit

    def counted(
        case: pk.Case, model: pk.PopulationModel, options: pk.FitOptions | None = None
    ) -> pk.Posterior:
        fits.append(model.id)
        return fit(case, model, options)

    monkeypatch.setattr(pk, "fit", counted)
    memory = Remembered()
    for hook in story.hooks:
        assessed(story, hook, knowledge, memory, "us")

    assert len(story.hooks) > 1
    assert len(fits) == len(set(fits)) == 2
