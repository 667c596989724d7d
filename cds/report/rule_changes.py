"""A comparison of two rulebooks laid out for a reader, and the log of why they changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from markdown_it import MarkdownIt
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from cds.rulebook import Rulebook
from cds.rulebook.diff import Change, PatientChange

_MARKDOWN = MarkdownIt("commonmark", {"html": False})
_TITLE = re.compile(r"^# .*$", re.MULTILINE)
_KINDS = (("rule ", "Rules"), ("table ", "Shared numbers"), ("source ", "Sources"))


class Effect(Protocol):
    """What differs between two rulebooks (see `cds.services.edit_effect`)."""

    @property
    def changes(self) -> tuple[Change, ...]: ...
    @property
    def patients(self) -> tuple[PatientChange, ...]: ...
    @property
    def asked(self) -> int: ...


class Comparison(Struct, frozen=True):
    """Two rulebooks and what differs."""

    before: str
    after: str
    effect: Effect
    recent: Effect | None = None

    @property
    def same(self) -> bool:
        """Whether both are the very same files."""
        return self.before == self.after

    def with_recent(self, effect: Effect) -> Comparison:
        """The comparison with what it does to recorded decisions."""
        return replace(self, recent=effect)


class ChangeGroup(Struct, frozen=True):
    """Changes of one thing."""

    kind: str
    about: str
    words: tuple[str, ...]


def comparison(before: Rulebook, after: Rulebook, effect: Effect) -> Comparison:
    """Name both revisions beside their differences."""
    return Comparison(before.revision, after.revision, effect)


def grouped(changes: Iterable[Change]) -> tuple[ChangeGroup, ...]:
    """Changes of the same rule, table or code together, in their order."""
    found: dict[str, list[str]] = {}
    for change in changes:
        found.setdefault(change.about, []).append(change.words)
    return tuple(_group(about, words) for about, words in found.items())


def notes(text: str) -> Markup:
    """The log of reasons as HTML; HTML inside it stays text."""
    body = _TITLE.sub("", text, count=1).replace("\n## ", "\n### ")
    return Markup(_MARKDOWN.render(body))  # noqa: S704 - written by the renderer, which escapes


def _group(about: str, words: list[str]) -> ChangeGroup:
    for beginning, kind in _KINDS:
        if about.startswith(beginning):
            return ChangeGroup(kind, about.removeprefix(beginning), tuple(words))
    return ChangeGroup("Codes", about, tuple(words))
