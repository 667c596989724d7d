"""What earlier cards of one response hold, so that a later card does not say it again."""

from __future__ import annotations

from msgspec import Struct, field

from cds.cards.wire import Suggestion

_LEVEL, _DOSES = "**Level:**", "**Doses:**"


class Told(Struct):
    """The labels of the offers that were made, and the parts that were shown."""

    _offers: set[str] = field(default_factory=set)
    _parts: set[str] = field(default_factory=set)

    def new_offers(self, offers: tuple[Suggestion, ...]) -> tuple[Suggestion, ...]:
        """Return the offers not made yet: two buttons for one order could write it twice."""
        fresh = tuple(offer for offer in offers if offer.label not in self._offers)
        self._offers.update(offer.label for offer in fresh)
        return fresh

    def new_parts(self, parts: list[str]) -> list[str]:
        """Return the parts not shown yet, and the level; a table is pointed to where it stands."""
        fresh = [part for part in parts if part not in self._parts or part.startswith(_LEVEL)]
        if any(part.startswith(_DOSES) and part not in fresh for part in parts):
            fresh.append(f"{_DOSES} the table stands on an earlier card of this answer.")
        self._parts.update(parts)
        return fresh
