"""Take a text apart into words and slots; `{binding.attribute}` and `{param}` are all there is."""

from __future__ import annotations

import re

from cds.rulebook.remarks import Place, Remarks
from cds.rulebook.rule import Slot, Template

_SLOT = re.compile(r"(?:([a-z][a-z0-9_]*)\.)?([a-z][a-z0-9_]*)")
_PIECES = re.compile(r"\{\{|\}\}|\{|\}|[^{}]+")
_HTML = re.compile(r"<\s*[a-zA-Z/!?]")


def read_template(text: str, place: Place, remarks: Remarks) -> Template:
    """Parse a text; `{{` and `}}` stand for braces, and nothing else is special."""
    if found := _HTML.search(text):
        cure = "write Markdown; a space after '<' makes it a sign"
        remarks.add("RB403", place, f"HTML tag at '{text[found.start() :][:20]}'", cure)
    parts: list[str | Slot] = []
    inside: str | None = None
    for piece in _PIECES.findall(text):
        if inside is None:
            if piece == "{":
                inside = ""
            elif piece == "}":
                remarks.add("RB404", place, "'}' without '{'", "write }} for a brace")
            else:
                parts.append({"{{": "{", "}}": "}"}.get(piece, piece))
        elif piece.startswith("}"):
            match = _SLOT.fullmatch(inside)
            if match:
                parts.append(Slot(match.group(1), match.group(2)))
            else:
                cure = "write {binding.attribute} or {param}"
                remarks.add("RB401", place, f"'{{{inside}}}' is not a placeholder", cure)
            inside = None
            if piece == "}}":
                parts.append("}")
        else:
            inside += piece
    if inside is not None:
        remarks.add("RB404", place, f"'{{{inside[:30]}' is not closed", "close it with }")
    return Template(tuple(parts), place)
