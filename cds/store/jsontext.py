"""Write JSON so that decimals keep their digits: 1.10 mg stays 1.10 mg.

The reader of request bodies yields Decimal; encoders cannot write it, and a float would change what
is kept or sent back. A decision is 70 kB of JSON, so it is written by orjson, a tenth of the
standard library's time. Where that encoder is not as strict or not as able, the standard library's
decides: it refuses numbers that are not finite, and writes whole numbers of any length and halves
of characters.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

Written = orjson.Fragment
"""UTF-8 JSON that `encode` wrote before, to stand as it is in a larger value."""

_NULL = re.compile(rb"null(?![^,\]}])(?<![^:\[,]null)")
"""A null as it stands where a value may; in a text it seldom looks so."""
_MARK = secrets.token_hex(8)
_MARKED = re.compile(rf'"{_MARK}([^"]*)"')
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return _written(value, sort_keys=False)


def encode_object(values: Mapping[str, Any]) -> bytes:
    """Return what `encode` returns, each value written by itself: one with nulls, which takes the
    slower encoder, leaves the others to the faster."""
    written = [encode(name) + b":" + encode(value) for name, value in values.items()]
    return b"{" + b",".join(written) + b"}"


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys: equal values give equal bytes."""
    return _written(value, sort_keys=True)


def decode(raw: bytes) -> Any:
    """Read JSON that `encode` wrote, fractions as Decimal again."""
    return json.loads(raw, parse_float=Decimal)


def _written(value: Any, *, sort_keys: bool) -> bytes:
    options = _OPTIONS | orjson.OPT_SORT_KEYS if sort_keys else _OPTIONS
    try:
        written = orjson.dumps(value, default=_as_written, option=options)
    except orjson.JSONEncodeError:
        return _strictly_written(value, sort_keys=sort_keys)
    # NaN becomes null without a word, so a null is believed only of the encoder that refuses NaN.
    if isinstance(value, Written) or not _NULL.search(written):
        return written
    return _strictly_written(value, sort_keys=sort_keys)


def _strictly_written(value: Any, *, sort_keys: bool) -> bytes:
    """Each Decimal is written as a marked string and then unmarked.

    The mark is random per process, so no request can imitate it.
    """
    text = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        sort_keys=sort_keys,
        default=_marked,
    )
    if _MARK in text:
        text = _MARKED.sub(r"\1", text)
    return text.encode("utf-8", errors="surrogatepass")


def _as_written(value: object) -> orjson.Fragment:
    return orjson.Fragment(_digits(value))


def _marked(value: object) -> Any:
    if isinstance(value, Written):
        return decode(orjson.dumps(value))
    return f"{_MARK}{_digits(value)}"


def _digits(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
