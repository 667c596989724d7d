"""Band tables without gap or overlap, rows with sources, sources that something uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

from msgspec import Struct

from cds.rulebook.content import Content, Source
from cds.rulebook.read_rule import check_source
from cds.rulebook.remarks import Place, Remarks
from cds.rulebook.source import Node

# How a field's name says which end of a band it is: (part of the name, is the upper end, is open)
_ENDS = (
    ("_from", False, False), ("from_", False, False), ("_low", False, False),
    ("_at_least", False, False), ("_above", False, True),
    ("_to", True, True), ("to_", True, True), ("_below", True, True),
    ("_high", True, False), ("_at_most", True, False),
)  # fmt: skip
_ALWAYS_USED = "proposal"


class _Band(Struct, frozen=True):
    name: str
    low: float
    low_open: bool
    high: float
    high_open: bool
    place: Place


def check_tables(content: Content, remarks: Remarks) -> None:
    """Note gaps, overlaps, unknown sources and unsourced rows."""
    for root in content.tables.roots.values():
        for jurisdiction in content.jurisdictions:
            for node in _maps(root):
                _check_bands(_rows(node), jurisdiction, remarks)
        _check_sources(root, content.sources, remarks)
    _check_sourced(content, remarks)
    _check_use(content, remarks)


def _maps(node: Node) -> Iterator[Node]:
    """Every mapping and list, the node itself first."""
    inner = (*(node.mapping or {}).values(), *(node.items or ()))
    if not node.is_scalar:
        yield node
    for child in inner:
        yield from _maps(child)


def _rows(node: Node) -> list[tuple[str, Node]]:
    if node.mapping is not None:
        return [(str(key), row) for key, row in node.mapping.items() if row.mapping is not None]
    rows = [item for item in node.items or () if item.mapping is not None]
    return [(str((row.mapping or {}).get("id", row).scalar), row) for row in rows]


def _check_bands(rows: list[tuple[str, Node]], jurisdiction: str, remarks: Remarks) -> None:
    """Compare neighbours in every quantity that two or more rows of a table divide between them."""
    quantities: dict[str, list[_Band]] = {}
    for name, row in rows:
        for quantity, band in _bands(name, row, jurisdiction).items():
            quantities.setdefault(quantity, []).append(band)
    for quantity, bands in quantities.items():
        bands.sort(key=lambda band: (band.low, band.high))
        if _is_division(bands):
            for lower, upper in pairwise(bands):
                _check_seam(quantity, lower, upper, remarks)


def _is_division(bands: list[_Band]) -> bool:
    """Whether rows divide a quantity between them, rather than each having limits of its own.

    They do when one is bounded, and one is open to a side or two of them touch.
    """
    bounded = [band for band in bands if band.low > -math.inf and band.high < math.inf]
    touch = any(lower.high == upper.low for lower, upper in pairwise(bands))
    return len(bands) > 1 and bool(bounded) and (touch or len(bounded) < len(bands))


def _check_seam(quantity: str, lower: _Band, upper: _Band, remarks: Remarks) -> None:
    both = f"{quantity} of '{lower.name}' and '{upper.name}'"
    if upper.low < lower.high or (
        upper.low == lower.high and not (lower.high_open or upper.low_open)
    ):
        cure = f"let one end where the other begins ({lower.high:g})"
        remarks.add("RB505", upper.place, f"{both} overlap", cure)
    elif upper.low > lower.high or (lower.high_open and upper.low_open):
        text = f"{both} leave a gap between {lower.high:g} and {upper.low:g}"
        cure = "close one end (from ... to below ..., or above ... at most ...)"
        remarks.add("RB504", upper.place, text, cure)


def _bands(name: str, row: Node, jurisdiction: str) -> dict[str, _Band]:
    """By quantity, the band that a row's fields give."""
    found: dict[str, _Band] = {}
    for key, node in (row.mapping or {}).items():
        value = _number(node, jurisdiction)
        end = next((e for e in _ENDS if e[0] in f"_{key}_"), None)
        if value is None or end is None:
            continue
        part, upper, is_open = end
        quantity = f"_{key}_".replace(part, "_", 1).strip("_").replace("__", "_")
        whole = _Band(name, -math.inf, True, math.inf, True, row.place)
        band = found.get(quantity, whole)
        found[quantity] = (
            _Band(name, band.low, band.low_open, value, is_open, band.place)
            if upper
            else _Band(name, value, is_open, band.high, band.high_open, band.place)
        )
    return found


def _number(node: Node, jurisdiction: str) -> float | None:
    if node.mapping is not None and jurisdiction in node.mapping:
        node = node.mapping[jurisdiction]
    value = node.scalar
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _check_sources(root: Node, sources: Mapping[str, Source], remarks: Remarks) -> None:
    known = frozenset(sources)
    for node in _maps(root):
        cited = (node.mapping or {}).get("sources")
        for item in (cited.items if cited else None) or ():
            check_source(str(item.scalar), item.place, known, remarks)


def _check_sourced(content: Content, remarks: Remarks) -> None:
    """Every number in a table must stand below a `sources` and a `verified`."""
    for name, root in content.tables.roots.items():
        if name == "override_reasons":
            continue
        for place in _unsourced(root, sourced=False):
            cure = "add sources: [...] and verified: true|false to the row"
            remarks.add("RB306", place, f"numbers in {name} without source or verification", cure)


def _unsourced(node: Node, *, sourced: bool) -> Iterator[Place]:
    entries = node.mapping or {}
    sourced = sourced or ("sources" in entries and "verified" in entries)
    if sourced:
        return
    children = (*entries.values(), *(node.items or ()))
    if any(c.is_scalar and isinstance(c.scalar, int | float) for c in children if not _is_bool(c)):
        yield node.place
        return
    for child in children:
        yield from _unsourced(child, sourced=sourced)


def _is_bool(node: Node) -> bool:
    return isinstance(node.scalar, bool)


def _check_use(content: Content, remarks: Remarks) -> None:
    if remarks.errors:  # a file that could not be read may be the one that cites a source
        return
    used: set[str] = set()
    for rule in content.rules:
        used.update(rule.sources)
        used.update(p.source for p in rule.params.values() if p.source)
    for file, node in content.nodes.items():
        if file != "sources.yaml":
            for inner in _maps(node):
                entries = inner.mapping or {}
                cited = entries.get("sources")
                used.update(str(item.scalar) for item in (cited.items if cited else None) or ())
                if "source" in entries:
                    used.add(str(entries["source"].scalar))
    places = content.nodes["sources.yaml"].key_places if "sources.yaml" in content.nodes else {}
    for key, source in content.sources.items():
        if key not in used and source.kind != _ALWAYS_USED:
            place = places.get(key, Place("sources.yaml"))
            remarks.add("RB307", place, f"nothing cites '{key}'", "cite it or remove it")
