"""`imatinib-tdm assess` tells every story as the service does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds.cli import main
from cds.demo.compare import differences
from cds.demo.stories import HookExample, Story
from cds.services.knowledge import Knowledge
from tests.stories.conftest import HOOKS, STORIES, story

SEEN = [(s, hook) for s in STORIES for hook in s.hooks if hook.hook == "patient-view"]


@pytest.fixture(autouse=True)
def _load_once(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command loads the rulebook at each start; here it takes the one already loaded."""
    monkeypatch.setattr("cds.services.knowledge.load_knowledge", lambda _settings: knowledge)


def assess(*arguments: str) -> Result:
    """Run the command as a shell would."""
    return CliRunner().invoke(main, ["assess", *arguments])


@pytest.mark.parametrize(("told", "hook"), HOOKS)
def test_a_saved_request_gives_the_expected_cards(told: Story, hook: HookExample) -> None:
    result = assess(str(hook.request_file), "--now", told.now.isoformat(), "--json")

    assert result.exit_code == 0, result.output
    assert differences(hook.expected.cards, json.loads(result.stdout)) == []


@pytest.mark.parametrize(("told", "hook"), [pytest.param(s, hook, id=s.id) for s, hook in SEEN])
def test_the_patients_bundle_gives_the_same_cards_as_opening_the_chart(
    told: Story, hook: HookExample
) -> None:
    result = assess(str(told.patient_file), "--json")

    assert result.exit_code == 0, result.output
    assert differences(hook.expected.cards, json.loads(result.stdout)) == []


def test_people_see_indicator_summary_table_and_reason_without_colour_codes() -> None:
    result = assess(str(story("cml-low-trough").patient_file))

    assert result.exit_code == 0
    assert result.stdout.startswith("patient-view at 2026-11-20T10:00+00:00, us label, rulebook")
    for part in (
        " WARNING  Imatinib trough 720 ng/mL",
        "600 mg once daily (best fit)",
        "Why:",
        "-> Order 600 mg once daily",
    ):
        assert part in result.stdout
    assert "\x1b[" not in result.stdout


def test_silence_is_said_to_people_and_is_an_empty_list_to_machines() -> None:
    path = str(story("at-target-silent").patient_file)

    assert "no cards: nothing to say" in assess(path).stdout
    assert json.loads(assess(path, "--json").stdout) == {"cards": []}


def test_a_record_without_the_drug_is_not_assessed(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(
        json.dumps(
            {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}],
            }
        )
    )
    result = assess(str(path))

    assert result.exit_code == 0
    assert "imatinib appears nowhere in this patient's record" in result.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ('{"resourceType": "Patient"}', "neither a FHIR Bundle nor a CDS Hooks request"),
        ('{"resourceType": "Bundle"}', "holds 0 patients"),
        ('{"resourceType": "Bundle", "timestamp": "2026-01-01T08:00:00"}', "needs a zone"),
        ('{"hook": "x", "context": {"patientId": "p"}}', "hook 'x' is not one of"),
        ('{"hook": "order-sign", "context": 1}', "context must be an object"),
    ],
)
def test_a_file_that_cannot_be_used_ends_with_2_and_says_why(
    content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    result = assess(str(path))

    assert result.exit_code == 2
    assert said in result.output


def test_a_time_that_is_none_is_refused() -> None:
    result = assess(str(story("at-target-silent").patient_file), "--now", "yesterday")

    assert result.exit_code == 2
    assert "'yesterday' is not a time" in result.output


def test_standard_input_and_another_jurisdiction_are_read() -> None:
    content = story("cml-low-trough").patient_file.read_bytes()
    result = CliRunner().invoke(main, ["assess", "-", "--jurisdiction", "eu"], input=content)

    assert result.exit_code == 0, result.output
    assert "eu label" in result.stdout
