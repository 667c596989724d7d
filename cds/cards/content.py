"""What the cards need from the rulebook besides the assessment: codes, reasons, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cds.cards.wire import OverrideReason
from cds.clinical.setting import Jurisdiction
from cds.clinical.terminology import Drug
from cds.rulebook import Rule, Rulebook, once_per_rulebook
from cds.rulebook.rule import ORDERED, ParamRef, Word


@dataclass(frozen=True, slots=True)
class Limit:
    """A comparison with a number."""

    attribute: str
    word: Word
    value: float


@dataclass(frozen=True, slots=True)
class Regard:
    """What a rule looks at in the fact of one binding."""

    attributes: frozenset[str]
    """Those it compares or puts into its text."""
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class CardContent:
    """The content behind cards, taken once per rulebook revision and jurisdiction."""

    name: str
    drug: Drug
    jurisdiction: Jurisdiction
    override_reasons: Mapping[str, OverrideReason] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """By id: which attributes a rule looks at, and with which limits."""
    _regards: dict[tuple[str, str], Regard] = field(default_factory=dict, init=False, compare=False)

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

    def regard(self, rule_id: str, binding: str) -> Regard | None:
        """Return what a rule looks at in a fact; None without the rule. Worked out once."""
        found = self._regards.get((rule_id, binding))
        if found is None and (rule := self.rules.get(rule_id)) is not None:
            found = self._regards[rule_id, binding] = _regard(rule, binding, self.jurisdiction)
        return found


def _regard(rule: Rule, binding: str, jurisdiction: Jurisdiction) -> Regard:
    compared = [
        comparison
        for pattern in rule.patterns()
        if pattern.binding == binding
        for comparison in pattern.comparisons()
    ]
    texts = (rule.then.summary, rule.then.detail)
    shown = {slot.name for text in texts for slot in text.slots if slot.binding == binding}
    limits = (
        Limit(comparison.attribute, comparison.word, value)
        for comparison in compared
        if comparison.word in ORDERED
        and isinstance(comparison.operand, ParamRef)
        and (param := rule.params.get(comparison.operand.name)) is not None
        and isinstance(value := param.values.get(jurisdiction), int | float)
    )
    return Regard(frozenset(shown | {c.attribute for c in compared}), tuple(limits))
