"""The report as a FHIR R4 DiagnosticReport, with the predicted values as contained Observations.

Its status is `preliminary`: no person has signed it.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from cds import __version__
from cds.assess.assessment import DoseOption
from cds.report.plots import picture
from cds.report.report import LevelReport

_SYSTEM: Final = "urn:imatinib-tdm:code"
_UCUM: Final = "http://unitsofmeasure.org"
_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"


def diagnostic_report(report: LevelReport, evaluation: str) -> dict[str, Any]:
    """Return the resource as JSON."""
    assessment = report.assessment
    patient = {"reference": f"Patient/{assessment.record.person.id}"}
    predicted = [
        _predicted(row.option, f"dose-{count}", report, patient)
        for count, row in enumerate(report.doses, start=1)
    ]
    resource: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{evaluation}"}],
        "status": "preliminary",
        "category": [{"coding": [{"system": _SECTION, "code": "TX", "display": "Toxicology"}]}],
        "code": {
            "coding": [{"system": _SYSTEM, "code": "level-report"}],
            "text": f"Therapeutic drug monitoring of {report.drug}",
        },
        "subject": patient,
        "issued": assessment.now.isoformat(),
        "performer": [{"display": f"imatinib-tdm {__version__}"}],
        "result": [
            *({"reference": reference} for reference in assessment.exposure.levels_used),
            *({"reference": f"#{one['id']}"} for one in predicted),
        ],
        "conclusion": " ".join(report.interpretation),
    }
    latest = assessment.latest_level
    if latest is not None and latest.level.sampled is not None:
        resource["effectiveDateTime"] = latest.level.sampled.at.isoformat()
    if predicted:
        resource["contained"] = predicted
    if not resource["result"]:
        del resource["result"]
    drawn = picture(assessment)
    if drawn is not None:
        resource["presentedForm"] = [
            {
                "contentType": "image/svg+xml",
                "title": "Concentration over time",
                "data": base64.b64encode(drawn.encode()).decode(),
            }
        ]
    return resource


def _predicted(
    option: DoseOption, name: str, report: LevelReport, patient: dict[str, str]
) -> dict[str, Any]:
    """One regimen's expected trough; the chances are its components."""
    target = report.assessment.policy.target
    chances = {
        "chance-below": option.percent_below,
        "chance-in": option.percent_in,
        "chance-above": option.percent_above,
    }
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "preliminary",
        "code": {
            "coding": [{"system": _SYSTEM, "code": "predicted-trough"}],
            "text": f"Expected steady-state trough on {option.amount_mg:g} mg "
            f"every {option.interval_h:g} h",
        },
        "subject": patient,
        "valueQuantity": _quantity(option.trough_ng_ml, "ng/mL"),
        "method": {"text": f"Population model {report.assessment.exposure.model_id}"},
        "referenceRange": [
            {
                "low": _quantity(target.low_ng_ml, "ng/mL"),
                "high": _quantity(target.high_ng_ml, "ng/mL"),
                "text": "trough target",
            }
        ],
        "component": [
            {
                "code": {"coding": [{"system": _SYSTEM, "code": "interval-90"}]},
                "valueRange": {
                    "low": _quantity(option.trough_low_ng_ml, "ng/mL"),
                    "high": _quantity(option.trough_high_ng_ml, "ng/mL"),
                },
            },
            *(
                {
                    "code": {"coding": [{"system": _SYSTEM, "code": code}]},
                    "valueQuantity": _quantity(value, "%"),
                }
                for code, value in chances.items()
            ),
        ],
    }


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(value, 1), "unit": unit, "system": _UCUM, "code": unit}
