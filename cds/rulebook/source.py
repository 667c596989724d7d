"""Read YAML into nodes that remember their line and column; nothing in a file can run or grow.

Nodes are built from ruamel's event stream with the YAML 1.2 core types only. There is no
constructor to reach, so a tag cannot create an object; depth, size and the expansion of aliases
are counted while reading, so a small file cannot become a large one.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import NoReturn

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from cds.rulebook.remarks import Place, Remark, RulebookError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_NODES = 20_000

Scalar = bool | int | float | str | None
Key = str | int | float | bool
Plain = Scalar | list["Plain"] | dict[Key, "Plain"]

_INTEGER = re.compile(r"[-+]?[0-9]{1,15}")
_NUMBER_LIKE = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NEVER_CLOSED = re.compile(r"unexpected end of stream|<stream end>")
_TOP_LEVEL = re.compile(rb"\n[^\s#-]")
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


_CURES = {
    "'\\t'": "use spaces instead of the tab",
    "mapping values are not allowed": (
        "put a text that holds ': ' in quotes, or begin the line where the lines around it begin"
    ),
    "expected the node content": "close the bracket or brace that was opened before",
    "expected ',' or": "close the bracket or brace, or put a comma between its entries",
    "could not find expected ':'": "write a colon and a space after the key",
    "found unexpected end of stream": "close the quote that was opened",
    "cannot start any token": "put the text in quotes",
    "but found '<scalar>'": "write an apostrophe inside quotes twice, or use double quotes",
    "expected <block end>": "begin the line where the lines around it begin",
}
"""By a part of what the YAML reader says."""
_ANY_CURE = "check indentation and quotes"


class Node(Struct, frozen=True):
    """A YAML value with its place; `key_places` says where each key of a mapping stands."""

    value: Scalar | tuple[Node, ...] | dict[Key, Node]
    place: Place
    key_places: dict[Key, Place] = field(default_factory=dict)
    size: int = 1

    @property
    def mapping(self) -> dict[Key, Node] | None:
        """The entries, if this is a mapping."""
        return self.value if isinstance(self.value, dict) else None

    @property
    def items(self) -> tuple[Node, ...] | None:
        """The items, if this is a list."""
        return self.value if isinstance(self.value, tuple) else None

    @property
    def scalar(self) -> Scalar:
        """The value, if this is a single value (None also for an empty one)."""
        return None if isinstance(self.value, tuple | dict) else self.value

    @property
    def is_scalar(self) -> bool:
        """Whether this is a single value."""
        return not isinstance(self.value, tuple | dict)

    def plain(self) -> Plain:
        """The same content as plain Python values, without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


@lru_cache(maxsize=1024)
def parse(content: bytes, file: str) -> Node:
    """Parse one document; raise RulebookError with a place. Cached: a reload reads what changed."""
    if len(content) > MAX_BYTES:
        _refuse("RB001", Place(file), f"{len(content)} bytes is too large", "split the file")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        _refuse("RB001", Place(file, line), "not UTF-8 text", "save the file as UTF-8")
    try:
        return _Builder(file).build(text)
    except MarkedYAMLError as error:
        said = str(error.problem or error.context)
        # What was never closed is named where it was opened, not at the end of the file.
        mark = error.problem_mark or error.context_mark
        if error.context_mark is not None and _NEVER_CLOSED.search(said):
            mark = error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        _refuse("RB002", place, said, _cure(said))
    except (YAMLError, ValueError, OverflowError) as error:
        # ValueError, OverflowError: ruamel's scanner on an escape such as "\UFFFFFFFF"
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        _refuse("RB002", Place(file), first, "remove the character that YAML does not allow")


def _cure(said: str) -> str:
    """What usually mends what the YAML reader complains of."""
    return next((cure for part, cure in _CURES.items() if part in said), _ANY_CURE)


def parse_before(key: bytes, content: bytes, file: str) -> Node:
    """Parse what stands before a last top-level key, if the file is laid out that plainly.

    Otherwise the whole is parsed: the cut may only save time, never change what is read.
    """
    head, found, tail = content.partition(b"\n" + key + b":")
    if found and not _TOP_LEVEL.search(tail):
        try:
            return parse(head + b"\n", file)
        except RulebookError:
            pass  # cut inside a quoted text or a flow mapping, or a mistake the whole will show
    return parse(content, file)


class _Builder:
    """Turns the event stream of one document into nodes, counting as it goes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._documents = 0

    def build(self, text: str) -> Node:
        open_nodes: list[_Open] = []
        root: Node | None = None
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    _refuse("RB002", self._place(event), "second document", "keep one")
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._no_tag(event)
                if len(open_nodes) >= MAX_DEPTH:
                    _refuse("RB006", self._place(event), f"nested deeper than {MAX_DEPTH}")
                mapping = isinstance(event, MappingStartEvent)
                open_nodes.append(_Open(self._place(event), event.anchor, mapping))
                continue
            node = self._finished(event, open_nodes)
            if node is None:
                continue
            if open_nodes:
                open_nodes[-1].take(node)
            else:
                root = node
        return root if root is not None else Node(None, Place(self._file))

    def _finished(self, event: Event, open_nodes: list[_Open]) -> Node | None:
        """The node that this event completes, if it completes one."""
        anchor: str | None = None
        if isinstance(event, ScalarEvent):
            self._no_tag(event)
            anchor = event.anchor
            plain = event.implicit[0] and event.style in (None, "")
            value = _resolve(event.value, self._place(event)) if plain else event.value
            node = Node(value, self._place(event))
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            opened = open_nodes.pop()
            anchor, node = opened.anchor, opened.close()
        elif isinstance(event, AliasEvent):
            target = self._anchors.get(event.anchor)
            if target is None:
                _refuse("RB004", self._place(event), f"unknown or recursive anchor *{event.anchor}")
            node = Node(target.value, self._place(event), target.key_places, target.size)
        else:
            return None
        self._count += node.size if isinstance(event, AliasEvent) else 1
        if self._count > MAX_NODES:
            _refuse("RB006", self._place(event), f"more than {MAX_NODES} values", "split the file")
        if anchor:
            self._anchors[anchor] = node
        return node

    def _place(self, event: Event) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _no_tag(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        if event.tag is not None:
            _refuse("RB003", self._place(event), f"tag {event.tag}", "write the plain value")


class _Open:
    """A mapping or list whose end has not been read yet."""

    def __init__(self, place: Place, anchor: str | None, mapping: bool) -> None:
        self.place, self.anchor = place, anchor
        self._mapping = mapping
        self._items: list[Node] = []
        self._entries: dict[Key, Node] = {}
        self._keys: dict[Key, Place] = {}
        self._key: tuple[Key, Place] | None = None

    def take(self, node: Node) -> None:
        if not self._mapping:
            self._items.append(node)
        elif self._key is None:
            if not node.is_scalar or node.scalar is None:
                _refuse("RB002", node.place, "a key must be a word or a number")
            if node.scalar == "<<":
                _refuse("RB004", node.place, "merge keys are not used", "write the entries out")
            if node.scalar in self._entries:
                _refuse("RB005", node.place, f"'{node.scalar}' stands here twice", "keep one")
            self._key = (node.scalar, node.place)
        else:
            key, place = self._key
            self._entries[key], self._keys[key], self._key = node, place, None

    def close(self) -> Node:
        if self._mapping:
            size = 1 + sum(1 + node.size for node in self._entries.values())
            return Node(self._entries, self.place, self._keys, size)
        size = 1 + sum(node.size for node in self._items)
        return Node(tuple(self._items), self.place, size=size)


def _resolve(text: str, place: Place) -> Scalar:
    """Type a plain scalar by the YAML 1.2 core schema; `no` and dates stay words."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER_LIKE.fullmatch(text):
        number = float(text)
        if abs(number) >= 1e15:
            _refuse("RB104", place, f"number {text[:40]} is too large")
        return number
    return sys.intern(text)  # the same words stand everywhere; one object is equal at a glance


def _refuse(code: str, place: Place, message: str, cure: str = "") -> NoReturn:
    raise RulebookError([Remark(place, code, message, cure)])
