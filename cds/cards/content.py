"""What the cards need from the rulebook besides the assessment: codes, reasons, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cds.cards.wire import OverrideReason
from cds.clinical.setting import Jurisdiction
from cds.clinical.terminology import Drug
from cds.rulebook import Rule, Rulebook, once_per_rulebook


@dataclass(frozen=True, slots=True)
class CardContent:
    """The content behind cards, taken once per rulebook revision and jurisdiction."""

    name: str
    drug: Drug
    jurisdiction: Jurisdiction
    override_reasons: Mapping[str, OverrideReason] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """By id: which attributes a rule looks at, and with which limits."""

    @staticmethod
    @once_per_rulebook
    def of(rulebook: Rulebook, jurisdiction: Jurisdiction) -> CardContent:
        """Read the drug, the rules and the override reasons of a rulebook."""
        reasons = {
            str(key): OverrideReason(code=row["code"], system=row["system"], display=row["display"])
            for key, row in rulebook.table("override_reasons", jurisdiction).items()
        }
        rules = {rule.id: rule for rule in rulebook.rules}
        return CardContent(rulebook.name, rulebook.drug, jurisdiction, reasons, rules)
