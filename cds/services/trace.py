"""A decision as JSON for the ledger: what was known, what was concluded, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from datetime import date
from enum import Enum
from functools import cache
from typing import Any

from msgspec import Struct

from cds.assess import Assessment
from cds.cards import Suppressed
from cds.rulebook import Fact, Outcome, RuleTrace
from cds.store.jsontext import Written, encode

# Fits can be repeated from the input; they are no data of this product.
_FOLLOWS_FROM_THE_INPUT = ("posterior", "members")

_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
_MOST_SILENCES = 8_192
_silences: dict[int, tuple[RuleTrace, Written]] = {}
"""Rows of rules that were silent, by the trace they are of: a rulebook hands out the same ones."""


def assessment_json(assessment: Assessment) -> dict[str, Any]:
    """Write what a reader of the decision needs; the record itself follows from the input."""
    verdict = assessment.verdict
    return {
        "facts": [_fact(fact) for fact in assessment.facts],
        "trace": _rules(verdict.trace),
        "shadow": [finding.rule_id for finding in verdict.shadow],
        "agreed": verdict.agreed,
        **({"disagreement": verdict.disagreement} if verdict.disagreement else {}),
        "policy": plain(assessment.policy),
        "levels": [plain(level) for level in assessment.levels],
        "exposure": {
            name: plain(value)
            for name in assessment.exposure.__struct_fields__
            if name not in _FOLLOWS_FROM_THE_INPUT
            and (value := getattr(assessment.exposure, name)) is not None
        },
        "problems": [plain(problem) for problem in assessment.problems],
        "versions": plain(assessment.versions),
    }


def suppressed_json(suppressed: Iterable[Suppressed]) -> list[Any]:
    """Write what was not said and why."""
    return [plain(item) for item in suppressed]


def plain(value: Any) -> Any:
    """Turn the product's frozen values into JSON values; what is None is left out of objects."""
    kind = type(value)
    return value if kind in _AS_THEY_ARE else _writer(kind)(value)


@cache
def _writer(kind: type) -> Callable[[Any], Any]:
    """How values of a type are written; there are as many types as the product has."""
    if kind is type(None) or issubclass(kind, int | float) or kind is str:
        return _as_it_is
    if issubclass(kind, Enum):
        return lambda value: value.name.lower() if isinstance(value.value, int) else value.value
    if issubclass(kind, date):
        return lambda value: value.isoformat()
    if issubclass(kind, Struct):
        names = kind.__struct_fields__
        return lambda value: {
            name: item if type(item) in _AS_THEY_ARE else plain(item)
            for name in names
            if (item := getattr(value, name)) is not None
        }
    if issubclass(kind, Mapping):
        return lambda value: {
            str(key): plain(item) for key, item in value.items() if item is not None
        }
    if issubclass(kind, Set):
        return lambda value: sorted(plain(item) for item in value)
    if issubclass(kind, list | tuple):
        return lambda value: [plain(item) for item in value]
    return str


def _as_it_is(value: Any) -> Any:
    return value


def _fact(fact: Fact) -> dict[str, Any]:
    return {"kind": fact.kind, **fact.values}


def _rules(traces: Iterable[RuleTrace]) -> list[dict[str, Any] | Written]:
    """A row for each rule. That of a silence holds nothing of a patient and is written once."""
    known = _silences.get
    return [
        kept[1] if (kept := known(id(trace))) is not None and kept[0] is trace else _rule(trace)
        for trace in traces
    ]


def _rule(trace: RuleTrace) -> dict[str, Any] | Written:
    row = _row(trace)
    if trace.outcome not in (Outcome.SILENT, Outcome.NOT_APPLICABLE):
        return row
    if len(_silences) >= _MOST_SILENCES:  # many edits of the rulebook ago
        _silences.clear()
    written = Written(encode(row))
    _silences[id(trace)] = trace, written
    return written


def _row(trace: RuleTrace) -> dict[str, Any]:
    written: dict[str, Any] = {
        "rule": trace.rule_id,
        "revision": trace.revision,
        "outcome": trace.outcome,
    }
    if trace.missing:
        written["missing"] = trace.missing
    if trace.because:
        written["because"] = trace.because
    if trace.outcome is Outcome.FIRED:
        written["matches"] = [
            {binding: _fact(fact) for binding, fact in match.facts} for match in trace.matches
        ]
    return written
