"""A laboratory result written as text that states one number or one bound: `<0.0032 %`, `MR4.5`.

Only for results whose definition allows it: most text is a remark, and a number in it may be any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from cds.clinical.level import Comparator
from cds.clinical.terminology import LabDefinition
from cds.clinical.units import UnitError, convert

_NUMBER: Final = re.compile(
    r"(?P<bound><=|>=|≤|≥|<|>)?\s*(?P<number>\d+(?:[.,]\d+)?)\s*(?P<unit>%.*)", re.ASCII
)
_THOUSANDS: Final = re.compile(r"[1-9]\d*,\d{3}", re.ASCII)
"""Such a comma may part thousands or decimals."""
_TWO: Final = re.compile(r"(?P<one>.+?)\s*(?:[(;]|,\s)\s*(?P<other>[^()]+?)\s*\)?")
_EXPLAINED: Final = re.compile(r"(?P<said>[^()]+?) ?\((?P<beside>[^()]+)\)")
_METHOD: Final = re.compile(r"i?recist(?: ?v?\d(?:\.\d)?)?|choi")
"""How a tumour was measured, which is no part of the answer."""
_SIGNS: Final = {"≤": "<=", "≥": ">="}


class Written(Struct, frozen=True):
    """What a text states: a number in the unit of the key and its comparator, or an answer."""

    value: float | None = None
    comparator: Comparator | None = None
    coded: str | None = None


def read_written(written: str, definition: LabDefinition) -> Written | None:
    """The result that a text states as a whole, or None.

    Two statements in one text (`not detected (MR4.5)`) must fit together; the narrower one counts.
    """
    words = " ".join(written.lower().split())
    whole = _one(words, definition)
    if whole is not None:
        return whole
    pair = _TWO.fullmatch(words)
    if pair is None:
        return None
    one, other = _one(pair["one"], definition), _one(pair["other"], definition)
    return _narrower(one, other) if one is not None and other is not None else None


def read_answer(words: str, means: Mapping[str, str]) -> str | None:
    """The key that words in lower case mean, or None.

    In `stable disease (sd)` both must mean the same; a method in brackets means nothing.
    """
    pair = _EXPLAINED.fullmatch(words)
    if words in means or pair is None:
        return means.get(words)
    said, beside = means.get(pair["said"]), pair["beside"]
    return said if _METHOD.fullmatch(beside) or means.get(beside) == said else None


def _one(words: str, definition: LabDefinition) -> Written | None:
    if words in definition.said:
        return Written(coded=definition.said[words])
    bound = definition.bounds.get(words.replace(" ", "").replace(",", "."))
    if bound is not None:
        return Written(bound, Comparator.LESS_OR_EQUAL)
    found = _NUMBER.fullmatch(words)
    if found is None or _THOUSANDS.fullmatch(found["number"]):
        return None
    number = Decimal(found["number"].replace(",", "."))
    try:
        value = convert(number, found["unit"].rstrip("."), definition.unit)
    except UnitError:
        return None
    sign = found["bound"]
    return Written(value, Comparator(_SIGNS.get(sign, sign)) if sign else None)


def _narrower(one: Written, other: Written) -> Written | None:
    """Of an answer or a number beside a bound that holds for it, what tells more."""
    stated, beside = (other, one) if one.comparator is Comparator.LESS_OR_EQUAL else (one, other)
    if beside.value is None or beside.comparator is not Comparator.LESS_OR_EQUAL:
        return None
    if stated.value is None:
        return beside
    fits = stated.value <= beside.value and stated.comparator in (None, Comparator.LESS)
    return stated if fits else None
