"""JSON keeps every digit, refuses what JSON cannot say, and is the same by either encoder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.store import jsontext
from cds.store.jsontext import Written, canonical, decode, encode, encode_object

_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | _DECIMALS
    | st.text()
    | st.sampled_from(["null", "\ud800", "\x00", "\u2028", "\U0001f71a", '"', "\\"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES)
def test_both_encoders_write_the_same_bytes(value: Any) -> None:
    assert encode(value) == jsontext._strictly_written(value, sort_keys=False)
    assert canonical(value) == jsontext._strictly_written(value, sort_keys=True)


@given(_VALUES)
def test_what_was_written_is_read_again(value: Any) -> None:
    assert encode(decode(encode(value))) == encode(value)


@given(_VALUES, _VALUES)
def test_what_is_written_already_stands_as_it_is_in_a_larger_value(inner: Any, beside: Any) -> None:
    whole = encode({"inner": inner, "beside": [beside]})
    assert encode({"inner": Written(encode(inner)), "beside": [beside]}) == whole


@given(st.dictionaries(st.text(), _VALUES, max_size=4))
def test_an_object_is_the_same_written_value_by_value(values: dict[str, Any]) -> None:
    assert encode_object(values) == encode(values)


@given(st.text(alphabet='nul:[],{}"', max_size=12))
def test_only_a_null_that_is_a_value_is_left_to_the_stricter_encoder(text: str) -> None:
    for value in ([text], {"a": text, text: 1}):
        assert encode(value) == jsontext._strictly_written(value, sort_keys=False)
    for value in ([text, float("nan")], {"a": text, "b": float("nan")}):
        with pytest.raises(ValueError, match="JSON"):
            encode(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_again_as_the_same_number(value: float) -> None:
    assert float(decode(encode([value]))[0]) == value


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Inf")])
@pytest.mark.parametrize("place", [lambda n: n, lambda n: [1, {"x": n}], lambda n: [None, n]])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(number: Any, place: Any) -> None:
    for write in (encode, canonical):
        with pytest.raises((ValueError, TypeError)):
            write(place(number))


def test_the_digits_of_a_decimal_and_of_a_long_number_stay() -> None:
    assert (
        encode([Decimal("1.10"), 10**30, "ü"])
        == '[1.10,1000000000000000000000000000000,"ü"]'.encode()
    )


@pytest.mark.parametrize("value", [datetime(2024, 1, 1, tzinfo=UTC), {1, 2}, b"x", object()])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode({"value": value})


def test_a_null_is_written_as_json_writes_it() -> None:
    assert json.loads(encode({"a": None, "b": ["null"]})) == {"a": None, "b": ["null"]}
