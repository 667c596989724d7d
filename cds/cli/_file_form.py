"""What a file is that was taken for JSON and is not, with the cure."""

from __future__ import annotations

import codecs

import orjson

_BEGINNINGS = {
    b"\x1f\x8b": "it is compressed; unpack it first (gunzip)",
    b"PK\x03\x04": "it is a ZIP archive; unpack it first",
    codecs.BOM_UTF16_LE: "it is UTF-16; save it as UTF-8",
    codecs.BOM_UTF16_BE: "it is UTF-16; save it as UTF-8",
    codecs.BOM_UTF32_BE: "it is UTF-32; save it as UTF-8",
    b"{\0": "it is UTF-16; save it as UTF-8",
    b"\0{": "it is UTF-16; save it as UTF-8",
    b"<": "it is XML; FHIR is read as JSON",
}
_LOOKED_AT = 2
"""Lines that tell bulk data from a document with something behind it."""


def strange_form(raw: bytes) -> str | None:
    """Say what a file is that is no JSON document, or None if that cannot be told."""
    start = raw[:1024].removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        return "it is empty"
    for beginning, said in _BEGINNINGS.items():
        if raw.startswith(beginning) or start.startswith(beginning):
            return said
    lines = raw.removeprefix(codecs.BOM_UTF8).split(b"\n", 2 * _LOOKED_AT)
    filled = [line for line in lines if line.strip()][:_LOOKED_AT]
    if len(filled) == _LOOKED_AT and all(map(_is_object, filled)):
        return (
            "it holds bulk data, a resource on each line (NDJSON); "
            "`imatinib-tdm cohort DIRECTORY` reads those"
        )
    return None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
