"""What the ledger keeps of a decision: the product's values as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import Struct

from cds.rulebook import Outcome, RuleTrace
from cds.rulebook.rule import Status
from cds.services import trace
from cds.services.trace import plain
from cds.store.jsontext import decode, encode


class _Grade(Enum):
    MILD = 1


class _Rank(IntEnum):
    FIRST = 1


class _Word(StrEnum):
    BELOW = "below"


class _Part(Struct, frozen=True):
    name: str
    share: float | None = None


class _Whole(Struct, frozen=True):
    parts: tuple[_Part, ...]
    words: frozenset[str]
    notes: Mapping[object, Any]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (1.5, 1.5),
        ("a", "a"),
        (_Grade.MILD, "mild"),
        (_Rank.FIRST, 1),
        (_Word.BELOW, "below"),
        (date(2026, 11, 26), "2026-11-26"),
        (datetime(2026, 11, 26, 8, tzinfo=UTC), "2026-11-26T08:00:00+00:00"),
        (_Part("a"), {"name": "a"}),
        (_Part("a", 0.5), {"name": "a", "share": 0.5}),
        (frozenset({"b", "a"}), ["a", "b"]),
        ((1, None, _Part("a")), [1, None, {"name": "a"}]),
        (MappingProxyType({_Word.BELOW: 1, "none": None}), {"below": 1}),
        (
            _Whole((_Part("a"),), frozenset({"w"}), {2: [_Grade.MILD]}),
            {"parts": [{"name": "a"}], "words": ["w"], "notes": {"2": ["mild"]}},
        ),
        (1j, "1j"),
    ],
)
def test_a_value_is_written_so_that_json_gives_it_back(value: Any, written: Any) -> None:
    assert decode(encode(plain(value))) == decode(encode(written))


def test_only_the_row_of_a_silence_is_written_once_for_all_patients() -> None:
    fired = RuleTrace("a", 1, Status.ACTIVE, Outcome.FIRED, missing=("x.y",))
    undecided = RuleTrace("b", 1, Status.ACTIVE, Outcome.UNDECIDED, missing=("x.y",))
    silent = RuleTrace("c", 2, Status.ACTIVE, Outcome.SILENT, because=("no lab with key ck",))
    not_asked = RuleTrace("d", 1, Status.ACTIVE, Outcome.NOT_APPLICABLE, because=("elsewhere",))
    every = (fired, undecided, silent, not_asked)

    rows = decode(encode([trace._rules(every) for _ in range(2)]))

    assert rows[0] == rows[1]
    assert rows[0] == [
        {
            "rule": "a",
            "revision": 1,
            "outcome": "fired",
            "missing": ["x.y"],
            "matches": [],
        },
        {"rule": "b", "revision": 1, "outcome": "undecided", "missing": ["x.y"]},
        {"rule": "c", "revision": 2, "outcome": "silent", "because": ["no lab with key ck"]},
        {"rule": "d", "revision": 1, "outcome": "not-applicable", "because": ["elsewhere"]},
    ]
    kept = [one for one, _ in trace._silences.values()]
    assert [one in kept for one in every] == [False, False, True, True]
