"""What the form of a resource leaves out cannot matter to the models."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import fhir.resources.R4B
import pytest
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cds.fhir import form as form_module
from cds.fhir.form import form as form_of
from cds.fhir.form import written
from cds.fhir.no_dates import has_placeholder
from cds.fhir.passed import Passed
from cds.fhir.validate import read_resource
from tests.fhir.factories import lab, level, request
from tests.fhir.test_mutations import OTHERS, SHAPES, damaged

_ENDINGS = tuple(re.findall(r"[A-Za-z]{4}", form_module._DATED))
_DAYS = st.from_regex(
    re.compile(rf"{form_module._YEAR}-{form_module._DAY}", re.ASCII), fullmatch=True
).filter(lambda day: not has_placeholder({"date": day}))
_CLOCKS = st.from_regex(re.compile(form_module._CLOCK, re.ASCII), fullmatch=True)
_ZONES = st.sampled_from(["Z", "+02:00", "-13:59"])


def _times(zone: str) -> st.SearchStrategy[str]:
    return st.builds(lambda day, clock: day + clock + zone, _DAYS, _CLOCKS)


_PLACES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True),
    "reference": st.from_regex(r"[A-Z][A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64}", fullmatch=True),
    "value": st.integers(-999_999_999, 999_999_999)
    | st.decimals(-999_999_999, 999_999_999, places=3),
    "text": st.from_regex(r"[!#-\[\]-~]([^\"\\\x00-\x1f]*[!#-\[\]-~])?", fullmatch=True),
}


def form(resource: dict[str, Any]) -> bytes:
    """The form of a resource as JSON holds it."""
    return form_of(written(resource))


@cache
def _types_under(name: str) -> list[TypeAdapter[Any]]:
    """Every type that an element of this name, or with this ending, has in any R4B model."""
    found: dict[str, Any] = {}
    for module in iter_modules(fhir.resources.R4B.__path__):
        if module.ispkg:
            continue
        for model in vars(import_module(f"fhir.resources.R4B.{module.name}")).values():
            if not (isinstance(model, type) and issubclass(model, FHIRAbstractModel)):
                continue
            for key, field in model.model_fields.items():
                alias = field.alias or key
                if alias == name or (name in _ENDINGS and alias.endswith(name)):
                    found[str(field.annotation)] = field.annotation
    return [TypeAdapter(annotation) for annotation in found.values()]


def _takes(kind: TypeAdapter[Any], value: Any) -> bool:
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", _PLACES)
def test_every_model_takes_all_values_that_are_left_out_or_none(name: str) -> None:
    types = _types_under(name)
    assert types

    @given(one=_PLACES[name], other=_PLACES[name])
    @settings(max_examples=150, deadline=None)
    def judged_alike(one: Any, other: Any) -> None:
        assert form({name: one}) == form({name: other}), "both are left out of the form"
        for kind in types:
            assert _takes(kind, one) == _takes(kind, other), kind

    judged_alike()


@pytest.mark.parametrize("ending", _ENDINGS)
def test_every_model_takes_all_dates_that_are_left_out_or_none(ending: str) -> None:
    types = _types_under(ending)
    assert types

    @given(days=st.tuples(_DAYS, _DAYS), zone=_ZONES, data=st.data())
    @settings(max_examples=60, deadline=None)
    def judged_alike(days: tuple[str, str], zone: str, data: st.DataObject) -> None:
        times = data.draw(st.tuples(_times(zone), _times(zone)))
        for one, other in (days, times):
            assert form({f"x{ending}": one}) == form({f"x{ending}": other})
            for kind in types:
                assert _takes(kind, one) == _takes(kind, other), kind

    judged_alike()


def _restated(value: Any, draw: Any, key: str = "") -> Any:
    """The same resource with another value wherever the form has none."""
    if isinstance(value, dict):
        return {name: _restated(item, draw, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_restated(item, draw) for item in value]
    if re.search(rb'":[A-Z]', form({key: value})):  # a mark, which no JSON value begins like
        if key.endswith(_ENDINGS):
            zone = re.search(r"(?:Z|[+-]\d\d:\d\d)$", value) if "T" in value else None
            return draw(_times(zone[0]) if zone else _DAYS)
        return draw(_PLACES[key])
    return value


@given(resource=damaged([*SHAPES.values(), *OTHERS]), data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_resources_of_one_form_are_judged_alike(
    resource: dict[str, Any], data: st.DataObject
) -> None:
    other = _restated(resource, data.draw)
    one, two = read_resource(resource, Passed()), read_resource(other, Passed())
    assert (one.resource is None) == (two.resource is None)
    assert [found.code for found in one.problems] == [found.code for found in two.problems]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"effectiveDateTime": "2024-02-28"}, {"effectiveDateTime": "2024-02-30"}),
        ({"effectiveDateTime": "2024-02-28"}, {"effectiveDateTime": "2024-02-28T08:00:00Z"}),
        ({"effectiveDateTime": "2024-02-28T08:00:00Z"}, {"effectiveDateTime": "2024-02-28T08:00Z"}),
        (
            {"effectiveDateTime": "2024-02-28T08:00:00Z"},
            {"effectiveDateTime": "2024-02-28T08:00:00"},
        ),
        ({"id": "a"}, {"id": "a_b"}),
        ({"id": "a"}, {"id": "a" * 65}),
        ({"status": "final"}, {"status": "amended"}),
        ({"note": [{"text": "a"}]}, {"note": [{"text": " a"}]}),
        ({"note": [{"text": "a"}]}, {"note": [{"text": ""}]}),
        ({"subject": {"reference": "Patient/p"}}, {"subject": {"reference": 1}}),
    ],
)
def test_what_could_matter_stays_in_the_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert form(level(**one)) != form(level(**other))


@pytest.mark.parametrize("day", ["1900-01-01", "1900-12-31", "1970-01-01", "1969-12-31"])
@pytest.mark.parametrize("clock", ["", "T00:00:00Z", "T23:59:59.5+01:00"])
def test_a_date_that_nobody_entered_stays_in_the_form(day: str, clock: str) -> None:
    assert form({"issued": day + clock}) == f'{{"issued":"{day}{clock}"}}'.encode()
    assert form({"issued": f"1971-02-03{clock}"}) != f'{{"issued":"1971-02-03{clock}"}}'.encode()


@pytest.mark.parametrize("none", ["1970-01-01", "1969-12-31", "1900-05-01"])
@pytest.mark.parametrize("resource", [*SHAPES.values(), *OTHERS], ids=lambda r: r["id"])
def test_a_known_form_has_no_date_that_nobody_entered(resource: dict[str, Any], none: str) -> None:
    memory = Passed()
    read_resource(resource, memory)
    written = json.dumps(resource, default=float)
    for date in re.finditer(r'"\d{4}-\d\d-\d\d', written):
        other = json.loads(f'{written[: date.start()]}"{none}{written[date.end() :]}')
        for _ in range(2):
            assert not (read_resource(other, memory).known and has_placeholder(other))


def test_units_and_codes_stay_in_the_form() -> None:
    assert form(lab("777-3", 150, "10*9/L")) != form(lab("777-3", 150, "10*6/L"))
    assert form(lab("777-3", 150, "10*9/L")) != form(lab("718-7", 150, "10*9/L"))


def test_values_that_are_only_equal_to_python_have_different_forms() -> None:
    values = [1, 1.0, True, "1", Decimal(1), Decimal("1.0"), [1], {"x": 1}, None, "True"]
    assert len({form({"n": value}) for value in values}) == len(values)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**70, "\udc00", None])
def test_what_json_cannot_write_has_a_form_of_its_own(value: Any) -> None:
    others = [float("nan"), float("inf"), 2**70, "\udc00", None, "null", 0]
    assert sum(form({"n": value}) == form({"n": other}) for other in others) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": '","id":"y'}, {"a": '","id":"z'}),
        ({"a": "x', 'b': 'y"}, {"a": "x", "b": "y"}),
        ({"a": "Decimal('1')"}, {"a": Decimal(1)}),
        ({"a": '"id":ID'}, {"a": {"id": "y"}}),
    ],
)
def test_no_text_can_imitate_another_structure(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert form(one) != form(other)


def test_the_form_names_nobody() -> None:
    order = request(
        id="order-of-anders",
        subject={"reference": "Patient/anders"},
        note=[{"text": "Anders phoned on Monday"}],
        authoredOn="2024-05-03T10:00:00+02:00",
    )
    for told in (b"nders", b"Monday", b"2024-05-03"):
        assert told not in form(order)
