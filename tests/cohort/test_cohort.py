"""Everyone in an export is assessed as when the chart is opened."""

from __future__ import annotations

import csv
import json
import shutil
import stat
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds import content
from cds.cli import main
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.cohort.dispatch import dispatch
from cds.cohort.export import Subject, index_export
from cds.cohort.row import LOST, Row
from cds.cohort.table import Sums
from cds.cohort.work import Plan, changes, rows
from tests.cohort.build import NOW, STORIES, bulk_export, bundles, deadly_once

NAMES = ("at-target-silent", "cml-low-trough", "cml-refill-gap", "gist-inflamed")
KINDS = frozenset(
    {"Patient", "Observation", "MedicationRequest", "MedicationDispense", "Condition"}
    | {"MedicationStatement", "MedicationAdministration", "Procedure", "AllergyIntolerance"}
)
PLAN = Plan(
    (content.rules_dir(),),
    Setting(Occasion.PATIENT_VIEW, Jurisdiction.US),
    datetime.fromisoformat(NOW),
    fixed=True,
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _rows(directory: Path, processes: int = 1) -> list[Row]:
    return list(dispatch(index_export(directory, KINDS).subjects, rows(PLAN), processes, part=1))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bulk_export(tmp_path_factory.mktemp("bulk"), *NAMES)


@pytest.fixture(scope="module")
def serial(export: Path) -> list[Row]:
    return _rows(export)


def test_a_row_says_what_the_card_of_the_opened_chart_says(serial: list[Row]) -> None:
    for name in NAMES:
        shown = run("assess", STORIES / f"{name}.json", "--json", "--occasion", "patient-view")
        cards = json.loads(shown.stdout)["cards"]
        patient = json.loads((STORIES / f"{name}.json").read_text())["entry"][0]["resource"]["id"]
        (row,) = (row for row in serial if row.patient == patient)
        # every card's headline is one of the findings; which findings share a card is the card's
        assert {card["summary"] for card in cards} <= {said.summary for said in row.said}
        if cards:
            assert row.indicator == cards[0]["indicator"]
            assert row.trough_ng_ml is not None


def test_bulk_data_and_bundles_give_the_same_rows(serial: list[Row], tmp_path: Path) -> None:
    def without_name(found: list[Row]) -> list[str]:
        return sorted(repr(row).partition("assessed_at")[2] for row in found)

    assert without_name(_rows(bundles(tmp_path, *NAMES))) == without_name(serial)


def test_two_processes_one_of_them_killed_give_the_same_rows(
    export: Path, serial: list[Row], tmp_path: Path
) -> None:
    subjects = index_export(export, KINDS).subjects
    job = deadly_once(rows(PLAN), subjects[2].name, tmp_path / "died")
    found = list(dispatch(subjects, job, 2, part=1))
    assert (tmp_path / "died").exists()
    assert [repr(row) for row in found] == [repr(row) for row in serial]


def test_a_record_that_vanishes_is_lost_by_name_and_nobody_else(
    export: Path, serial: list[Row], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(export, copy)
    subjects = index_export(copy, KINDS).subjects
    gone = Subject(
        "gone", "gone", index_export(bundles(tmp_path, NAMES[0]), KINDS).subjects[0].places
    )
    (tmp_path / f"{NAMES[0]}.json").unlink()
    first, *others = dispatch((gone, *subjects), rows(PLAN), 1)
    assert (first.state, first.reason) == (
        LOST,
        "the export cannot be read: No such file or directory",
    )
    assert [repr(row) for row in others] == [repr(row) for row in serial]


def test_a_changed_target_changes_the_patients_it_concerns(export: Path, tmp_path: Path) -> None:
    other = tmp_path / "rules"
    shutil.copytree(content.rules_dir(), other)
    file = other / "tables" / "targets.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count("1000") > 0
    file.write_text(text.replace("1000", "650"), encoding="utf-8")
    plan = Plan((content.rules_dir(), other), PLAN.setting, PLAN.at, fixed=True)
    found = list(dispatch(index_export(export, KINDS).subjects, changes(plan), 1))
    touched = {one.patient: one.change for one in found if one.change is not None}
    assert not any(one.lost for one in found)
    low = next(change for name, change in touched.items() if name == "ex-anders")
    assert low is not None
    assert any(line.startswith("trough.cml-below-target ") for line in low.vanishes)


def test_two_rulebooks_are_compared_over_an_export(export: Path, tmp_path: Path) -> None:
    other = tmp_path / "rules"
    shutil.copytree(content.rules_dir(), other)
    file = other / "toxicity" / "cytopenia-first.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("status: active", "status: retired"), encoding="utf-8")
    patients = bundles(tmp_path / "patients", "neutropenia", *NAMES)
    found = run(
        "rules", "diff", content.rules_dir(), other, "--patients", patients, "--processes", 1
    )
    assert found.exit_code == 0, found.output
    assert "neutropenia:\n  - toxicity.cytopenia-first (critical)" in found.output
    assert "1 of 5 patients differ" in found.output
    assert "toxicity.cytopenia-first: appears for 0, vanishes for 1" in found.output


def test_the_command_adds_up_and_writes_a_table_for_its_owner(export: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    found = run("cohort", export, "--out", table, "--now", NOW, "--processes", 1)
    assert found.exit_code == 0, found.output
    assert "4 patients" in found.output
    assert "trough.cml-below-target" in found.output
    with table.open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(NAMES)
    low = next(row for row in written if "trough.cml-below-target" in row["said"].split())
    assert float(low["trough_low_ng_ml"]) < float(low["trough_ng_ml"]) < 1000
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    assert not table.with_name("rows.csv.part").exists()


def test_a_file_that_lay_there_lends_the_table_neither_its_rights_nor_its_place(
    export: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched", encoding="utf-8")
    (tmp_path / "rows.csv.part").symlink_to(elsewhere)
    table = tmp_path / "rows.csv"
    table.touch(mode=0o644)
    found = run("cohort", export, "--out", table, "--now", NOW, "--processes", 1)
    assert found.exit_code == 0, found.output
    assert elsewhere.read_text(encoding="utf-8") == "untouched"
    assert stat.S_IMODE(table.stat().st_mode) == 0o600


def test_a_run_that_is_cut_short_leaves_no_patient_data(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(sums: Sums, row: Row) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sums, "add", interrupted)
    found = run("cohort", export, "--out", tmp_path / "rows.csv", "--now", NOW, "--processes", 1)
    assert found.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_lines_of_json_hold_the_words_of_each_finding(export: Path, tmp_path: Path) -> None:
    lines = tmp_path / "rows.ndjson"
    assert run("cohort", export, "--out", lines, "--now", NOW, "--processes", 1).exit_code == 0
    written = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [row["patient"] for row in written] == sorted(row["patient"] for row in written)
    assert all(said["summary"] for row in written for said in row["said"])


def test_what_could_not_be_read_is_told_and_ends_with_one(export: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(export, copy)
    with (copy / "Observation.ndjson").open("a", encoding="utf-8") as file:
        file.write("{oops\n")
    found = run("cohort", copy, "--now", NOW, "--processes", 1)
    assert found.exit_code == 1
    assert "1 part of the export could not be read" in found.output
    assert "Observation.ndjson line" in found.output


def test_wrong_usage_names_the_cure(export: Path, tmp_path: Path) -> None:
    ending = run("cohort", export, "--out", tmp_path / "rows.xlsx", "--processes", 1)
    empty = tmp_path / "empty"
    empty.mkdir()
    nobody = run("cohort", empty)
    assert (ending.exit_code, nobody.exit_code) == (2, 2)
    assert "neither in .csv nor in .ndjson" in ending.output
    assert "neither NDJSON files (*.ndjson) nor Bundles" in nobody.output


def test_a_lost_patient_counts_as_nothing_else() -> None:
    sums = Sums()
    sums.add(Row("a", PLAN.at, LOST, "the process that read this record ended"))
    assert sums.lost == {"the process that read this record ended": 1}
    assert not sums.urgency
    assert not sums.rules
