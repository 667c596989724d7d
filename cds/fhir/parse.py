"""Bytes from outside -> JSON values, within limits and without surprises."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final, NoReturn

from msgspec import Struct


class JsonError(ValueError):
    """A body that is not acceptable JSON; `place` says where (line and column, or the key)."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(f"{message} ({place})")
        self.message = message
        self.place = place


class Limits(Struct, frozen=True):
    """How large a JSON document may be before anything reads it."""

    bytes: int = 2 * 1024 * 1024
    depth: int = 32
    nodes: int = 20_000


DEFAULT_LIMITS: Final = Limits()
_NO_MARK: Final = bytes(set(range(256)) - set(b'[{]},:"'))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_DEEPER: Final = {ord("["): 1, ord("]"): -1}
_HALF: Final = re.compile(
    r"(?:\\\\)+|(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})+"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""Half of a character that needs two escapes; whole ones and backslashes are passed over first."""


def load_json(raw: bytes, *, limits: Limits = DEFAULT_LIMITS) -> object:
    """Decode a JSON document; numbers with a fraction become Decimal so that digits survive.

    Half of a character, which no text can hold, is read as the replacement character. Raises
    JsonError for malformed JSON, a repeated key, NaN or Infinity, and for a document larger, deeper
    or with more nodes than `limits` allows.
    """
    if len(raw) > limits.bytes:
        raise JsonError(f"the document is larger than {limits.bytes} bytes", "body")
    # A byte-order mark is common in exports and harmless.
    try:
        document = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonError("the document is not UTF-8", f"byte {error.start}") from error
    outside = _outside_strings(_unescaped(raw).translate(None, _NO_MARK))
    _refuse_bombs(outside, limits)
    if b"\\u" in raw:
        document = _HALF.sub(lambda found: "\\ufffd" if found["half"] else found[0], document)
    keys = 0

    def counted(found: dict[str, Any]) -> dict[str, Any]:
        nonlocal keys
        keys += len(found)
        return found

    value = _decoded(document, object_hook=counted)
    if keys < outside.count(b":"):  # one stands twice, and its last value counted: name it
        return _decoded(document, object_pairs_hook=_unique)
    return value


def _decoded(document: str, **hook: Any) -> object:
    try:
        return json.loads(
            document,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            **hook,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise JsonError(f"not JSON: {error.msg}", place) from error


def _refuse_bombs(outside: bytes, limits: Limits) -> None:
    """Refuse nesting and size, by the marks `outside` strings, before the decoder builds anything.

    Every value follows one of `[ { , :`, and a colon one of the others, so counting those bounds
    the nodes. In UTF-8 no byte of another character looks like one of these.
    """
    if outside.count(b",") + outside.count(b"[") + outside.count(b"{") > limits.nodes:
        raise JsonError(f"more than {limits.nodes} values", "body")
    brackets = outside.translate(_ONE_KIND, b",:")
    if _is_deeper(brackets, limits.depth):
        raise JsonError(f"nested deeper than {limits.depth}", "body")


def _outside_strings(marks: bytes) -> bytes:
    """The marks that stand outside strings.

    Most strings hold none and are two quotes now. Taking adjacent quotes away, even those between
    two strings, leaves what is beside them inside or outside as it was.
    """
    left = marks.replace(b'""', b"")
    return b"".join(left.split(b'"')[::2])  # every second part is in a string


def _is_deeper(brackets: bytes, depth: int) -> bool:
    """Whether brackets are nested deeper than `depth`: each round takes the innermost away."""
    left = brackets
    for _ in range(depth):
        left = left.replace(b"[]", b"")
        if not left:
            return False
    # Deep, or not closed, which the decoder will say.
    return max(accumulate(map(_DEEPER.__getitem__, brackets)), default=0) > depth


def _unescaped(document: bytes) -> bytes:
    """The document without escape pairs, so that each remaining quote opens or closes a string."""
    if b"\\" not in document:
        return document
    return document.replace(b"\\\\", b"").replace(b'\\"', b"")


def _decimal(literal: str) -> Decimal:
    value = Decimal(literal)
    # 1e999999999 is a legal literal whose conversion to an exact number would exhaust memory.
    exponent = value.adjusted()
    if len(literal) > 100 or abs(exponent) > 50:
        raise JsonError("a number has too many digits", literal[:20])
    return value


def _integer(literal: str) -> int:
    if len(literal) > 20:
        raise JsonError("a number has too many digits", literal[:20])
    return int(literal)


def _refuse_constant(literal: str) -> NoReturn:
    raise JsonError("NaN and Infinity are not JSON", literal)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError("a key stands twice in one object", key[:60])
            seen.add(key)
    return found
