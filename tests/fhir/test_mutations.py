"""Damaged resources: nothing in the input makes `gather` raise, and no damage invents a dose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from cds.clinical.problem import Impact
from cds.clinical.record import PatientRecord
from cds.clinical.regimen import DrugOrder, OrderStatus
from cds.fhir.elements import LONGEST_TEXT
from cds.fhir.gather import gather
from cds.fhir.passed import Passed
from cds.fhir.validate import read_resource, read_resources, warm
from tests.fhir.factories import (
    DRUG,
    ICD10,
    IMATINIB_400,
    LOINC,
    NOW,
    PATIENT,
    RXNORM,
    SNOMED,
    TERMINOLOGY,
    ZONE,
    coded,
    dosage,
    judged,
    lab,
    level,
    quantity,
    request,
)

SHAPES = {
    case["id"]: case["resource"] | {"id": case["id"]}
    for case in json.loads(
        (Path(__file__).parent / "data" / "dosage_shapes.json").read_text(), parse_float=Decimal
    )["cases"]
}
_SUBJECT = {"subject": {"reference": "Patient/p"}}
OTHERS: list[dict[str, Any]] = [
    PATIENT,
    level(
        note=[{"text": "24 h post dose"}],
        identifier=[{"value": "1"}],
        specimen={"reference": "Specimen/s"},
        partOf=[{"reference": "MedicationAdministration/a"}],
        component=[{"code": {"text": "last dose"}, "valueDateTime": "2024-05-19T08:00:00Z"}],
        meta={"versionId": "1", "lastUpdated": "2024-05-20T08:00:00Z"},
    ),
    lab("1975-2", 2.4, "mg/dL", referenceRange=[{"high": quantity(1.2, "mg/dL")}]),
    lab("2106-3", 0, "", valueCodeableConcept=coded(SNOMED, "10828004")),
    {
        "resourceType": "Specimen",
        "id": "s",
        "collection": {"collectedDateTime": "2024-05-20T08:00:00Z"},
        "type": coded(SNOMED, "119361006"),
    },
    {
        "resourceType": "MedicationAdministration",
        "id": "a",
        "status": "completed",
        "medicationCodeableConcept": IMATINIB_400,
        "effectiveDateTime": "2024-05-19T08:00:00+02:00",
        "dosage": {"dose": quantity(400, "mg")},
    }
    | _SUBJECT,
    {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "active",
        "medicationCodeableConcept": IMATINIB_400,
        "effectivePeriod": {"start": "2024-02-01"},
        "dosage": [dosage(300)],
    }
    | _SUBJECT,
    {
        "resourceType": "MedicationDispense",
        "id": "d",
        "status": "completed",
        "medicationCodeableConcept": IMATINIB_400,
        "whenHandedOver": "2024-04-01",
        "daysSupply": {"value": 30, "unit": "d"},
    }
    | _SUBJECT,
    request("o", medicationCodeableConcept=coded(RXNORM, "9384", "rifampin")),
    {
        "resourceType": "Condition",
        "id": "c",
        "code": coded(ICD10, "C92.10"),
        "onsetPeriod": {"start": "2020"},
    }
    | _SUBJECT,
    {
        "resourceType": "AllergyIntolerance",
        "id": "x",
        "patient": {"reference": "Patient/p"},
        "code": coded(RXNORM, "282388"),
    },
    level(id="g", code=coded(LOINC, "69548-6"), valueString="T315I", valueQuantity=None),
]

_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2, 10**12, Decimal("0.5"), Decimal("1E+40"), 1.5])
    | st.sampled_from(["", " ", "x", "400", "mg", "d", "active", "Patient/p", "#m", "2024-05-01"])
    | st.sampled_from(["2024-05-01T08:00:00", "24:00:00", "http://loinc.org", "\x00", "🜨", "BID"])
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "unit", "code", "text", "coding", "reference", "repeat"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", autouse=True)
def _warm_models() -> None:
    warm()


def _read(*resources: Any, drafts: Any = ()) -> PatientRecord:
    return gather(
        PATIENT, resources, drafts, drug=DRUG, terminology=TERMINOLOGY, zone=ZONE, now=NOW
    )


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value except the whole."""
    found = [here] if here else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*here, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (*here, index))
    return found


def _holder(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value


@st.composite
def damaged(draw: st.DrawFn, pool: list[dict[str, Any]]) -> dict[str, Any]:
    """A resource of the pool with one to three places dropped, replaced or doubled."""
    resource = deepcopy(draw(st.sampled_from(pool)))
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(resource)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        holder, last = _holder(resource, path), path[-1]
        match draw(st.sampled_from(["drop", "replace", "rename", "double", "list"])):
            case "drop":
                del holder[last]
            case "replace":
                holder[last] = draw(_JUNK)
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["medication", "taken", "dose", "x"]))] = holder.pop(
                    last
                )
            case "double" if isinstance(holder, list):
                holder.append(deepcopy(holder[last]))
            case _:
                holder[last] = [holder[last]]
    return resource


@given(damaged([*SHAPES.values(), *OTHERS]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_remembered_changes_nothing(resource: dict[str, Any]) -> None:
    memory = Passed()
    for known in (*SHAPES.values(), *OTHERS):
        read_resource(known, memory)

    first = judged(read_resource(resource, memory))
    again = judged(read_resource(resource, memory))

    assert first == again == judged(read_resource(resource, Passed()))


@given(st.lists(damaged([*SHAPES.values(), *OTHERS]) | st.sampled_from(OTHERS), max_size=4))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_record_that_is_remembered_is_read_as_each_resource_alone(
    record: list[dict[str, Any]],
) -> None:
    alone = [judged(read_resource(resource, Passed())) for resource in record]
    memory = Passed()
    for _ in range(3):
        assert [judged(reading) for reading in read_resources(record, memory)] == alone


def _numbers(value: Any) -> set[float]:
    """Every number that stands in a resource, as a number or in words."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, (int, float, Decimal)):
        return {float(value)}
    if isinstance(value, str):
        return {float(found) for found in re.findall(r"\d+(?:\.\d+)?", value)} | {
            number for word, number in (("half", 0.5), ("one", 1.0), ("two", 2.0)) if word in value
        }
    items = value.values() if isinstance(value, dict) else value
    return {number for item in items for number in _numbers(item)}


def _could_be_stated(mg: float, numbers: set[float]) -> bool:
    """Whether a dose follows from the numbers stated: n mg, n g, n tablets, n mL, a sum."""
    per_unit = {1.0, 1000.0, 0.001, *DRUG.strengths_mg, DRUG.solution_mg_ml or 1.0, *numbers}
    single = {n * unit for n in {*numbers, 1.0} for unit in per_unit}
    near = {s for s in single if abs(s - mg) <= 0.011 * abs(mg) + 1e-3}
    return bool(near) or any(abs(a + b - mg) < 1e-3 for a in numbers for b in numbers)


def _without(resource: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != name}


def _ends_another(order: DrugOrder) -> bool:
    """Whether the prescriber is ending or holding an earlier order, which needs no dose."""
    ends = {OrderStatus.STOPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.ON_HOLD}
    return order.is_draft and order.status in ends


_SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(resource=damaged(list(SHAPES.values())), as_draft=st.booleans())
@example(resource=_without(SHAPES["S57"], "dosageInstruction"), as_draft=True)
@_SETTINGS
def test_a_damaged_order_never_raises_and_never_invents_a_dose(
    resource: dict[str, Any], as_draft: bool
) -> None:
    record = _read(drafts=[resource]) if as_draft else _read(resource)
    numbers = _numbers(resource)
    for order in record.orders:
        if not order.regimens and not _ends_another(order):
            assert record.problems  # a dose that cannot be read is always said
        for regimen in order.regimens:
            assert regimen.cycle_h > 0
            for dose in regimen.doses:
                assert dose.amount_mg > 0
                assert _could_be_stated(dose.amount_mg, numbers), (dose.amount_mg, numbers)


@given(
    damaged=st.lists(damaged([*OTHERS, *SHAPES.values()]), min_size=1, max_size=4),
    sound=st.sampled_from([level(id="sound"), lab("777-3", 150, "10*9/L", id="sound")]),
)
@_SETTINGS
def test_damaged_resources_never_raise_and_never_take_a_sound_one_with_them(
    damaged: list[dict[str, Any]], sound: dict[str, Any]
) -> None:
    record = _read(*damaged, sound)
    assert any(found.reference == "Observation/sound" for found in (*record.levels, *record.labs))


_STRANGERS = [
    json.loads(json.dumps(resource, default=float).replace('"Patient/p"', '"Patient/q"'))
    for resource in [*OTHERS[1:], *SHAPES.values()]
]


@given(damaged(_STRANGERS))
@_SETTINGS
def test_no_damage_makes_another_patients_data_this_patients(resource: dict[str, Any]) -> None:
    assume("Patient/p" not in json.dumps(resource, default=str))
    record = _read(resource)
    assert (record.orders, record.taken, record.supplies, record.levels) == ((), (), (), ())
    assert not (record.labs)
    assert not (record.medicines)
    assert not (record.conditions)
    assert not (record.allergies)
    assert not (record.genes)


@given(st.lists(_JUNK, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_json_at_all_is_read_without_an_error(junk: list[Any]) -> None:
    record = _read(*junk, drafts=[{"resourceType": "Bundle", "entry": junk}])
    assert not record.mentions_drug


_CANONICAL = ["S01", "S04", "S09", "S16", "S24", "S36", "S43", "S64", "S71"]


@pytest.mark.parametrize("case_id", _CANONICAL)
def test_leaving_out_any_one_element_gives_the_same_dose_or_a_question(case_id: str) -> None:
    whole = SHAPES[case_id]
    expected = _read(whole).orders[0].regimens[0].daily_mg
    for path in _paths(whole):
        damaged = deepcopy(whole)
        del _holder(damaged, path)[path[-1]]
        record = _read(damaged)
        for order in record.orders:
            for regimen in order.regimens:
                assert regimen.daily_mg == expected, path
        if not any(order.regimens for order in record.orders):
            assert record.problems or record.medicines, path


# --- metamorphic: what is the same must read the same ---


@given(
    value=st.decimals(min_value=10, max_value=9000, places=1),
    unit=st.sampled_from([("ng/mL", 1), ("ug/L", 1), ("mg/L", 1000)]),
    shift_h=st.sampled_from([-11, -5, 0, 2, 9]),
    copies=st.integers(1, 3),
    seed=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_unit_zone_order_and_copies_do_not_change_the_record(
    value: Decimal, unit: tuple[str, int], shift_h: int, copies: int, seed: Any
) -> None:
    at = NOW - timedelta(days=10)
    plain = level(valueQuantity={"value": value, "unit": "ng/mL"}, effectiveDateTime=at.isoformat())
    local = at.replace(tzinfo=None) + timedelta(hours=shift_h)
    written = f"{local.isoformat()}{'-' if shift_h < 0 else '+'}{abs(shift_h):02}:00"
    other = level(
        valueQuantity={"value": value / unit[1], "unit": unit[0]}, effectiveDateTime=written
    )
    story = [request(), lab("777-3", 150, "10*9/L"), *OTHERS[5:8]]
    shuffled = [*story, other] * copies
    seed.shuffle(shuffled)
    one, two = _read(plain, *story), _read(*shuffled)
    assert (two.orders, two.labs, two.taken, two.supplies) == (
        one.orders,
        one.labs,
        one.taken,
        one.supplies,
    )
    assert two.problems == one.problems
    (left,), (right,) = one.levels, two.levels
    assert (left.ng_ml, left.sampled, left.timing) == (right.ng_ml, right.sampled, right.timing)


def _with_each_text(value: Any, new: str) -> Iterator[Any]:
    """Copies of a JSON value in each of which one text is another."""
    if isinstance(value, str):
        yield new
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from ({**value, key: other} for other in _with_each_text(item, new))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            for other in _with_each_text(item, new):
                yield [*value[:place], other, *value[place + 1 :]]


@pytest.mark.parametrize("resource", [*OTHERS, *SHAPES.values()], ids=lambda r: str(r.get("id")))
def test_a_text_too_long_to_be_read_never_raises(resource: dict[str, Any]) -> None:
    for changed in _with_each_text(resource, "x" * (LONGEST_TEXT + 1)):
        _read(changed, drafts=[changed])


@pytest.mark.parametrize(
    ("resource", "impact"),
    [
        (level(note=[{"text": "last dose 08:00 " * 2000}]), Impact.PREVENTS),
        (level(code=coded(LOINC, "57844-3", "imatinib " * 3000)), Impact.PREVENTS),
        (level(code={"text": "imatinib level " * 2000}), Impact.LIMITS),
        (request(dosageInstruction=[{"text": "1 tablet daily " * 2000}]), Impact.PREVENTS),
        (
            request(medicationCodeableConcept={"text": "imatinib 400 mg " * 2000}),
            Impact.PREVENTS,
        ),
        (level(code=coded(LOINC, "1-8", *["T315I " * 2000]) | {"text": "x" * 9000}), Impact.LIMITS),
    ],
)
def test_a_text_too_long_to_be_read_is_said(resource: dict[str, Any], impact: Impact) -> None:
    record = _read(resource)

    assert [(found.code, found.impact) for found in record.problems] == [("text-too-long", impact)]
