"""What a rule concluded, before it becomes a card."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType

from msgspec import Struct


class Severity(IntEnum):
    """CDS Hooks indicator, ordered so that a larger value is more urgent."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def indicator(self) -> str:
        """The word on the wire."""
        return self.name.lower()


SNOOZE_DAYS: Mapping[Severity, int] = MappingProxyType(
    {Severity.INFO: 14, Severity.WARNING: 7, Severity.CRITICAL: 0}
)
"""Days for which a clinician's answer keeps a finding quiet, unless its rule says otherwise."""


class Matter(StrEnum):
    """What a finding is about; findings on the same matter share one card."""

    EXPOSURE = "exposure"
    SAMPLE = "sample"
    INTERACTION = "interaction"
    TOXICITY = "toxicity"
    ADHERENCE = "adherence"
    DOSE = "dose"
    RESPONSE = "response"
    SAFETY = "safety"
    GENOTYPE = "genotype"
    MONITORING = "monitoring"
    DATA = "data"


class SourceCitation(Struct, frozen=True):
    """Where a statement comes from, and whether a person has verified it at the source."""

    key: str
    citation: str
    url: str | None
    verified: bool


class Finding(Struct, frozen=True):
    """One rule's conclusion with its words rendered.

    `subject` distinguishes findings on one matter that must not merge (the interacting ingredient,
    the order's reference). `show` asks the card for computed parts (`dose-table`,
    `adherence`, `level`); `suggest` for actions (`raise-dose`, `order-level`, `hold-drug`,
    `cancel-order`). `facts` are the references of the facts that matched.
    """

    rule_id: str
    revision: int
    matter: Matter
    severity: Severity
    summary: str
    detail: str
    subject: str | None = None
    show: tuple[str, ...] = ()
    suggest: tuple[str, ...] = ()
    override_reasons: tuple[str, ...] = ()
    citations: tuple[SourceCitation, ...] = ()
    references: tuple[str, ...] = ()
    silent: bool = False
    """A rule that records a considered silence (a harmless combination): kept in the trace only."""
