"""Other medicines, conditions, allergies and genotypes that bear on the monitored drug."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from cds.clinical.moment import Moment


class UseState(StrEnum):
    """Whether a medicine is being taken."""

    DRAFT = "draft"
    ACTIVE = "active"
    ON_HOLD = "on-hold"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Medicine(Struct, frozen=True):
    """Use of a medicine other than the monitored drug.

    `ingredients` are keys of `rules/terminology/medicines.yaml`, empty when the medicine is not
    one the rulebook knows; `display` is how the record names it. `systemic` is False for topical,
    ophthalmic and similar routes, None when the route is not stated. `administered` marks a dose
    that was given, which says nothing of the next one.
    """

    ingredients: tuple[str, ...]
    display: str
    state: UseState
    reference: str
    started: Moment | None = None
    stopped: Moment | None = None
    is_draft: bool = False
    selected: bool = False
    systemic: bool | None = None
    daily_mg: float | None = None
    single_dose: bool = False
    as_needed: bool = False
    administered: bool = False


class Condition(Struct, frozen=True):
    """A diagnosis, finding or event; `keys` stand in `rules/terminology/conditions.yaml`."""

    keys: tuple[str, ...]
    display: str
    reference: str
    active: bool
    confirmed: bool = True
    onset: Moment | None = None
    ended: Moment | None = None
    in_remission: bool = False
    """Quiet, not gone: a disease in remission is what treatment goes on for."""


class Allergy(Struct, frozen=True):
    """A recorded allergy or intolerance to an ingredient key."""

    ingredient: str
    display: str
    reference: str
    active: bool
    is_allergy: bool = True
    """False when the record calls it an intolerance."""


class GeneResult(Struct, frozen=True):
    """A germline or somatic finding; `key` is a key of `rules/terminology/genes.yaml`."""

    key: str
    display: str
    reference: str
    at: Moment | None = None
