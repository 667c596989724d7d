"""What can be chosen: whole resources, a conservative way, and a recommendation only if earned."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cds.assess.assessment import AdherenceView, ExposureState
from cds.cards import cards_for
from cds.cards.wire import Suggestion
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.medication import Medicine, UseState
from cds.clinical.person import Person
from cds.clinical.problem import Impact, Problem
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import PlannedDose, Regimen
from cds.clinical.setting import Occasion, Setting
from tests.cards.patients import (
    CONTENT,
    DRAFT,
    assessment,
    draft_resource,
    exposure,
    fact,
    finding,
    low_trough,
    option,
    order,
)

KEEP = "Keep the present dose and repeat the trough level"
ORDER_600 = "Order 600 mg once daily (1 × 400 mg + 2 × 100 mg each time)"


def offers(*findings: Finding, resources: Any = None, **changes: Any) -> tuple[Suggestion, ...]:
    """The suggestions of the only card."""
    made = cards_for(
        assessment(*findings, **changes),
        {DRAFT: draft_resource()} if resources is None else resources,
        content=CONTENT,
        evaluation_id="e1",
    )
    (card,) = [
        card for card in made.cards if card.source.topic and card.source.topic.code != "data"
    ]
    return card.suggestions


def test_the_best_dose_updates_the_whole_draft_and_keeping_the_dose_stands_beside_it() -> None:
    best, keep, _ = offers(low_trough())
    (action,) = best.actions

    assert (best.label, keep.label) == (ORDER_600, KEEP)
    assert action.type == "update"
    assert action.resource is not None
    assert action.resource["id"] == "renewal"
    assert action.resource["requester"] == {"reference": "Practitioner/dr"}
    dose = action.resource["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]
    assert (dose["value"], dose["unit"]) == (600, "mg")
    assert keep.actions[0].resource is not None
    assert keep.actions[0].resource["resourceType"] == "ServiceRequest"


def test_without_a_draft_a_new_order_names_the_one_it_replaces() -> None:
    record = PatientRecord(
        Person("p1"), orders=(order("MedicationRequest/now", 400, is_draft=False),)
    )
    best = offers(low_trough(), record=record, occasion=Occasion.PATIENT_VIEW)[0]
    (action,) = best.actions

    assert action.type == "create"
    assert action.resource is not None
    assert action.resource["priorPrescription"] == {"reference": "MedicationRequest/now"}
    assert "id" not in action.resource


def test_two_drafts_become_one_order_in_one_suggestion() -> None:
    drafts = tuple(order(f"MedicationRequest/{n}", 200, is_draft=True) for n in "ab")
    resources = {f"MedicationRequest/{n}": draft_resource(n) for n in "ab"}
    best = offers(
        low_trough(), resources=resources, record=PatientRecord(Person("p1"), orders=drafts)
    )[0]

    assert [(a.type, a.resource_id) for a in best.actions] == [
        ("update", None),
        ("delete", "MedicationRequest/b"),
    ]


def test_an_order_whose_id_fhir_does_not_allow_is_never_named_for_deletion() -> None:
    long = "MedicationRequest/" + "e" * 150
    hold = finding("toxicity.h1", Matter.TOXICITY, Severity.CRITICAL, suggest=("hold-drug",))
    both = (order(DRAFT, 200, is_draft=True), order(long, 200, is_draft=True))
    record = PatientRecord(Person("p1"), orders=both)
    resources = {DRAFT: draft_resource(), long: draft_resource("e" * 150)}

    (suggestion,) = offers(hold, record=record, resources=resources)
    assert [a.resource_id for a in suggestion.actions] == [DRAFT]
    labels = [s.label for s in offers(low_trough(), record=record, resources=resources)]
    assert labels == ["Order an imatinib trough level"], "one of two orders would remain"


def test_a_reliable_fit_without_doubt_is_recommended() -> None:
    assert [bool(s.is_recommended) for s in offers(low_trough())] == [True, False, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"exposure": exposure(state=ExposureState.POPULATION)},
        {"exposure": exposure(adherence=AdherenceView(30.0, 70.0, 1400.0))},
        {"problems": (Problem("x", "Something", Impact.PREVENTS),)},
    ],
    ids=["only a population prediction", "doses probably missed", "a problem prevents advice"],
)
def test_otherwise_no_dose_stands_out(changes: dict[str, Any]) -> None:
    assert not any(s.is_recommended for s in offers(low_trough(), **changes))


def test_a_warning_on_adherence_leaves_the_choice_open() -> None:
    doubt = finding("adherence.pdc", Matter.ADHERENCE, Severity.WARNING)
    made = cards_for(
        assessment(low_trough(), doubt),
        {DRAFT: draft_resource()},
        content=CONTENT,
        evaluation_id="e1",
    )
    assert not any(s.is_recommended for card in made.cards for s in card.suggestions)


@pytest.mark.parametrize("state", [s for s in ExposureState if not s.quantitative])
def test_without_reliable_numbers_no_dose_is_offered(state: ExposureState) -> None:
    labels = [s.label for s in offers(low_trough(), exposure=exposure(state=state))]

    assert labels == ["Order an imatinib trough level"]


def test_a_child_is_never_offered_a_models_dose_unless_the_site_says_so() -> None:
    child = replace(assessment().course, population="child")
    allowed = Setting(Occasion.ORDER_SIGN, paediatric_doses=True)

    assert ORDER_600 not in [s.label for s in offers(low_trough(), course=child)]
    assert ORDER_600 in [s.label for s in offers(low_trough(), course=child, setting=allowed)]


def test_without_an_acceptable_dose_the_closest_within_the_limits_is_offered_as_that() -> None:
    options = (
        option(400, 640, is_current=True, why_not="below", percent_in=3.0),
        option(600, 960, why_not="below", percent_in=43.0),
        option(1200, 1900, why_not="over the maximum", percent_in=90.0),
    )
    unreachable = exposure(options=options, current=options[0])
    offered = offers(low_trough(), exposure=unreachable)

    assert [s.label for s in offered][:2] == [
        f"{ORDER_600}, the closest to the target within the limits",
        KEEP,
    ]
    assert not any(s.is_recommended for s in offered)


def test_a_dose_over_the_limits_is_never_offered() -> None:
    refused = exposure(options=(option(1200, 1480, why_not="too much", percent_in=90.0),))

    assert [s.label for s in offers(low_trough(), exposure=refused)] == [
        "Order an imatinib trough level"
    ]


def test_when_the_current_dose_is_best_no_other_is_offered() -> None:
    kept = exposure(options=(option(400, 1300, is_current=True, is_best=True),))

    assert [s.label for s in offers(low_trough(), exposure=kept)] == [
        "Order an imatinib trough level"
    ]


def test_keeping_the_dose_is_no_way_out_of_a_critical_card() -> None:
    labels = [s.label for s in offers(low_trough(severity=Severity.CRITICAL))]

    assert KEEP not in labels


def test_holding_withdraws_the_draft_and_holds_the_current_order_as_a_whole() -> None:
    hold = finding("toxicity.h1", Matter.TOXICITY, Severity.CRITICAL, suggest=("hold-drug",))
    current = draft_resource("now") | {"status": "active"}
    resources = {DRAFT: draft_resource(), "MedicationRequest/now": current}
    (suggestion,) = offers(hold, resources=resources)
    delete, update = suggestion.actions

    assert suggestion.label == "Hold imatinib"
    assert (delete.type, delete.resource_id) == ("delete", DRAFT)
    assert update.resource is not None
    assert (update.resource["id"], update.resource["status"]) == ("now", "on-hold")
    assert not suggestion.is_recommended


def medicine(reference: str) -> Medicine:
    return Medicine(("rifampicin",), "rifampicin", UseState.DRAFT, reference, is_draft=True)


def interaction(**changes: Any) -> Finding:
    made = finding(
        "interactions.x",
        Matter.INTERACTION,
        Severity.CRITICAL,
        subject="rifampicin",
        references=("MedicationRequest/rif",),
    )
    return replace(made, **changes)


def test_a_critical_interaction_always_offers_not_to_start_the_other_medicine() -> None:
    record = replace(assessment().record, medicines=(medicine("MedicationRequest/rif"),))
    resources = {DRAFT: draft_resource(), "MedicationRequest/rif": draft_resource("rif")}
    (cancel,) = offers(interaction(), record=record, resources=resources)

    assert cancel.label == "Cancel the order of rifampicin"
    assert [(a.type, a.resource_id) for a in cancel.actions] == [
        ("delete", "MedicationRequest/rif")
    ]


def test_the_drugs_own_order_is_never_cancelled_for_an_interaction() -> None:
    assert offers(interaction()) == ()


def test_a_duplicate_order_of_the_drug_can_be_cancelled() -> None:
    duplicate = finding(
        "interactions.duplicate", Matter.INTERACTION, Severity.WARNING, suggest=("cancel-order",)
    )
    (cancel,) = offers(duplicate)

    assert (cancel.label, cancel.actions[0].resource_id) == ("Cancel this order", DRAFT)


def test_the_labels_usual_childrens_dose_replaces_the_ordered_one_unrecommended() -> None:
    usual = finding("paediatrics.dose", Matter.DOSE, Severity.WARNING, suggest=("replace-dose",))
    ordered = fact("order", reference=DRAFT, readable=True, suggested_mg=300.0, interval_h=24.0)
    child = replace(assessment().course, population="child")
    (replaced,) = offers(usual, facts=(ordered,), course=child)
    (action,) = replaced.actions

    assert replaced.label == "Change the order to 300 mg once daily"
    assert not replaced.is_recommended
    assert action.resource is not None
    dose = action.resource["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]
    assert dose["value"] == 300


def test_suggestions_exclude_each_other_and_keep_their_ids() -> None:
    def card() -> dict[str, Any]:
        made = cards_for(
            assessment(low_trough()), {DRAFT: draft_resource()}, content=CONTENT, evaluation_id="e"
        )
        return made.cards[0].to_wire()

    assert card()["selectionBehavior"] == "at-most-one"
    assert [s["uuid"] for s in card()["suggestions"]] == [s["uuid"] for s in card()["suggestions"]]
    assert len({s["uuid"] for s in card()["suggestions"]}) == len(card()["suggestions"])


def ordering(ordered_mg: float, **marks: Any) -> Any:
    """An exposure on 400 mg in which `ordered_mg` is being ordered."""
    rows = {
        300: option(300, 730, percent_in=5.0, why_not="expected trough below the target"),
        400: option(400, 973, is_current=True, percent_in=44.0),
        600: option(600, 1459, percent_in=99.0),
        800: option(800, 2400, percent_in=98.0, too_far=True, why_not="more than one usual step"),
    }
    rows[400] = replace(rows[400], **marks)
    ordered = replace(rows[int(ordered_mg)], is_ordered=True)
    rows[int(ordered_mg)] = ordered
    return exposure(options=tuple(rows.values()), current=rows[400], ordered={DRAFT: ordered})


def on_400() -> Any:
    return replace(assessment().course, regimen=Regimen((PlannedDose(0.0, 400.0),), 24.0))


def labels(suggest: str, given: Any, **changes: Any) -> list[str]:
    found = finding("trough.x", Matter.EXPOSURE, Severity.WARNING, suggest=(suggest,))
    return [s.label for s in offers(found, exposure=given, course=on_400(), **changes)]


def test_an_order_to_lower_the_dose_is_answered_with_the_present_one_never_with_a_rise() -> None:
    kept = "Keep 400 mg once daily (1 × 400 mg each time)"
    assert labels("milder-dose", ordering(300, is_best=True)) == [kept, KEEP]
    assert labels("milder-dose", ordering(300)) == [kept, KEEP]


def test_an_order_of_two_steps_up_is_answered_with_one() -> None:
    given = ordering(800)
    best = tuple(replace(o, is_best=o.daily_mg == 600) for o in given.options)
    assert labels("milder-dose", replace(given, options=best)) == [ORDER_600, KEEP]


def test_a_dose_more_than_one_step_away_is_never_offered() -> None:
    rows = (
        option(400, 640, is_current=True, percent_in=3.0),
        option(800, 1900, percent_in=98.0, too_far=True, why_not="more than one usual step"),
    )
    assert labels("raise-dose", exposure(options=rows, current=rows[0])) == [
        "Order an imatinib trough level"
    ]


def test_a_step_down_goes_down_even_where_the_fit_prefers_the_present_dose() -> None:
    rows = (
        option(300, 1600, percent_in=97.0),
        option(400, 2100, is_current=True, is_best=True, percent_in=99.0),
    )
    down = "Order 300 mg once daily (3 × 100 mg each time)"
    assert labels("lower-dose", exposure(options=rows, current=rows[1])) == [
        f"{down}",
        KEEP,
    ]


@pytest.mark.parametrize("usable", [True, False])
def test_a_missing_level_is_asked_for_only_where_none_can_be_judged(usable: bool) -> None:
    levels = fact("levels", usable_now=usable)
    asked = labels("missing-level", exposure(), facts=(levels,))
    assert asked == ([] if usable else ["Order an imatinib trough level"])


def test_no_dose_is_offered_nor_kept_while_a_card_asks_to_hold_the_drug() -> None:
    hold = finding("toxicity.h1", Matter.TOXICITY, Severity.CRITICAL, suggest=("hold-drug",))
    made = cards_for(
        assessment(low_trough(suggest=("lower-dose",)), hold),
        {DRAFT: draft_resource()},
        content=CONTENT,
        evaluation_id="e1",
    )
    assert [s.label for card in made.cards for s in card.suggestions] == ["Hold imatinib"]
