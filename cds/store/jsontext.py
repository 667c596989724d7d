"""Write JSON so that decimals keep their digits: 1.10 mg stays 1.10 mg.

The reader of request bodies yields Decimal; the standard encoder cannot write it, and a float would
change what is kept or sent back. Each Decimal is written as a marked string and then
unmarked. The mark is random per process, so no request can imitate it.
"""

from __future__ import annotations

import json
import re
import secrets
from decimal import Decimal
from typing import Any

_MARK = secrets.token_hex(8)
_MARKED = re.compile(rf'"{_MARK}([^"]*)"')


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return _text(value, sort_keys=False)


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys: equal values give equal bytes."""
    return _text(value, sort_keys=True)


def decode(raw: bytes) -> Any:
    """Read JSON that `encode` wrote, fractions as Decimal again."""
    return json.loads(raw, parse_float=Decimal)


def _text(value: Any, *, sort_keys: bool) -> bytes:
    text = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
        sort_keys=sort_keys,
        default=_mark,
    )
    if _MARK in text:
        text = _MARKED.sub(r"\1", text)
    return text.encode("utf-8", errors="surrogatepass")


def _mark(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return f"{_MARK}{value}"
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
