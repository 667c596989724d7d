"""What the cards need from the rulebook besides the assessment: codes, reasons, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from cds.cards.wire import OverrideReason
from cds.clinical.setting import Jurisdiction
from cds.clinical.terminology import Drug
from cds.rulebook import Fact, Rule, Rulebook, catalogue, once_per_rulebook
from cds.rulebook.conditions import Conjunction, Join, conjunctions
from cds.rulebook.reference import compare_atom
from cds.rulebook.rule import ORDERED, ParamRef, Word


class Limit(Struct, frozen=True):
    """A comparison with a number."""

    attribute: str
    word: Word
    value: float


class Regard(Struct, frozen=True):
    """What a rule looks at in the fact of one binding."""

    attributes: frozenset[str]
    """Those it compares or puts into its text."""
    limits: tuple[Limit, ...]
    """Each once."""
    by_way: bool
    """Whether it holds one attribute to several limits, each in another alternative."""


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
    _ways: dict[str, tuple[Conjunction, ...]] = field(
        default_factory=dict, init=False, compare=False
    )

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

    def limits_met(
        self, rule_id: str, binding: str, bound: Mapping[str, Fact]
    ) -> tuple[Limit, ...]:
        """Return the limits to which the bound facts were held in the alternatives they met.

        A rule with one alternative for each disease holds a level to the limit of this one.
        """
        regard = self.regard(rule_id, binding)
        if regard is None:
            return ()
        limits = regard.limits
        if not regard.by_way:
            return limits
        met = {
            (atom.attribute, atom.word, atom.value)
            for way in self._ways_of(rule_id)
            if _is_met(way, bound)
            for pattern in way.positive
            if pattern.binding == binding
            for atom in pattern.atoms
        }
        kept = [limit for limit in limits if (limit.attribute, limit.word, limit.value) in met]
        return tuple(kept) or limits

    def _ways_of(self, rule_id: str) -> tuple[Conjunction, ...]:
        if rule_id not in self._ways:
            found = conjunctions(self.rules[rule_id], self.jurisdiction, catalogue())
            self._ways[rule_id] = found or ()
        return self._ways[rule_id]


def _is_met(way: Conjunction, bound: Mapping[str, Fact]) -> bool:
    """Whether these facts are those of an alternative; it fired, so what it forbids is absent."""
    return set(way.bindings) == bound.keys() and all(
        isinstance(atom.value, Join)
        or compare_atom(atom, bound[str(pattern.binding)].values.get(atom.attribute))
        for pattern in way.positive
        for atom in pattern.atoms
    )


def _regard(rule: Rule, binding: str, jurisdiction: Jurisdiction) -> Regard:
    compared = [
        comparison
        for pattern in rule.patterns()
        if pattern.binding == binding
        for comparison in pattern.comparisons()
    ]
    texts = (rule.then.summary, rule.then.detail)
    shown = {slot.name for text in texts for slot in text.slots if slot.binding == binding}
    limits = dict.fromkeys(
        Limit(comparison.attribute, comparison.word, value)
        for comparison in compared
        if comparison.word in ORDERED
        and isinstance(comparison.operand, ParamRef)
        and (param := rule.params.get(comparison.operand.name)) is not None
        and isinstance(value := param.values.get(jurisdiction), int | float)
    )
    by_way = len({(limit.attribute, limit.word) for limit in limits}) < len(limits)
    return Regard(frozenset(shown | {c.attribute for c in compared}), tuple(limits), by_way)
