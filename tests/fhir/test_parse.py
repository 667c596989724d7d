"""JSON from outside: what is refused, where, and how fast."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.fhir.parse import JsonError, Limits, load_json
from tests.work import calls_of


def test_a_number_keeps_its_digits() -> None:
    assert load_json(b'{"value": 1.10}') == {"value": Decimal("1.10")}


def test_a_byte_order_mark_is_harmless() -> None:
    assert load_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d", "\ufffd"),
        (r"\uDE00\uD83D", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\u00e9\ud8", None),
    ],
)
def test_half_a_character_is_read_as_the_replacement_character(
    written: str, read: str | None
) -> None:
    raw = f'{{"note": "{written}"}}'.encode()
    if read is None:
        with pytest.raises(JsonError):
            load_json(raw)
    else:
        assert load_json(raw) == {"note": read}


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b'{"a": 1,\n "b": }', "line 2 column 7"),
        (b"", "line 1 column 1"),
        (b'{"a": 1, "a": 2}', "a"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "b"),
        (b"NaN", "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'"\xff"', "byte 1"),
        (b"1e999999999", "1e999999999"),
        (b"1" * 25, "1" * 20),
        (b"[" * 33 + b"]" * 33, "body"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "body"),
        (b"[" + b"1," * 20_001 + b"1]", "body"),
    ],
)
def test_what_is_not_acceptable_is_refused_with_its_place(raw: bytes, place: str) -> None:
    with pytest.raises(JsonError) as caught:
        load_json(raw)
    assert caught.value.place == place


def test_a_document_over_the_size_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(JsonError, match="larger than 10 bytes"):
        load_json(b"[1,2,3,4,5,6]", limits=Limits(bytes=10))


def test_nesting_and_commas_inside_strings_do_not_count() -> None:
    text = '[[[{,,,"\\' * 2000
    assert load_json(json.dumps({"note": text}).encode()) == {"note": text}


def test_nesting_at_the_limit_is_accepted() -> None:
    assert load_json(b"[" * 32 + b"]" * 32) is not None


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"{}," * 600_000 + b"{}]",
        b'{"' + b'\\"' * 900_000,
        b'"' + b"\\" * 1_900_000,
        b"{" + b",".join(b'"k%d":0' % i for i in range(150_000)) + b"}",
        b"1" * 2_000_000,
    ],
    ids=["arrays", "objects", "nodes", "quotes", "backslashes", "keys", "digits"],
)
def test_a_bomb_is_refused_with_little_work(bomb: bytes) -> None:
    def refuse() -> None:
        with pytest.raises(JsonError):
            load_json(bomb)

    _, calls = calls_of(refuse)
    assert calls < 2_000  # the bombs have a hundred thousand pieces and more


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_json_error(raw: bytes) -> None:
    with suppress(JsonError):
        load_json(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=20,
    )
)
def test_a_document_within_limits_is_read_as_it_was_written(value: object) -> None:
    assert load_json(json.dumps(value).encode()) == value


_SIGNS = st.text(alphabet='[{}],:"\\ a', max_size=3)
_VALUES = st.recursive(
    _SIGNS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(_SIGNS, inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)
"""Texts, lists, and objects as tuples of pairs, in which a key may stand twice."""


@given(_VALUES)
def test_a_document_is_refused_if_and_only_if_a_key_stands_twice_in_one_object(value: Any) -> None:
    raw = _with_repeated_keys(value).encode()
    if _repeats(value):
        with pytest.raises(JsonError, match="stands twice"):
            load_json(raw)
    else:
        assert load_json(raw) == json.loads(raw)


def _with_repeated_keys(value: Any) -> str:
    if isinstance(value, tuple):
        pairs = (f"{json.dumps(key)} : {_with_repeated_keys(item)}" for key, item in value)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_with_repeated_keys, value)) + "]"
    return json.dumps(value)


def _repeats(value: Any) -> bool:
    if isinstance(value, tuple):
        keys = {key for key, _ in value}
        return len(keys) < len(value) or any(_repeats(item) for _, item in value)
    return isinstance(value, list) and any(map(_repeats, value))


@given(st.text(alphabet="[{}]", max_size=24), st.integers(1, 8))
def test_nesting_is_measured_as_by_counting(brackets: str, depth: int) -> None:
    deepest = here = 0
    for bracket in brackets:
        here += 1 if bracket in "[{" else -1
        deepest = max(deepest, here)
    refused = ""
    try:
        load_json(brackets.encode(), limits=Limits(depth=depth))
    except JsonError as error:
        refused = error.message
    assert ("nested deeper" in refused) == (deepest > depth)


@given(st.lists(st.text(alphabet='[{}],:"\\a', max_size=6), max_size=6), st.integers(1, 5))
def test_signs_inside_strings_are_neither_nesting_nor_values(texts: list[str], depth: int) -> None:
    raw = ("[" * depth + json.dumps(texts) + "]" * depth).encode()
    nodes = depth + max(1, len(texts))
    load_json(raw, limits=Limits(depth=depth + 1, nodes=nodes))
    for tighter in (Limits(depth=depth, nodes=nodes), Limits(depth=depth + 1, nodes=nodes - 1)):
        with pytest.raises(JsonError, match=r"nested deeper|more than"):
            load_json(raw, limits=tighter)


@given(st.text(st.characters(codec=None) | st.sampled_from('\\u"d8\ud83d\ude00'), max_size=12))
def test_every_text_is_read_as_written_but_for_halves_of_characters(text: str) -> None:
    raw = json.dumps({"note": text}).encode()

    read = load_json(raw)

    whole = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in json.loads(raw)["note"])
    assert read == {"note": whole}
