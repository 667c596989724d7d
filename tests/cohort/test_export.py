"""Finding patients in an export: nothing is dropped in silence, and no content is repeated."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds.cohort.export import ExportError, index_export, resources_at
from tests.cohort.build import bulk_export, bundles, story

KINDS = frozenset({"Patient", "Observation", "MedicationRequest", "Condition"})
SECRET = "Mustermann-1961"


def _line(kind: str, **more: object) -> str:
    return json.dumps({"resourceType": kind, **more})


def _write(directory: Path, *lines: str, name: str = "all.ndjson") -> Path:
    (directory / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def test_every_resource_of_a_patient_is_found_again(tmp_path: Path) -> None:
    export = index_export(bulk_export(tmp_path, "cml-low-trough", "cml-refill-gap"), KINDS)
    names = ("cml-low-trough", "cml-refill-gap")
    expected = {
        entry["resource"]["id"]
        for name in names
        for entry in story(name)["entry"]
        if entry["resource"]["resourceType"] in KINDS
    }
    found = [r["id"] for s in export.subjects for r in resources_at(s.places)]
    assert len(export.subjects) == 2
    assert sorted(found) == sorted(expected)
    assert export.unread == ()


def test_a_bundle_keeps_its_own_moment_and_the_name_of_its_file(tmp_path: Path) -> None:
    (subject,) = index_export(bundles(tmp_path, "cml-low-trough"), KINDS).subjects
    assert subject.name == "cml-low-trough"
    assert subject.at is not None
    assert subject.at.isoformat() == "2026-11-20T10:00:00+00:00"


def test_orders_bring_the_medicine_they_refer_to(tmp_path: Path) -> None:
    order = {
        "subject": {"reference": "Patient/a"},
        "medicationReference": {"reference": "Medication/m"},
    }
    _write(
        tmp_path,
        _line("Medication", id="m"),
        _line("Medication", id="other"),
        _line("MedicationRequest", id="o", **order),
        _line("Patient", id="b"),
    )
    first, second = index_export(tmp_path, KINDS).subjects
    assert [r["id"] for r in resources_at(first.places)] == ["o", "m"]
    assert [r["id"] for r in resources_at(second.places)] == ["b"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f'{{"resourceType": "Patient", "id": "{SECRET}"', "not JSON"),
        (f'["{SECRET}"]', "not a resource"),
        (_line("Observation", id=SECRET), "this Observation names no patient"),
        (_line("Observation", subject={"reference": "Group/g"}, id=SECRET), "names no patient"),
        (_line("Observation", subject={"reference": 7}, id=SECRET), "names no patient"),
        (_line("Patient", name=[{"text": SECRET}]), "this Patient names no patient"),
        (_line("Patient", id="a", name=[{"text": SECRET + "x" * 2**21}]), "longer than 2 MiB"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_place(
    tmp_path: Path, line: str, why: str
) -> None:
    _write(tmp_path, _line("Patient", id="fine"), line)
    export = index_export(tmp_path, KINDS)
    (said,) = export.unread
    assert said.startswith("all.ndjson line 2: ")
    assert why in said
    assert SECRET not in said
    assert [s.name for s in export.subjects] == ["fine"]


def test_what_no_rule_reads_is_counted(tmp_path: Path) -> None:
    _write(tmp_path, _line("Patient", id="a"), *[_line("Encounter", id=str(n)) for n in range(3)])
    assert index_export(tmp_path, KINDS).unused == {"Encounter": 3}


@pytest.mark.parametrize(
    ("bundle", "why"),
    [
        ("{", "not JSON"),
        ('{"resourceType": "Patient"}', "not a Bundle"),
        ('{"resourceType": "Bundle"}', "holds 0 patients"),
        (
            '{"resourceType": "Bundle", "timestamp": "2026-11-20T10:00:00", '
            '"entry": [{"resource": {"resourceType": "Patient", "id": "a"}}]}',
            "names no zone",
        ),
        (
            '{"resourceType": "Bundle", "timestamp": "9999-12-31T23:59:59-14:00", '
            '"entry": [{"resource": {"resourceType": "Patient", "id": "a"}}]}',
            "not of our time",
        ),
        (
            '{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}',
            "neither an id nor a fullUrl",
        ),
    ],
)
def test_a_bundle_that_cannot_be_used_is_named(tmp_path: Path, bundle: str, why: str) -> None:
    bundles(tmp_path, "cml-low-trough")
    (tmp_path / "odd.json").write_text(bundle, encoding="utf-8")
    export = index_export(tmp_path, KINDS)
    (said,) = export.unread
    assert said.startswith("odd.json: ")
    assert why in said
    assert len(export.subjects) == 1


def test_what_is_named_like_a_file_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    bundles(tmp_path, "cml-low-trough")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "gone.ndjson").symlink_to(tmp_path / "nowhere")

    export = index_export(tmp_path, KINDS)

    assert len(export.subjects) == 1
    assert sorted(why.split(":")[0] for why in export.unread) == [
        "folder.json",
        "gone.json",
        "gone.ndjson",
    ]
    assert all("cannot be read" in why for why in export.unread)


def test_a_transaction_that_gives_no_ids_yet_is_one_patient(tmp_path: Path) -> None:
    url = "urn:uuid:0b8f2c1e-0000-4000-8000-000000000001"
    order = {"resourceType": "MedicationRequest", "subject": {"reference": url}}
    entries = [
        {"fullUrl": url, "resource": {"resourceType": "Patient"}},
        {"fullUrl": url[:-1] + "2", "resource": order},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (tmp_path / "one.json").write_text(json.dumps(bundle), encoding="utf-8-sig")

    (subject,) = index_export(tmp_path, KINDS).subjects
    _, found = resources_at(subject.places)

    assert found["subject"] == {"reference": f"Patient/{subject.patient_id}"}


def test_a_byte_order_mark_hides_no_line(tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_text(_line("Patient", id="a"), encoding="utf-8-sig")

    export = index_export(tmp_path, KINDS)

    assert export.unread == ()
    assert [r["id"] for r in resources_at(export.subjects[0].places)] == ["a"]


def test_an_export_without_files_or_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="neither NDJSON"):
        index_export(tmp_path, KINDS)
    _write(tmp_path, _line("Observation", id="o"))
    with pytest.raises(ExportError, match="no patient"):
        index_export(tmp_path, KINDS)


def test_a_compressed_export_says_how_to_unpack_it(tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson.gz").write_bytes(b"")
    with pytest.raises(ExportError, match="gunzip"):
        index_export(tmp_path, KINDS)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), ending=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_order_of_lines_and_empty_lines_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, ending: str
) -> None:
    lines = [_line("Patient", id=p) for p in "abc"]
    lines += [
        _line(
            "Observation", id=f"{p}{n}", subject={"reference": f"Patient/{p}"}, note=[{"text": "é"}]
        )
        for p in "abc"
        for n in range(3)
    ]
    random.Random(seed).shuffle(lines)
    directory = tmp_path_factory.mktemp("export")
    (directory / "all.ndjson").write_bytes(ending.join(lines).encode())
    for subject in index_export(directory, KINDS).subjects:
        found = sorted(r["id"] for r in resources_at(subject.places))
        assert found == [subject.name, *(f"{subject.name}{n}" for n in range(3))]
