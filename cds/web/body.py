"""The bytes of a request body -> a JSON object, refused early when they cannot be one."""

from __future__ import annotations

import re
from typing import Any

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from cds.fhir.parse import JsonError, Limits, load_json
from cds.web.errors import refuse


def read_json_object(request: Request, limit: int) -> dict[str, Any]:
    """Read the body of `request` as one JSON object of at most `limit` bytes."""
    if request.mimetype not in ("application/json", "application/fhir+json"):
        raise refuse(415, "media-type", "The body must be application/json.", "Content-Type")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8"):
        raise refuse(415, "media-type", "The body must be UTF-8.", "Content-Type")
    # A compressed body could unfold to any size; clients of CDS Hooks send plain JSON.
    if request.content_encoding not in (None, "", "identity"):
        raise refuse(415, "encoding", "The body must not be compressed.", "Content-Encoding")
    raw = _read(request, limit)
    try:
        value = load_json(raw, limits=Limits(bytes=limit))
    except JsonError as error:
        raise refuse(400, "json", f"The body: {error.message}{_where(error)}.", "body") from None
    except RecursionError:
        raise refuse(400, "json", "The body is nested too deeply.", "body") from None
    if not isinstance(value, dict):
        raise refuse(400, "json", "The body must be a JSON object.", "body")
    return value


def _where(error: JsonError) -> str:
    """The line and column, when that is what the error knows; it may otherwise quote the body."""
    return f" at {error.place}" if re.fullmatch(r"line \d+ column \d+", error.place) else ""


def _read(request: Request, limit: int) -> bytes:
    declared = request.content_length or 0  # none is declared of a body in chunks
    if declared <= limit:
        try:
            raw = request.stream.read(declared or limit + 1)
        except (ClientDisconnected, OSError):
            raise refuse(400, "cut-off", "The body ended early.", "body") from None
        if len(raw) <= limit:
            return raw
    raise refuse(413, "too-large", f"The body is larger than {limit} bytes.", "body")
