"""Look-ups in `rules/tables`: paths, and leaves that differ by jurisdiction."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cds.rulebook.remarks import did_you_mean
from cds.rulebook.source import Key, Node, Scalar

# A field's name ends in its unit; the longest ending decides.
_UNITS = {
    "_ng_ml": "ng/mL", "_mg": "mg", "_mg_per_m2": "mg/m2", "_percent": "%", "_days": "d",
    "_h": "h", "_months": "mo", "_month": "mo", "_years": "a", "_weeks": "wk", "_kg": "kg",
    "_m2": "m2", "_ng_ml_per_mg": "ng/mL/mg", "_per_h": "1/h", "_g_mol": "g/mol",
}  # fmt: skip


class NoCellError(LookupError):
    """A path does not lead to a single value; the text says where it ends and what is there."""


class Tables:
    """Every table of the rulebook, as nodes so that a linter can still name places."""

    def __init__(self, roots: Mapping[str, Node], jurisdictions: tuple[str, ...]) -> None:
        self.roots = roots
        self._jurisdictions = frozenset(jurisdictions)
        self._resolved: dict[tuple[str, str], Mapping[Key, Any]] = {}

    def table(self, name: str, jurisdiction: str) -> Mapping[Key, Any]:
        """One table as deep read-only values, with every jurisdiction leaf resolved."""
        key = (name, jurisdiction)
        if key not in self._resolved:
            self._resolved[key] = self._plain(self.roots[name], jurisdiction)
        return self._resolved[key]

    def cell(self, path: str, jurisdiction: str) -> Scalar:
        """The value at `table.row.field`; None where the jurisdiction has none."""
        name, *steps = path.split(".")
        node = self.roots.get(name)
        if node is None:
            raise NoCellError(f"no table '{name}': {did_you_mean(name, self.roots)}")
        node = self._choose(node, jurisdiction)
        walked = name
        for step in steps:
            entries = _entries(node)
            if step not in entries:
                raise NoCellError(f"'{walked}' has no '{step}': {did_you_mean(step, entries)}")
            node, walked = self._choose(entries[step], jurisdiction), f"{walked}.{step}"
        if not node.is_scalar:
            inside = did_you_mean("", _entries(node))
            raise NoCellError(f"'{walked}' is not a single value: {inside}")
        return node.scalar

    def is_jurisdiction_leaf(self, node: Node) -> bool:
        """Whether the keys of a mapping are jurisdictions."""
        return bool(node.mapping) and set(node.mapping or ()) <= self._jurisdictions

    def _choose(self, node: Node, jurisdiction: str) -> Node:
        while self.is_jurisdiction_leaf(node):
            entries = node.mapping or {}
            if jurisdiction not in entries:
                raise NoCellError(f"no value for {jurisdiction}: write null where there is none")
            node = entries[jurisdiction]
        return node

    def _plain(self, node: Node, jurisdiction: str) -> Any:
        node = self._choose(node, jurisdiction)
        if node.mapping is not None:
            return MappingProxyType(
                {key: self._plain(value, jurisdiction) for key, value in node.mapping.items()}
            )
        if node.items is not None:
            return tuple(self._plain(item, jurisdiction) for item in node.items)
        return node.scalar


def unit_of_field(path: str) -> str | None:
    """The unit a field's name ends in, if it does."""
    name = path.rpartition(".")[2]
    for ending in sorted(_UNITS, key=len, reverse=True):
        if f"_{name}".endswith(ending):
            return _UNITS[ending]
    return None


def _entries(node: Node) -> dict[str, Node]:
    """Entries by key; rows of a list by their `id`."""
    if node.mapping is not None:
        return {str(key): value for key, value in node.mapping.items()}
    rows = {}
    for item in node.items or ():
        identity = (item.mapping or {}).get("id")
        if identity is not None:
            rows[str(identity.scalar)] = item
    return rows
