"""A card that the specification forbids cannot be built."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cds.cards.wire import Action, Card, Coding, Link, Source, Suggestion, without_empties

UUID = "11111111-2222-3333-4444-555555555555"


def card(**changes: object) -> Card:
    """The smallest card, with changes."""
    return Card(
        **{
            "uuid": UUID,
            "summary": "Something",
            "indicator": "info",
            "source": Source(label="Us"),
            **changes,
        }
    )


def test_a_minimal_card_has_only_what_is_required() -> None:
    assert card().to_wire() == {
        "uuid": UUID,
        "summary": "Something",
        "indicator": "info",
        "source": {"label": "Us"},
    }


@pytest.mark.parametrize("summary", ["", "x" * 140])
def test_a_summary_has_1_to_139_characters(summary: str) -> None:
    with pytest.raises(ValidationError, match="summary"):
        card(summary=summary)


def test_an_unknown_indicator_is_refused() -> None:
    with pytest.raises(ValidationError, match="indicator"):
        card(indicator="fatal")


def test_suggestions_need_a_selection_behaviour() -> None:
    with pytest.raises(ValidationError, match="selectionBehavior"):
        card(suggestions=(Suggestion(label="Do it", uuid=UUID),))


def test_only_one_of_exclusive_suggestions_may_be_recommended() -> None:
    both = tuple(Suggestion(label=name, uuid=UUID, is_recommended=True) for name in "ab")
    with pytest.raises(ValidationError, match="at most one"):
        card(suggestions=both, selection_behavior="at-most-one")


def test_a_delete_names_the_order_and_carries_no_resource() -> None:
    wire = Action(type="delete", description="Cancel", resource_id="MedicationRequest/1").to_wire()

    assert wire == {
        "type": "delete",
        "description": "Cancel",
        "resourceId": "MedicationRequest/1",
    }
    with pytest.raises(ValidationError, match="resourceId"):
        Action(type="delete", description="Cancel", resource={"resourceType": "X"})


@pytest.mark.parametrize("kind", ["create", "update"])
def test_a_change_carries_the_whole_resource(kind: str) -> None:
    with pytest.raises(ValidationError, match="whole resource"):
        Action(type=kind, description="Change")


def test_context_for_an_app_belongs_to_smart_links_only() -> None:
    with pytest.raises(ValidationError, match="smart"):
        Link(label="Open", url="https://x.example", app_context="c")


def test_a_url_is_absolute() -> None:
    with pytest.raises(ValidationError, match="url"):
        Link(label="Open", url="/evaluations/1")


def test_names_go_over_the_wire_in_camel_case() -> None:
    wire = card(
        suggestions=(Suggestion(label="a", uuid=UUID, is_recommended=True),),
        selection_behavior="at-most-one",
        source=Source(label="Us", topic=Coding(code="dose", system="urn:x")),
    ).to_wire()

    assert wire["selectionBehavior"] == "at-most-one"
    assert wire["suggestions"] == [{"label": "a", "uuid": UUID, "isRecommended": True}]
    assert wire["source"]["topic"] == {"code": "dose", "system": "urn:x"}


def test_nothing_empty_is_emitted_but_array_positions_are_kept() -> None:
    cleaned = without_empties({"a": None, "b": "", "c": {"d": []}, "e": ["x", None], "f": False})

    assert cleaned == {"e": ["x", None], "f": False}
