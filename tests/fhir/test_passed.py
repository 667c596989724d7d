"""The memory of what passed the models: exact, bounded, and empty of data."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cds.fhir import validate
from cds.fhir.passed import Passed
from cds.fhir.validate import read_resource
from tests.fhir.factories import level, request


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


def test_a_resource_that_changed_in_one_value_is_asked_about_again(asked: list[str]) -> None:
    memory = Passed()
    read_resource(request(), memory)
    assert read_resource(request(authoredOn="yesterday"), memory).resource is None
    assert asked == ["MedicationRequest"] * 2


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


def test_values_that_are_only_equal_to_python_have_different_digests() -> None:
    memory = Passed()
    values = [1, 1.0, True, "1", Decimal(1), Decimal("1.0"), [1], {"x": 1}, None, "True"]
    assert len({memory.digest({"value": value}) for value in values}) == len(values)


def test_no_text_can_imitate_another_structure() -> None:
    memory = Passed()
    assert memory.digest({"a": "x', 'b': 'y"}) != memory.digest({"a": "x", "b": "y"})
    assert memory.digest({"a": "Decimal('1')"}) != memory.digest({"a": Decimal(1)})


def test_two_processes_do_not_give_comparable_digests() -> None:
    assert Passed().digest(level()) != Passed().digest(level())


def test_the_memory_has_a_fixed_size_and_never_invents() -> None:
    memory = Passed(places=2)
    size = len(memory._table)
    digests = [memory.digest({"n": n}) for n in range(50)]
    for digest in digests:
        assert digest not in memory
        memory.add(digest)
        assert digest in memory
    assert len(memory._table) == size == 32
    assert sum(digest in memory for digest in digests) <= 2


def test_the_memory_holds_a_digest_and_nothing_of_the_resource() -> None:
    memory = Passed(places=1)
    read_resource(request(), memory)
    assert bytes(memory._table) == memory.digest(request())
