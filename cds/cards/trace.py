"""Which facts made a finding, and which of their attributes its rule looked at."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from cds.cards.content import CardContent
from cds.clinical.finding import Finding
from cds.rulebook import Fact, Verdict

_NAMES = frozenset({"reference", "key", "ingredient"})
"""Attributes that say which thing a fact is about; they always belong to the finding."""


class Matched(Struct, frozen=True):
    """One matched fact with the values of the attributes that its rule compares or shows."""

    binding: str
    fact: Fact
    values: Mapping[str, object]
    """The values the finding rests on, in the order of the catalogue's facts."""

    @classmethod
    def of(cls, binding: str, fact: Fact, relevant: frozenset[str]) -> Matched:
        """The fact as far as these attributes go."""
        values = {name: value for name, value in fact.values.items() if name in relevant}
        return cls(binding, fact, values)


def matched_facts(finding: Finding, verdict: Verdict, content: CardContent) -> tuple[Matched, ...]:
    """Return the facts that made this finding.

    A rule can match several combinations of facts; the one behind the finding cites the same
    references.
    """
    matches = [m for t in verdict.speaking if t.rule_id == finding.rule_id for m in t.matches]
    cited = set(finding.references)
    own = [m for m in matches if {f.reference for _, f in m.facts if f.reference} == cited]
    chosen = own or matches
    return tuple(
        Matched.of(binding, fact, relevant_attributes(content, finding.rule_id, binding, fact))
        for binding, fact in (chosen[0].facts if chosen else ())
    )


def relevant_attributes(
    content: CardContent, rule_id: str, binding: str, fact: Fact
) -> frozenset[str]:
    """Return the attributes of a bound fact that the rule compares or puts into its text.

    Without the rule at hand every attribute counts as relevant.
    """
    regard = content.regard(rule_id, binding)
    if regard is None:
        return frozenset(fact.values)
    return regard.attributes | (_NAMES & fact.values.keys())
