"""The report as JSON, CSV and FHIR DiagnosticReport."""

from __future__ import annotations

import base64
import csv
import io
import json

import pytest
from fhir.resources.R4B import get_fhir_model_class
from msgspec.structs import replace

from cds.report import level_report
from cds.report.diagnostic_report import diagnostic_report
from cds.report.export import as_csv, as_json

EVALUATION = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    "story", ["cml-low-trough", "neutropenia", "child-body-surface", "level-unit-unreadable"]
)
def test_the_diagnostic_report_is_valid_r4_and_unsigned(assessed, knowledge, story):
    report = level_report(assessed(story), knowledge.rulebook)
    resource = diagnostic_report(report, EVALUATION)
    get_fhir_model_class("DiagnosticReport").model_validate(json.loads(json.dumps(resource)))
    assert resource["status"] == "preliminary"
    contained = {f"#{one['id']}" for one in resource.get("contained", ())}
    named = {one["reference"] for one in resource.get("result", ())}
    assert contained <= named


def test_the_diagnostic_report_carries_levels_predictions_and_the_picture(assessed, knowledge):
    report = level_report(assessed("cml-low-trough"), knowledge.rulebook)
    resource = diagnostic_report(report, EVALUATION)
    assert {"reference": "Observation/ex-anders-level"} in resource["result"]
    assert len(resource["contained"]) == len(report.doses)
    assert "<svg" in base64.b64decode(resource["presentedForm"][0]["data"]).decode()


def test_json_and_csv_say_the_same_numbers(assessed, knowledge):
    report = level_report(assessed("cml-low-trough"), knowledge.rulebook)
    doses = json.loads(as_json(report))["doses"]
    rows = list(csv.DictReader(io.StringIO(as_csv(report))))
    chances = [float(r["value"]) for r in rows if r["quantity"] == "chance in target"]
    assert chances == pytest.approx([dose["percentIn"] for dose in doses], abs=1e-3)
    assert {r["part"] for r in rows} >= {"target", "level", "dose", "parameter", "covariate"}


def test_text_from_the_record_cannot_become_a_formula(assessed, knowledge):
    report = level_report(assessed("cml-low-trough"), knowledge.rulebook)
    bad = replace(report.problems[0], message="=HYPERLINK(1)")
    rows = list(csv.reader(io.StringIO(as_csv(replace(report, problems=(bad,))))))
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    assert any("'=HYPERLINK(1)" in cell for row in rows for cell in row)


def test_the_files_hold_the_versions_that_made_them(assessed, knowledge):
    report = level_report(assessed("cml-low-trough"), knowledge.rulebook)
    versions = json.loads(as_json(report))["versions"]
    assert versions["revision"] == knowledge.rulebook.revision
    assert set(versions["models"]) == set(report.assessment.versions.models)
