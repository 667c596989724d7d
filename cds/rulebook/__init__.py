"""The rule engine: declarative rules over a closed catalogue of facts, evaluated twice."""

from __future__ import annotations

from cds.rulebook.facts import Catalogue, Fact, FactError, catalogue, is_usable, shortened
from cds.rulebook.once import once_per_rulebook
from cds.rulebook.remarks import Remark, RulebookError
from cds.rulebook.rule import Outcome, Rule, Status
from cds.rulebook.rulebook import Rulebook, load
from cds.rulebook.verdict import RuleTrace, Verdict

__all__ = [
    "Catalogue",
    "Fact",
    "FactError",
    "Outcome",
    "Remark",
    "Rule",
    "RuleTrace",
    "Rulebook",
    "RulebookError",
    "Status",
    "Verdict",
    "catalogue",
    "is_usable",
    "load",
    "once_per_rulebook",
    "shortened",
]
