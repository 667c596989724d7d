"""The form of a resource: its content without the values that cannot matter to the R4B models.

Results of two patients differ in ids, times, numbers and remarks, and the models care about none of
them as long as each is written properly. So every one that is written as `OPEN` says is replaced by
a mark, and resources of one form all pass the models or all fail. Everything else stays in the form
as it is: elements, codes, units, and whatever is written in another way.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import orjson

from cds.fhir.elements import Element

_YEAR: Final = r"(?:19|20)\d\d"
_DAY: Final = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
)
_ENTERED: Final = r"(?!(?<=1900-)|(?<=1970-)01-01|(?<=1969-)12-31)"
"""No date that stands for one that nobody entered (see `no_dates`): these stay in the form."""
_CLOCK: Final = r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
_ZONE: Final = r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)"
_DATED: Final = "(?:Time|Date|edOn|Over|ared|sued|ated|rded|rted|tart)"
"""The last letters, equally many, of elements that hold a date or a time."""

OPEN: Final = {
    "ID": r'"id":"[A-Za-z0-9\-.]{1,64}"',
    "REFERENCE": r'"reference":"[A-Z][A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64}"',
    # A zone stays in the form; so does that a date has no time.
    "TIME": rf'":"{_YEAR}-(?<={_DATED}":".....){_ENTERED}{_DAY}(?:(?=")|{_CLOCK}(?={_ZONE}"))',
    "NUMBER": r'"value":-?(?:0|[1-9]\d{0,8})(?:\.\d{1,9}d)?(?=[,}])',
    "TEXT": r'"text":"[!#-~](?:[^"]*[!#-~])?"',
}
"""What is replaced in compact JSON without escapes, by what marks it.

Each pattern begins with fixed letters, by which `re` finds it fast. A mark is no JSON, so that no
content can imitate it.
"""
_MARKS: Final = tuple(
    (re.compile(pattern.encode()), pattern[: pattern.index(":") + 1].encode() + mark.encode())
    for mark, pattern in OPEN.items()
)


_NOT_JSON: Final = b"="
"""What begins the bytes of a resource that JSON cannot write unambiguously."""


def written(resource: Element) -> bytes:
    """A resource as bytes, which differ wherever it does.

    1, 1.0, True and Decimal("1") are written differently, and so is another order of keys.
    """
    try:
        as_json = orjson.dumps(resource, default=_decimal)
    except orjson.JSONEncodeError:  # half a character, a number beyond 64 bits
        return _exactly(resource)
    # orjson writes NaN as null.
    return _exactly(resource) if b"null" in as_json else as_json


def form(resource: bytes) -> bytes:
    """The form of a `written` resource; differs wherever something differs that could matter.

    Another order of keys is another form, which merely costs time.
    """
    # Behind a backslash a quote may stand inside a text, so that a pattern could begin there.
    if resource.startswith(_NOT_JSON) or b"\\" in resource:
        return resource
    for pattern, mark in _MARKS:
        resource = pattern.sub(mark, resource)
    return resource


def _exactly(resource: Element) -> bytes:
    """`repr` of JSON values is unambiguous: strings are quoted, types are written differently."""
    return _NOT_JSON + repr(resource).encode("utf-8", errors="surrogatepass")


def _decimal(value: object) -> orjson.Fragment:
    if type(value) is Decimal:
        return orjson.Fragment(f"{value!s}d")  # `!s`: formatting costs twice as much
    raise TypeError(type(value).__name__)
