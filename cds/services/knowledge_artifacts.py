"""Rules, models and the software itself as FHIR R4 resources, generated from what they are."""

from __future__ import annotations

from typing import Any

import pk
from cds import __version__
from cds.rulebook import Rule, Rulebook, Status

DEVICE_ID = "imatinib-tdm"
_SYSTEM = "urn:imatinib-tdm"
_STATUS = {
    Status.DRAFT: "draft",
    Status.SHADOW: "draft",
    Status.ACTIVE: "active",
    Status.RETIRED: "retired",
}
_LIBRARY_TYPE = "http://terminology.hl7.org/CodeSystem/library-type"
_PLAN_TYPE = "http://terminology.hl7.org/CodeSystem/plan-definition-type"
_FHIR_TYPE = {bool: "boolean", int: "decimal", float: "decimal", str: "string"}


def plan_definition(rule: Rule, rulebook: Rulebook, base_url: str) -> dict[str, Any]:
    """Return a rule as a PlanDefinition: event, condition, action."""
    return _without_empties(
        {
            "resourceType": "PlanDefinition",
            "id": rule.id,
            "url": f"{base_url}/fhir/PlanDefinition/{rule.id}",
            "identifier": [{"system": f"{_SYSTEM}:rule", "value": rule.id}],
            "version": str(rule.revision),
            "name": "".join(part.capitalize() for part in rule.id.replace(".", "-").split("-")),
            "title": rule.title,
            "type": {"coding": [{"system": _PLAN_TYPE, "code": "eca-rule"}]},
            "status": _STATUS[rule.status],
            "experimental": not rule.approvals,
            "date": rule.effective_from.isoformat(),
            "publisher": rule.owner,
            "description": f"{rule.title}. Evidence {rule.evidence_level}: {rule.evidence_note}",
            "usage": f"Rulebook {rulebook.version}, revision {rulebook.revision}.",
            "approvalDate": max((a.on for a in rule.approvals), default=None),
            "effectivePeriod": {
                "start": rule.effective_from.isoformat(),
                "end": rule.review_by.isoformat(),
            },
            "endorser": [{"name": f"{a.name}, {a.role}"} for a in rule.approvals],
            "relatedArtifact": [_cited(rulebook, key) for key in rule.sources],
            "action": [_action(rule)],
        }
    )


def library(model: pk.PopulationModel, base_url: str) -> dict[str, Any]:
    """Return a population model as a Library of type model-definition."""
    domain = model.domain.items()
    return _without_empties(
        {
            "resourceType": "Library",
            "id": model.id,
            "url": f"{base_url}/fhir/Library/{model.id}",
            "identifier": [{"system": f"{_SYSTEM}:model-digest", "value": model.digest}],
            "version": model.digest[:12],
            "title": model.title,
            "status": "active",
            "experimental": not model.verified,
            "type": {"coding": [{"system": _LIBRARY_TYPE, "code": "model-definition"}]},
            "description": model.population.description,
            "usage": " ".join(model.notes),
            "relatedArtifact": [
                {"type": "citation", "citation": model.citation} | _doi(model.doi),
                *(
                    {"type": "citation", "label": key, "citation": text}
                    for key, text in model.sources.items()
                ),
            ],
            "parameter": [
                {
                    "name": name,
                    "use": "in",
                    "min": 1 if contract.when_missing == "required" else 0,
                    "max": "1",
                    "type": _FHIR_TYPE[type((*contract.hard, *contract.soft, "")[0])],
                    "documentation": f"Missing: {contract.when_missing}. From {contract.source}.",
                }
                for name, contract in domain
            ],
        }
    )


def device(rulebook: Rulebook) -> dict[str, Any]:
    """Return this software as a Device, the author of what it writes."""
    return {
        "resourceType": "Device",
        "id": DEVICE_ID,
        "identifier": [{"system": _SYSTEM, "value": DEVICE_ID}],
        "status": "active",
        "deviceName": [{"name": DEVICE_ID, "type": "model-name"}],
        "type": {"text": "Clinical decision support software"},
        "version": [
            {"type": {"text": "software"}, "value": __version__},
            {"type": {"text": "rulebook"}, "value": f"{rulebook.version} {rulebook.revision}"},
        ],
        "note": [{"text": "Advice to health professionals; not a medical device, not CE-marked."}],
    }


def _action(rule: Rule) -> dict[str, Any]:
    conditions = [
        f"{pattern.kind}: {', '.join(sorted({c.attribute for c in pattern.comparisons()}))}"
        for pattern in rule.patterns()
    ]
    return {
        "title": rule.title,
        "description": rule.then.summary.words,
        "trigger": [{"type": "named-event", "name": name} for name in rule.occasions],
        "condition": [
            {
                "kind": "applicability",
                "expression": {
                    "description": "; ".join(conditions) or rule.title,
                    "language": "text/x-imatinib-tdm-rule",
                    "expression": rule.id,
                },
            }
        ],
    }


def _cited(rulebook: Rulebook, key: str) -> dict[str, Any]:
    source = rulebook.sources[key]
    checked = "" if source.verified else " (not verified at the source)"
    written = {"type": "citation", "label": key, "citation": f"{source.citation}{checked}"}
    return written | ({"url": source.url} if source.url else {})


def _doi(doi: str | None) -> dict[str, str]:
    return {"url": f"https://doi.org/{doi}"} if doi else {}


def _without_empties(resource: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.isoformat() if hasattr(value, "isoformat") else value
        for key, value in resource.items()
        if value not in (None, "", [], {})
    }
