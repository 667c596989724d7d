"""What a laboratory result is called, measured in and answered with: one row of `labs.yaml`."""

from __future__ import annotations

from collections.abc import Iterable

from cds.clinical.terminology import LabDefinition, OwnUnit
from cds.clinical.units import UnitError, canonical_unit
from cds.rulebook.remarks import Remarks, did_you_mean
from cds.rulebook.shape import Entries
from cds.rulebook.term_codes import codes_in, notes_of


def read_lab(key: str, row: Entries, name: str, remarks: Remarks) -> LabDefinition:
    """One result without its codes; what is wrong goes to `remarks`."""
    coded = {}
    inner = row.inner("coded", required=False)
    if inner is not None:
        for value in inner.key_places:
            coded.update(dict.fromkeys(codes_in(inner, value, remarks), value))
    return LabDefinition(
        key,
        row.text("unit", required=inner is None) or "",
        row.number("molar_mass", required=False),
        coded,
        {**{value: value for value in coded.values()}, **_said(row, coded.values())},
        name,
        _plausible(row),
        _also(row, remarks),
        _bounds(row, remarks),
        row.boolean("as_text"),
        _graver(row, remarks),
    )


_GRAVER = {"higher": 1, "lower": -1}


def _graver(row: Entries, remarks: Remarks) -> int:
    """Which of two contradicting values is the graver one: `graver: lower`."""
    word = row.text("graver", required=False)
    if word is not None and word not in _GRAVER:
        remarks.add("RB104", row.place, f"graver: '{word}'", did_you_mean(word, _GRAVER))
    return _GRAVER.get(word or "", 0)


def _also(row: Entries, remarks: Remarks) -> dict[str, OwnUnit]:
    """Units of this result alone: `also: [{unit: mmol/L, is: 16.1145, from: 3.2}]`."""
    found = {}
    for node in row.nodes("also", required=False):
        entry = Entries(node, remarks, "a unit")
        unit, is_ = entry.text("unit"), entry.number("is")
        least = entry.number("from", required=False)
        notes_of(entry)
        entry.done()
        if unit is None or is_ is None:
            continue
        try:
            found[canonical_unit(unit)] = OwnUnit(is_, least or 0.0)
        except UnitError as error:
            remarks.add("RB104", node.place, str(error))
    return found


def _bounds(row: Entries, remarks: Remarks) -> dict[str, float]:
    """Words that state a bound: `bounds: [{at_most: 0.01, words: [mr4]}]`."""
    found = {}
    for node in row.nodes("bounds", required=False):
        entry = Entries(node, remarks, "a bound")
        at_most, words = entry.number("at_most"), entry.words("words")
        notes_of(entry)
        entry.done()
        if at_most is not None:
            found.update({word.lower().replace(" ", ""): at_most for word in words})
    return found


def _plausible(row: Entries) -> tuple[float, float] | None:
    limits = row.inner("plausible", required=False)
    if limits is None:
        return None
    low, high = limits.number("from"), limits.number("to")
    limits.done()
    return (low, high) if low is not None and high is not None else None


def _said(row: Entries, values: Iterable[str]) -> dict[str, str]:
    """Words that mean a coded value, lower-case: `said: {positive: [reactive]}`."""
    inner = row.inner("said", required=False)
    if inner is None:
        return {}
    known = tuple(dict.fromkeys(values))
    found = {}
    for value in inner.key_places:
        if value not in known:
            row.remarks.add("RB104", row.place, f"said: '{value}'", did_you_mean(value, known))
        for word in inner.words(value):
            found[word.lower()] = value
    return found
