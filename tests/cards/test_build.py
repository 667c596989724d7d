"""From findings to cards: merged, ordered, complete, valid, and visible in their limits."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from cds.cards import Answer, CardSet, Outcome, cards_for
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.problem import Impact, Problem
from cds.clinical.setting import Occasion
from cds.rulebook import Verdict
from tests.cards.patients import (
    CONTENT,
    DRAFT,
    HEARSAY,
    NOW,
    assessment,
    draft_resource,
    exposure,
    fact,
    finding,
    gated_level,
    low_trough,
)

SCHEMA = json.loads(
    (Path(__file__).parent / "data" / "response.schema.json").read_text(encoding="utf-8")
)
UNREADABLE = Problem(
    "level-unit-unreadable",
    "The unit U/L of a level is not accepted",
    Impact.PREVENTS,
    "Observation/9",
    "valueQuantity",
)
UNKNOWN_LAB = Problem("lab-time-unknown", "A result has no time", Impact.LIMITS, "Observation/8")
NOTICE = Problem("resource-repaired", "A resource was repaired", Impact.NOTICE)


def cards_of(*findings: Finding, answered: tuple[Answer, ...] = (), **changes: Any) -> CardSet:
    """The cards of a hand-made assessment, checked against the schema of the specification."""
    made = cards_for(
        assessment(*findings, **changes),
        {DRAFT: draft_resource()},
        content=CONTENT,
        evaluation_id="e1",
        base_url="https://tdm.example",
        answered=answered,
    )
    jsonschema.validate(made.to_wire(), SCHEMA)
    return made


def detail_of(*findings: Finding, **changes: Any) -> str:
    detail = cards_of(*findings, **changes).cards[0].detail
    assert detail is not None
    return detail


def test_nothing_to_say_is_an_empty_list_of_cards() -> None:
    assert cards_of().to_wire() == {"cards": []}


def test_a_card_leads_with_the_plain_sentence_and_ends_with_the_rulebook_revision() -> None:
    detail = detail_of(low_trough())

    assert detail.startswith("The level is lower than most responders have.")
    assert detail.endswith("Rulebook 2026.11, revision rrrrrrrrrrrr.")


def test_the_parts_stand_in_the_order_of_a_case_report() -> None:
    detail = detail_of(low_trough(), problems=(UNKNOWN_LAB,))
    places = [
        detail.index(part)
        for part in (
            "**Level:**",
            "| Dose |",
            "Model: Gotta 2014",
            "**Adherence:**",
            "**What limits this advice:**",
            "**Why:**",
            "**Sources:**",
        )
    ]
    assert places == sorted(places)


def test_findings_on_one_matter_become_one_card_with_the_summary_of_the_gravest() -> None:
    graver = low_trough(rule_id="trough.very-low", severity=Severity.CRITICAL, summary="Very low")
    (card,) = cards_of(low_trough(), graver).cards

    assert (card.summary, card.indicator) == ("Very low", "critical")
    assert "**Also:** Imatinib trough 720 ng/mL is below 1000 ng/mL" in (card.detail or "")


def test_cards_come_most_urgent_first() -> None:
    cards = cards_of(
        finding("a", Matter.MONITORING, Severity.INFO),
        finding("b", Matter.RESPONSE, Severity.WARNING),
        finding("c", Matter.TOXICITY, Severity.CRITICAL),
    ).cards

    assert [card.indicator for card in cards] == ["critical", "warning", "info"]


def test_a_considered_silence_is_on_no_card() -> None:
    assert cards_of(finding("a", Matter.INTERACTION, Severity.INFO, silent=True)).cards == ()


def test_an_unverified_source_is_said_to_be_unverified() -> None:
    detail = detail_of(low_trough(citations=(HEARSAY,)))

    assert "- Said at a congress (unverified)" in detail


def test_override_reasons_carry_code_system_and_display() -> None:
    wire = cards_of(low_trough()).cards[0].to_wire()

    assert wire["overrideReasons"] == [
        {"code": "m", "system": "urn:reasons", "display": "Will monitor"}
    ]


def test_the_extension_ties_the_card_to_evaluation_rules_versions_order_and_level() -> None:
    (extension,) = (cards_of(low_trough()).cards[0].extension or {}).values()

    assert extension == {
        "evaluationId": "e1",
        "rules": [{"id": "trough.cml-below-target", "revision": 3}],
        "rulebookRevision": "r" * 64,
        "rulebookVersion": "2026.11",
        "codeVersion": "1.0",
        "model": {"id": "gotta-2014", "digest": "d" * 64},
        "orders": ["MedicationRequest/renewal", "MedicationRequest/now"],
        "observations": ["Observation/level-1"],
    }


def test_links_carry_the_opaque_evaluation_and_no_patient() -> None:
    wire = cards_of(low_trough()).cards[0].to_wire()

    assert wire["links"][0]["url"] == "https://tdm.example/evaluations/e1"
    assert "p1" not in json.dumps(wire["links"])


def test_without_an_address_there_are_no_links() -> None:
    made = cards_for(assessment(low_trough()), {}, content=CONTENT, evaluation_id="e1")

    assert "links" not in made.cards[0].to_wire()


def test_a_problem_is_said_on_the_card_it_could_have_changed() -> None:
    about = fact(
        "problem",
        code="level-unit-unreadable",
        impact="prevents",
        about="level",
        reference="Observation/9",
    )
    (card,) = cards_of(low_trough(), problems=(UNREADABLE,), facts=(about,)).cards

    assert "- The unit U/L of a level is not accepted. (Observation/9, valueQuantity)" in (
        card.detail or ""
    )


def test_a_problem_that_no_card_shows_gets_a_data_card() -> None:
    about = fact(
        "problem",
        code="level-unit-unreadable",
        impact="prevents",
        about="level",
        reference="Observation/9",
    )
    response = finding("response.x", Matter.RESPONSE, Severity.WARNING)
    cards = cards_of(response, problems=(UNREADABLE,), facts=(about,)).cards

    assert [card.source.topic.code for card in cards if card.source.topic] == ["response", "data"]
    assert cards[1].indicator == "warning"
    assert cards[1].summary == "The unit U/L of a level is not accepted"
    assert "No dose advice can be given" in (cards[1].detail or "")


def test_a_problem_alone_is_never_silent() -> None:
    (card,) = cards_of(problems=(UNKNOWN_LAB, UNREADABLE, NOTICE)).cards

    assert card.summary == "The unit U/L of a level is not accepted (and 1 more)"
    assert "A result has no time" in (card.detail or "")
    assert "repaired" not in (card.detail or "")


def test_that_the_order_being_signed_could_not_be_read_is_no_footnote_to_a_milder_card() -> None:
    unread = replace(assessment().record.orders[0], reference=DRAFT, is_draft=True, regimens=())
    problem = Problem("dose-missing", "The order states no dose", Impact.PREVENTS, DRAFT)
    patient = replace(assessment().record, orders=(unread,))

    mild = cards_of(
        finding("a", Matter.EXPOSURE, Severity.INFO), record=patient, problems=(problem,)
    ).cards
    assert "The order states no dose" in [card.summary for card in mild]
    grave = finding("a", Matter.EXPOSURE, Severity.WARNING)
    (loud,) = cards_of(grave, record=patient, problems=(problem,)).cards
    assert "The order states no dose" in (loud.detail or "")


def test_nothing_is_advised_for_a_patient_who_has_died() -> None:
    patient = assessment().record
    dead = replace(patient, person=replace(patient.person, deceased=True))

    made = cards_of(low_trough(), record=dead, problems=(UNREADABLE,))
    assert made.cards == ()
    assert [item.reason for item in made.suppressed] == ["the patient has died"]


def test_a_mere_notice_makes_no_card() -> None:
    assert cards_of(problems=(NOTICE,)).cards == ()


def test_an_answered_data_card_rests_until_another_problem_appears() -> None:
    first = cards_of(problems=(UNKNOWN_LAB,)).state_digests[0]
    answer = Answer(first.rule_id, first.state_digest, Outcome.ACCEPTED, NOW, first.severity)

    again = cards_of(problems=(UNKNOWN_LAB,), answered=(answer,))
    assert again.cards == ()
    assert [s.rule_id for s in again.suppressed] == ["data.problems"]
    assert cards_of(problems=(UNKNOWN_LAB, UNREADABLE), answered=(answer,)).cards


def test_when_the_evaluators_disagree_advice_is_withheld_and_nothing_else_is_said() -> None:
    verdict = Verdict((), (), (), False, "durable-rules alone: <b>x</b>", "r")
    (card,) = cards_of(low_trough(), verdict=verdict).cards

    assert card.indicator == "critical"
    assert card.summary.startswith("Advice withheld")
    assert "<b>" not in (card.detail or "")
    assert card.suggestions == ()


def test_withheld_advice_is_a_warning_when_nothing_is_being_ordered() -> None:
    verdict = Verdict((), (), (), False, None, "r")
    (card,) = cards_of(verdict=verdict, occasion=Occasion.PATIENT_VIEW).cards

    assert card.indicator == "warning"


def test_the_same_state_keeps_the_cards_uuid_and_a_new_level_changes_it() -> None:
    once, again = (cards_of(low_trough()).cards[0].uuid for _ in range(2))
    changed = cards_of(low_trough(revision=4)).cards[0].uuid

    assert once == again
    assert once != changed


def test_an_answer_rests_the_finding_and_is_reported() -> None:
    shown = cards_of(low_trough()).state_digests[0]
    answer = Answer(
        shown.rule_id,
        shown.state_digest,
        Outcome.OVERRIDDEN,
        NOW - timedelta(days=1),
        shown.severity,
    )
    made = cards_of(low_trough(), answered=(answer,))

    assert made.cards == ()
    assert made.suppressed[0].until == NOW + timedelta(days=6)


def test_an_answered_finding_leaves_a_card_that_others_still_need() -> None:
    other = low_trough(rule_id="trough.other", summary="Another thing")
    shown = next(
        s for s in cards_of(low_trough(), other).state_digests if s.rule_id != "trough.other"
    )
    answer = Answer(shown.rule_id, shown.state_digest, Outcome.ACCEPTED, NOW, shown.severity)
    made = cards_of(low_trough(), other, answered=(answer,))

    assert [card.summary for card in made.cards] == ["Another thing"]
    assert [s.rule_id for s in made.suppressed] == ["trough.cml-below-target"]


@pytest.mark.parametrize("message", [".", "\x1b."])
def test_a_problem_of_no_words_still_makes_a_card(message: str) -> None:
    made = cards_of(problems=(Problem("x", message, Impact.LIMITS),))

    assert [card.summary for card in made.cards] == ["."]


def test_text_of_the_record_cannot_inject_markup_into_a_card() -> None:
    hostile = "<img src=x onerror=alert(1)>[x](https://evil.example)"
    level = gated_level()
    level = replace(level, level=replace(level.level, reported_unit=hostile))
    problem = Problem("x", hostile, Impact.LIMITS, hostile, hostile)
    detail = detail_of(
        low_trough(detail=f"Ask about {hostile}", summary=hostile),
        low_trough(rule_id="b", summary=hostile),
        levels=(level,),
        problems=(problem,),
        exposure=exposure(model_title=hostile, imputed={"weight_kg": hostile}),
    )

    assert "<" not in detail
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(detail)
    assert html.count("<a ") == 1
    assert '<a href="https://doi.org/10.1182/x">' in html
    assert "<img" not in html


@pytest.mark.parametrize("severity", list(Severity))
def test_the_indicator_is_the_severity(severity: Severity) -> None:
    (card,) = cards_of(finding("a", Matter.DOSE, severity)).cards

    assert card.indicator == severity.indicator
