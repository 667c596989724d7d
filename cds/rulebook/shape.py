"""Typed access to the entries of a mapping, noting what is missing, misspelt or of a wrong type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from typing import TypeVar

from cds.rulebook.facts import Kind
from cds.rulebook.remarks import Remarks, did_you_mean
from cds.rulebook.source import Node, Scalar

Choice = TypeVar("Choice", bound=StrEnum)


class Entries:
    """The entries of one mapping; each `take` checks one and remembers that it was asked for."""

    def __init__(self, node: Node, remarks: Remarks, what: str) -> None:
        self.place, self.remarks, self.what = node.place, remarks, what
        self.key_places = {str(key): place for key, place in node.key_places.items()}
        self._left: dict[str, Node] = {}
        if node.mapping is None:
            remarks.add(
                "RB103", node.place, f"{what} must be a mapping of keys", "write key: value"
            )
        else:
            self._left = {str(key): value for key, value in node.mapping.items()}
        self._asked: set[str] = set()

    def node(self, key: str, *, required: bool = True) -> Node | None:
        """The raw node of a key."""
        self._asked.add(key)
        found = self._left.pop(key, None)
        if found is None and required:
            self.remarks.add("RB102", self.place, f"{self.what} lacks '{key}'", f"add {key}: ...")
        return found

    def text(self, key: str, *, required: bool = True) -> str | None:
        """A non-empty text."""
        node = self.node(key, required=required)
        return None if node is None else as_text(node, self.remarks, key)

    def integer(self, key: str, *, required: bool = True) -> int | None:
        """A whole number."""
        node = self.node(key, required=required)
        if node is None:
            return None
        value = node.scalar
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self._wrong(node, key, "a whole number")
        return None

    def boolean(self, key: str, *, default: bool = False) -> bool:
        """true or false."""
        node = self.node(key, required=False)
        if node is None:
            return default
        if isinstance(node.scalar, bool):
            return node.scalar
        self._wrong(node, key, "true or false")
        return default

    def number(self, key: str, *, required: bool = True) -> float | None:
        """A number."""
        node = self.node(key, required=required)
        if node is None:
            return None
        value = node.scalar
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        self._wrong(node, key, "a number")
        return None

    def day(self, key: str) -> date | None:
        """A calendar date, YYYY-MM-DD."""
        node = self.node(key)
        if node is None:
            return None
        try:
            return date.fromisoformat(str(node.scalar))
        except ValueError:
            self._wrong(node, key, "a date written YYYY-MM-DD")
            return None

    def choice(self, key: str, kind: type[Choice]) -> Choice | None:
        """One word of a closed set."""
        node = self.node(key)
        if node is None:
            return None
        words = [member.value for member in kind]
        if node.scalar in words:
            return kind(str(node.scalar))
        self.remarks.add(
            "RB104", node.place, f"{key}: '{node.scalar}'", did_you_mean(node.scalar, words)
        )
        return None

    def words(
        self, key: str, allowed: Iterable[str] | None = None, *, required: bool = True
    ) -> tuple[str, ...]:
        """A list of words, from a closed set if one is given."""
        node = self.node(key, required=required)
        known = None if allowed is None else tuple(allowed)
        found = []
        for item in self._items(node, key):
            word = as_text(item, self.remarks, key)
            if word is None:
                continue
            if known is not None and word not in known:
                cure = did_you_mean(word, known)
                self.remarks.add("RB104", item.place, f"{key}: '{word}'", cure)
            else:
                found.append(word)
        return tuple(found)

    def nodes(self, key: str, *, required: bool = True) -> tuple[Node, ...]:
        """A list of nodes."""
        return tuple(self._items(self.node(key, required=required), key))

    def inner(self, key: str, *, required: bool = True) -> Entries | None:
        """A nested mapping."""
        node = self.node(key, required=required)
        return None if node is None else Entries(node, self.remarks, key)

    def done(self) -> None:
        """Note every key nobody asked for."""
        for key in self._left:
            place = self.key_places.get(key, self.place)
            cure = did_you_mean(key, self._asked)
            if " " in key:
                cure = "a comma inside {...} ends a text: put the text in quotes"
            self.remarks.add("RB101", place, f"unknown key '{key}' in {self.what}", cure)

    def _items(self, node: Node | None, key: str) -> Iterator[Node]:
        if node is None:
            return
        if node.items is None:
            self._wrong(node, key, "a list")
            return
        yield from node.items

    def _wrong(self, node: Node, key: str, wanted: str) -> None:
        self.remarks.add("RB103", node.place, f"{key} must be {wanted}, not {shown(node.scalar)}")


def as_text(node: Node, remarks: Remarks, key: str) -> str | None:
    """A non-empty text; a bare number or date is not coerced."""
    if isinstance(node.scalar, str) and node.scalar.strip():
        return node.scalar
    remarks.add("RB103", node.place, f"{key} must be a text", "put it in quotes")
    return None


def attribute_cure(name: str, kind: Kind) -> str:
    """What was probably meant by an attribute that the kind does not have."""
    if name.isdigit():  # {value: 7,2} reads as value: 7 and a key 2
        return "write a number with a point, not with a comma"
    return did_you_mean(name, kind.attributes)


def shown(value: Scalar) -> str:
    """A value as the author may have written it."""
    if value is None:
        return "this"
    return str(value).lower() if isinstance(value, bool) else f"'{value}'"
