"""The source attributes of every rule and model, computed from what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import pk
from cds import __version__
from cds.rulebook import Rule, Rulebook
from cds.services.knowledge import Knowledge

_FILE = Path(__file__).parent / "dsi.yaml"
_BIRTH = frozenset({"age_years", "population"})
_HEALTH = frozenset({"condition", "pregnancy", "lactating", "sterile"})


def source_attributes(knowledge: Knowledge) -> dict[str, Any]:
    """Return the attributes of all rules (evidence-based) and models (predictive)."""
    catalogue = _catalogue()
    rulebook = knowledge.rulebook
    return {
        "software": {"name": "imatinib-tdm", "version": __version__},
        "rulebook": {"version": rulebook.version, "revision": rulebook.revision},
        "evidence": [
            {
                "id": rule.id,
                "title": rule.title,
                "revision": rule.revision,
                "status": rule.status.value,
                "attributes": _filled(catalogue, "evidence", _rule_values(rulebook, rule)),
            }
            for rule in rulebook.rules
        ],
        "predictive": [
            {
                "id": model.id,
                "title": model.title,
                "digest": model.digest,
                "attributes": _filled(catalogue, "predictive", _model_values(model)),
            }
            for model in knowledge.models.values()
        ],
    }


@cache
def _catalogue() -> Mapping[str, Any]:
    catalogue: Mapping[str, Any] = YAML(typ="safe").load(_FILE)
    return catalogue


Values = Mapping[str, Callable[[], Any]]


def _filled(catalogue: Mapping[str, Any], kind: str, values: Values) -> list[dict[str, Any]]:
    filled = []
    for row in catalogue[kind]:
        source = row.get("from")
        if source is None:
            value = row["text"]
        elif source in values:
            value = values[source]()
        elif source == "developer_and_contact":
            value = f"{catalogue['developer']}; {catalogue['contact']}"
        else:
            value = catalogue[source]
        filled.append(
            {k: row[k] for k in ("id", "group", "attribute") if k in row} | {"value": value}
        )
    return filled


def _rule_values(rulebook: Rulebook, rule: Rule) -> Values:
    used = {c.attribute for pattern in rule.patterns() for c in pattern.comparisons()}
    kinds = {pattern.kind for pattern in rule.patterns()}

    def said(attributes: frozenset[str]) -> str:
        found = sorted(used & attributes | kinds & attributes)
        return f"Used: {', '.join(found)}." if found else "Not used."

    return {
        "citations": lambda: [_citation(rulebook, key) for key in rule.sources],
        "dates": lambda: {
            "effective": rule.effective_from.isoformat(),
            "reviewBy": rule.review_by.isoformat(),
            "revision": rule.revision,
        },
        "sex": lambda: said(frozenset({"sex"})),
        "birth": lambda: said(_BIRTH),
        "health": lambda: said(_HEALTH),
    }


def _citation(rulebook: Rulebook, key: str) -> dict[str, Any]:
    source = rulebook.sources[key]
    written: dict[str, Any] = {"citation": source.citation, "verified": source.verified}
    return written | ({"url": source.url} if source.url else {})


def _model_values(model: pk.PopulationModel) -> Values:
    return {
        "citations": lambda: [{"citation": model.citation, "verified": model.verified}],
        "population": lambda: {
            "description": model.population.description,
            "patients": model.population.patients,
            "indications": list(model.population.indications),
        },
        "domain": lambda: {
            name: {
                "neverOutside": list(contract.hard),
                "extrapolatesOutside": list(contract.soft),
                "whenMissing": contract.when_missing,
            }
            for name, contract in model.domain.items()
        },
        "limitations": lambda: (
            [
                *model.notes,
                *(f"Published sources disagree on {name}." for name in model.conflicts),
            ]
            or "None beyond the domain."
        ),
        "inputs": lambda: sorted(model.domain),
    }
