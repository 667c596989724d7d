"""Bundles of every type hold one record: their resources name each other by `Type/id`."""

from __future__ import annotations

from typing import Any

import pytest

from cds.fhir.whole_bundle import resources_in

URN = "urn:uuid:0b8f2c1e-0000-4000-8000-00000000000"
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "o",
    "subject": {"reference": f"{URN}1"},
    "medicationReference": {"reference": f"{URN}2"},
    "reasonReference": [{"reference": "Condition/c"}],
}


def _bundle(*entries: Any, kind: str = "collection") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def test_references_to_what_a_transaction_calls_its_entries_name_their_ids() -> None:
    patient = {"fullUrl": f"{URN}1", "resource": {"resourceType": "Patient", "id": "p"}}
    medicine = {"fullUrl": f"{URN}2", "resource": {"resourceType": "Medication"}}

    _, medication, order = resources_in(
        _bundle(patient, medicine, {"resource": ORDER}, kind="transaction")
    )

    assert order["subject"] == {"reference": "Patient/p"}
    assert medication["id"] == URN.removeprefix("urn:uuid:") + "2"
    assert order["medicationReference"] == {"reference": f"Medication/{medication['id']}"}
    assert order["reasonReference"] == [{"reference": "Condition/c"}]
    assert ORDER["subject"] == {"reference": f"{URN}1"}  # what was given is left as it was


def test_an_address_gives_its_id_to_a_resource_without_one() -> None:
    url = "https://fhir.example.org/r4/Patient/p"
    ours, other = resources_in(
        _bundle(
            {"fullUrl": url, "resource": {"resourceType": "Patient"}},
            {"fullUrl": url, "resource": {"resourceType": "Condition"}},
        )
    )

    assert ours["id"] == "p"
    assert "id" not in other


def test_answers_to_a_batch_are_opened_and_searches_keep_what_they_included() -> None:
    search = _bundle({"search": {"mode": "include"}, "resource": ORDER}, kind="searchset")
    answer = {"response": {"status": "200"}, "resource": search}

    assert resources_in(_bundle(answer, {"response": {"status": "201"}})) == [ORDER]


@pytest.mark.parametrize("entry", [None, {}, "x", [None], [{"resource": None}], [["x"]], [{}]])
def test_what_is_no_entry_is_left_out(entry: Any) -> None:
    assert resources_in({"resourceType": "Bundle", "entry": entry}) == []


def test_depth_is_bounded() -> None:
    nested: Any = ORDER
    for _ in range(5000):
        nested = _bundle({"resource": nested})
    patient = {"fullUrl": f"{URN}1", "resource": {"resourceType": "Patient", "id": "p"}}

    assert [r["resourceType"] for r in resources_in(_bundle({"resource": nested}, patient))] == [
        "Bundle",
        "Patient",
    ]
