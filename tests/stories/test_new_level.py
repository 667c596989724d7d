"""When a level is filed, whoever reads the alert learns what must be done first."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cds.cli import main

PATIENTS = Path(__file__).parents[2] / "fhir_examples/patients"


def resource(bundle: dict[str, Any], kind: str, identity: str | None = None) -> dict[str, Any]:
    return next(
        entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == kind and identity in (None, entry["resource"]["id"])
    )


def neutropenia_with_a_level() -> dict[str, Any]:
    bundle: dict[str, Any] = json.loads((PATIENTS / "neutropenia.json").read_text())
    other = json.loads((PATIENTS / "cml-low-trough.json").read_text())
    level = copy.deepcopy(resource(other, "Observation", "ex-anders-level"))
    level.pop("partOf", None)
    level |= {
        "id": "level",
        "subject": {"reference": f"Patient/{resource(bundle, 'Patient')['id']}"},
        "effectiveDateTime": "2026-11-19T08:00:00+01:00",
    }
    level["valueQuantity"] |= {"value": 2600}
    bundle["entry"].append({"resource": level})
    return bundle


def test_a_level_filed_while_a_count_asks_for_a_hold_tells_of_the_hold(tmp_path: Path) -> None:
    file = tmp_path / "patient.json"
    file.write_text(json.dumps(neutropenia_with_a_level()))
    moment = ["--occasion", "new-level", "--now", "2026-11-20T10:00:00Z", "--json"]

    done = CliRunner().invoke(main, ["assess", str(file), *moment])

    first = json.loads(done.output)["cards"][0]
    assert first["indicator"] == "critical"
    assert "hold imatinib" in first["summary"]
