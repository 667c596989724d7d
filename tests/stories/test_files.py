"""The example files are whole, valid FHIR R4, and do not contradict each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds.content import examples_dir
from cds.demo.compose import prefetch_for, resources_of
from cds.demo.stories import HookExample, Story
from cds.fhir.prefetch import prefetch_templates
from cds.services.knowledge import Knowledge
from tests.stories.conftest import HOOKS, STORIES

VIGNETTES = {f"VG{number:02}" for number in range(1, 26, 2)}


def test_there_are_at_least_twelve_stories_and_all_vignettes_are_among_them() -> None:
    assert len(STORIES) >= 12
    assert {story.vignette for story in STORIES if story.vignette} == VIGNETTES


def test_every_file_belongs_to_a_story() -> None:
    listed = {"index.yaml", "README.md"}
    for story in STORIES:
        listed.add(f"patients/{story.id}.json")
        for hook in story.hooks:
            listed |= {
                f"hooks/{story.id}.{hook.hook}.json",
                f"expected/{story.id}.{hook.hook}.yaml",
            }
    own = ("patients", "hooks", "expected")
    root = examples_dir()
    found = {path.relative_to(root).as_posix() for name in own for path in (root / name).iterdir()}

    assert found == {name for name in listed if "/" in name}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_every_resource_of_a_patient_is_valid_and_marked_as_test_data(story: Story) -> None:
    bundle = story.patient
    patients = [r for r in resources_of(bundle) if r["resourceType"] == "Patient"]

    for resource in resources_of(bundle):
        get_fhir_model_class(resource["resourceType"]).model_validate_json(json.dumps(resource))
    assert [tag["code"] for p in patients for tag in p["meta"]["tag"]] == ["HTEST"]
    assert not {"name", "telecom", "address", "identifier"} & patients[0].keys()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_every_reference_inside_a_record_leads_to_a_resource(story: Story) -> None:
    present = {f"{r['resourceType']}/{r['id']}" for r in resources_of(story.patient)}
    references = set(_references(story.patient))

    assert references - present == set()
    assert len(present) == len(list(resources_of(story.patient)))


@pytest.mark.parametrize(("story", "hook"), HOOKS)
def test_a_request_carries_exactly_what_its_patients_record_holds(
    story: Story, hook: HookExample, knowledge: Knowledge
) -> None:
    rulebook = knowledge.rulebook
    templates = prefetch_templates(rulebook.drug, rulebook.terminology)

    assert hook.request["prefetch"] == prefetch_for(story.patient, templates)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [ref for item in value.values() for ref in _references(item)]
    if isinstance(value, list):
        return [ref for item in value for ref in _references(item)]
    return []
