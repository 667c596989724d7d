"""The memory of what passed the models: bounded, and empty of data."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cds.fhir import validate
from cds.fhir.form import form, written
from cds.fhir.passed import Passed
from cds.fhir.validate import read_resource, read_resources
from tests.fhir.factories import judged, lab, level, request


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of resource that the models were asked about."""
    kinds: list[str] = []
    model = validate._model

    def counted(kind: str) -> Any:
        kinds.append(kind)
        return model(kind)

    monkeypatch.setattr(validate, "_model", counted)
    return kinds


def test_the_models_are_asked_once_about_the_same_content(asked: list[str]) -> None:
    memory = Passed()
    readings = [read_resource(request(), memory) for _ in range(3)]
    assert asked == ["MedicationRequest"]
    assert [reading.resource for reading in readings] == [request()] * 3


def test_a_memory_that_forgot_asks_again(asked: list[str]) -> None:
    memory = Passed()
    read_resource(request(), memory)
    memory.forget()
    read_resource(request(), memory)
    assert asked == ["MedicationRequest"] * 2


def test_the_models_are_asked_once_about_results_of_the_same_test(asked: list[str]) -> None:
    memory = Passed()
    results = [
        lab("777-3", 150, "10*9/L"),
        lab(
            "777-3",
            Decimal("80.5"),
            "10*9/L",
            id="b",
            effectiveDateTime="2024-02-28T23:10:00+02:00",
        ),
    ]
    assert [read_resource(result, memory).resource for result in results] == results
    assert asked == ["Observation"]


def test_a_resource_that_changed_in_what_matters_is_asked_about_again(asked: list[str]) -> None:
    memory = Passed()
    read_resource(request(), memory)
    assert read_resource(request(authoredOn="yesterday"), memory).resource is None
    assert asked == ["MedicationRequest"] * 2


def test_what_is_written_with_spaces_and_nulls_is_tidied_though_its_form_is_known() -> None:
    memory = Passed()
    read_resource(request(), memory)
    for untidy in ({"id": " order-1 "}, {"groupIdentifier": None}, {"note": [{"text": ""}]}):
        reading = read_resource(request(**untidy), memory)
        assert reading.resource == request() | {"id": reading.resource["id"]}
        assert reading.resource["id"] == reading.resource["id"].strip()


def test_a_modifier_is_refused_though_the_rest_is_known() -> None:
    memory = Passed()
    read_resource(request(), memory)
    for _ in range(2):
        reading = read_resource(request(modifierExtension=[{"url": "x"}]), memory)
        assert [found.code for found in reading.problems] == ["modifier-extension"]


@pytest.mark.parametrize("fields", [{"authoredOn": "2024-01-01T08:00:00"}, {"foo": 1}, {"id": "_"}])
def test_what_needed_a_repair_is_repaired_and_said_each_time(fields: dict[str, Any]) -> None:
    memory = Passed()
    assert read_resource(request(**fields), memory) == read_resource(request(**fields), memory)
    assert not any(memory._table)


def test_a_status_that_r4_does_not_define_is_refused_each_time() -> None:
    memory = Passed()
    for _ in range(2):
        reading = read_resource(request(status="finished"), memory)
        assert [found.code for found in reading.problems] == ["status-unknown"]


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The forms that were looked up one by one."""
    forms: list[bytes] = []
    digest = Passed.digest

    def noted(self: Passed, resource: bytes) -> bytes:
        forms.append(resource)
        return digest(self, resource)

    monkeypatch.setattr(Passed, "digest", noted)
    return forms


def test_a_record_whose_forms_were_all_known_is_looked_up_as_one(looked_up: list[bytes]) -> None:
    memory, record = Passed(), [request(), level(), lab("777-3", 150, "10*9/L")]
    for forms in (3, 6, 6, 6):  # in the second reading all are known one by one
        readings = read_resources(record, memory)
        assert [reading.resource for reading in readings] == record
        assert len(looked_up) == forms


@pytest.mark.parametrize(
    "other",
    [
        [request(), level(), lab("777-3", 151, "10*9/L")],
        [level(), request(), lab("777-3", 150, "10*9/L")],
        [request(), level()],
    ],
    ids=["another value", "another order", "one less"],
)
def test_another_record_is_looked_up_form_by_form(
    other: list[dict[str, Any]], looked_up: list[bytes]
) -> None:
    memory = Passed()
    for _ in range(2):
        read_resources([request(), level(), lab("777-3", 150, "10*9/L")], memory)
    looked_up.clear()
    read_resources(other, memory)
    assert len(looked_up) == len(other)


def test_results_of_one_form_are_looked_up_once_in_a_record(looked_up: list[bytes]) -> None:
    memory = Passed()
    first, *others = (lab("777-3", 150 + n, "10*9/L", id=f"l{n}") for n in range(5))
    read_resource(first, memory)
    looked_up.clear()
    readings = read_resources([*others, level()], memory)
    assert [reading.resource for reading in readings] == [*others, level()]
    assert len(looked_up) == 2


@pytest.mark.parametrize(
    "fields", [{"status": " active "}, {"priority": None}, {"status": "finished"}, {"taken": "n"}]
)
def test_a_record_with_something_to_repair_or_refuse_is_judged_each_time(
    fields: dict[str, Any],
) -> None:
    memory, record = Passed(), [request(), request("o", **fields)]
    read_resources([request(), request("o")], memory)
    first, *others = (
        [judged(reading) for reading in read_resources(record, memory)] for _ in range(3)
    )
    alone = [judged(read_resource(each, Passed())) for each in record]
    assert others == [first, first] == [alone] * 2


def test_two_processes_do_not_give_comparable_digests() -> None:
    assert Passed().digest(written(level())) != Passed().digest(written(level()))


def test_the_memory_has_a_fixed_size_and_never_invents() -> None:
    memory = Passed(places=2)
    size = len(memory._table)
    digests = [memory.digest(written({"n": n})) for n in range(50)]
    for digest in digests:
        assert digest not in memory
        memory.add(digest)
        assert digest in memory
    assert len(memory._table) == size == 32
    assert sum(digest in memory for digest in digests) <= 2


def test_the_memory_holds_a_digest_and_nothing_of_the_resource() -> None:
    memory = Passed(places=1)
    read_resource(request(), memory)
    assert bytes(memory._table) == memory.digest(form(written(request())))
