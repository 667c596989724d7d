"""A decision as JSON for the ledger: what was known, what was concluded, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

from cds.assess import Assessment
from cds.cards import Suppressed
from cds.rulebook import Fact, Outcome, RuleTrace

# Fits can be repeated from the input; they are no data of this product.
_FOLLOWS_FROM_THE_INPUT = ("posterior", "members")


def assessment_json(assessment: Assessment) -> dict[str, Any]:
    """Write what a reader of the decision needs; the record itself follows from the input."""
    verdict = assessment.verdict
    return {
        "facts": [_fact(fact) for fact in assessment.facts],
        "trace": [_rule(trace) for trace in verdict.trace],
        "shadow": [finding.rule_id for finding in verdict.shadow],
        "agreed": verdict.agreed,
        "disagreement": verdict.disagreement,
        "policy": plain(assessment.policy),
        "levels": [plain(level) for level in assessment.levels],
        "exposure": {
            name.name: plain(getattr(assessment.exposure, name.name))
            for name in fields(assessment.exposure)
            if name.name not in _FOLLOWS_FROM_THE_INPUT
        },
        "problems": [plain(problem) for problem in assessment.problems],
        "versions": plain(assessment.versions),
    }


def suppressed_json(suppressed: Iterable[Suppressed]) -> list[Any]:
    """Write what was not said and why."""
    return [plain(item) for item in suppressed]


def plain(value: Any) -> Any:
    """Turn the product's frozen values into JSON values."""
    if value is None or isinstance(value, bool | int | float) or type(value) is str:
        return value
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value.value, int) else value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def _fact(fact: Fact) -> dict[str, Any]:
    return {"kind": fact.kind, **fact.values}


def _rule(trace: RuleTrace) -> dict[str, Any]:
    written: dict[str, Any] = {
        "rule": trace.rule_id,
        "revision": trace.revision,
        "outcome": trace.outcome.value,
    }
    if trace.missing:
        written["missing"] = list(trace.missing)
    if trace.because:
        written["because"] = list(trace.because)
    if trace.outcome is Outcome.FIRED:
        written["matches"] = [
            {binding: _fact(fact) for binding, fact in match.facts} for match in trace.matches
        ]
    return written
