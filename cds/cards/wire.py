"""The cards of CDS Hooks 2.0 as they go over the wire.

Attribute by attribute as in https://cds-hooks.hl7.org/2.0/#card-attributes. The models refuse what
the specification forbids, so that a card which cannot be valid is never built: a summary of 140
characters, suggestions without a selection behaviour, two recommendations where one may be chosen.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

SUMMARY_LIMIT = 139
"""Longest summary: the specification says fewer than 140 characters."""

_ARRAYS = (list, tuple)

Indicator = Literal["info", "warning", "critical"]
Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, Field(pattern=r"^https?://\S+$")]
ReportLink = Literal["absolute", "smart", "none"]
"""How a card leads to its report: an address, a SMART launch, or not at all."""
RELATIVE_REFERENCE = r"^[A-Za-z]+/[A-Za-z0-9\-.]{1,64}$"
Uuid = Annotated[
    str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]


class _Wire(BaseModel):
    """A frozen value whose JSON carries camelCase names and nothing empty."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object; attributes without a value are left out, as required."""
        dumped: dict[str, Any] = without_empties(self.model_dump(by_alias=True, mode="json"))
        return dumped


class Coding(_Wire):
    """A code in a code system."""

    code: Text
    system: Text
    display: Text | None = None


class OverrideReason(_Wire):
    """A reason for not following a card; here the display is required."""

    code: Text
    system: Text
    display: Text


class Source(_Wire):
    """Who speaks, and where the basis of the card can be read."""

    label: Text
    url: Url | None = None
    icon: Url | None = None
    topic: Coding | None = None


class Link(_Wire):
    """A link for reading further; it never carries patient data."""

    label: Text
    url: Url
    type: Literal["absolute", "smart"] = "absolute"
    app_context: Text | None = None

    @model_validator(mode="after")
    def _context_is_for_smart_links(self) -> Self:
        if self.app_context is not None and self.type != "smart":
            raise ValueError("appContext belongs to smart links only")
        return self


class Action(_Wire):
    """One change of the draft orders, carried out when its suggestion is chosen."""

    type: Literal["create", "update", "delete"]
    description: Text
    resource: dict[str, Any] | None = None
    resource_id: Annotated[str, Field(pattern=RELATIVE_REFERENCE)] | None = None

    @model_validator(mode="after")
    def _has_its_resource(self) -> Self:
        if self.type == "delete":
            if self.resource_id is None or self.resource is not None:
                raise ValueError("delete names the order by resourceId and carries no resource")
        elif not self.resource or "resourceType" not in self.resource:
            raise ValueError(f"{self.type} carries the whole resource")
        return self


class Suggestion(_Wire):
    """One way to follow the card; all its actions are carried out together."""

    label: Text
    uuid: Uuid
    is_recommended: bool | None = None
    actions: tuple[Action, ...] = ()


class Card(_Wire):
    """One card. `extension` is ours: it ties the card to its evaluation, rules and versions."""

    uuid: Uuid
    summary: Annotated[str, Field(min_length=1, max_length=SUMMARY_LIMIT)]
    indicator: Indicator
    source: Source
    detail: Text | None = None
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: Literal["at-most-one", "any"] | None = None
    override_reasons: tuple[OverrideReason, ...] = ()
    links: tuple[Link, ...] = ()
    extension: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _suggestions_can_be_chosen(self) -> Self:
        if self.suggestions and self.selection_behavior is None:
            raise ValueError("suggestions need a selectionBehavior")
        recommended = sum(bool(s.is_recommended) for s in self.suggestions)
        if self.selection_behavior == "at-most-one" and recommended > 1:
            raise ValueError("at most one suggestion may be recommended")
        return self


def without_empties(value: Any) -> Any:
    """Return JSON without attributes that are null or empty.

    Elements of arrays are kept as they stand: FHIR aligns arrays of primitives with the arrays of
    their extensions by position.
    """
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            written = item if type(item) is str else without_empties(item)
            if written or not _is_empty(written):
                kept[key] = written
        return kept
    if isinstance(value, _ARRAYS):
        return [without_empties(item) for item in value]
    return value


def _is_empty(value: Any) -> bool:
    """Whether there is nothing: zero and false are something."""
    return value is None or value == "" or value == [] or value == {}
