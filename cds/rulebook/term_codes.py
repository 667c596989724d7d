"""Codes as terminology files list them, and what they say to readers only."""

from __future__ import annotations

from cds.clinical.codes import Code
from cds.rulebook.remarks import Remarks, did_you_mean
from cds.rulebook.shape import Entries

_NOTES = ("source", "sources", "verified", "note", "display", "row")


def codes_in(row: Entries, key: str, remarks: Remarks) -> tuple[Code, ...]:
    """The codes listed under a key."""
    found = []
    for item in row.nodes(key, required=False):
        entry = Entries(item, remarks, "a code")
        code = code_in(entry)
        notes_of(entry)
        entry.done()
        if code is not None:
            found.append(code)
    return tuple(found)


def code_in(row: Entries) -> Code | None:
    """One code, if it has a system and a code."""
    system, code = row.text("system"), row.text("code")
    if system and not system.startswith(("http://", "https://", "urn:")):
        cure = did_you_mean(system, ["http://loinc.org", "http://snomed.info/sct"])
        row.remarks.add("RB104", row.place, f"system '{system}' is not a URI", cure)
    return Code(system, code) if system and code else None


def finish(row: Entries) -> None:
    """Accept the notes of a row; whatever else is left over is a mistake."""
    notes_of(row)
    row.done()


def notes_of(row: Entries) -> None:
    """Accept what is there for readers of the file only."""
    for key in _NOTES:
        row.node(key, required=False)
