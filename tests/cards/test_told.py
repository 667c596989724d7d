"""A later card of one response repeats neither an offer nor the dose table of an earlier one."""

from __future__ import annotations

from uuid import UUID

from cds.cards.state import suggestion_uuid
from cds.cards.told import Told
from cds.cards.wire import Suggestion


def offers(*labels: str) -> tuple[Suggestion, ...]:
    return tuple(
        Suggestion(label=label, uuid=suggestion_uuid(str(UUID(int=1)), label)) for label in labels
    )


def test_an_offer_is_made_on_the_first_card_that_has_it() -> None:
    told = Told()
    assert [o.label for o in told.new_offers(offers("600 mg", "keep"))] == ["600 mg", "keep"]
    assert [o.label for o in told.new_offers(offers("keep", "level"))] == ["level"]


def test_the_table_is_shown_once_and_then_pointed_to_while_the_level_stays() -> None:
    told = Told()
    parts = ["**Level:** 720 ng/mL.", "**Doses:** below:", "| Dose |"]
    assert told.new_parts(parts) == parts
    assert told.new_parts(parts) == [
        "**Level:** 720 ng/mL.",
        "**Doses:** the table stands on an earlier card of this answer.",
    ]
    assert told.new_parts(["**Level:** 720 ng/mL."]) == ["**Level:** 720 ng/mL."]
