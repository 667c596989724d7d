"""The revisions of the rulebook that can be looked at: what serves, the files, the shelf."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from cds.rulebook import Rulebook, RulebookError
from cds.rulebook.content import Files, read_directory
from cds.rulebook.rulebook import load_files
from cds.rulebook.shelf import Active, Shelf, ShelfError
from cds.services.knowledge import rules_path, shelf_path
from cds.services.wiring import Services
from cds.settings import Settings

SERVING, FILES, DRAFT = "serving", "files", "draft"
"""Names of what is no revision of the shelf."""


class NoRevision(Exception):  # noqa: N818 - an answer, not a defect
    """It cannot be looked at; each line of the message is one reason with its place."""


class RuleChange(Struct, frozen=True):
    """One revision of the rulebook in which a rule's file differs from the one before."""

    at: str
    before: str | None
    revision: str


class Revisions(Struct, frozen=True):
    """Finds rulebooks by name; a name is one of the above or a revision of the shelf."""

    services: Services

    def choices(self) -> Iterator[tuple[str, str]]:
        """(name, label) of everything that can be compared."""
        yield SERVING, f"what serves ({self._serving.revision[:12]})"
        yield FILES, "the files on disk"
        if self._settings.rules_draft is not None:
            yield DRAFT, "the draft directory"
        for entry in reversed(self._distinct()):
            yield entry.revision, f"{entry.revision[:12]}, serving from {entry.at[:10]}"

    def load(self, name: str) -> Rulebook:
        """Return a rulebook with its tests; the caller closes it."""
        try:
            if name == SERVING:
                return load_files(self._serving.content.files, with_tests=True)
            if name in (FILES, DRAFT):
                directory = rules_path(self._settings) if name == FILES else self._draft()
                return load_files(read_directory(directory), root=directory.name, with_tests=True)
            return load_files(self._shelf().files(name), with_tests=True)
        except RulebookError as error:
            raise NoRevision("\n".join(str(remark) for remark in error.remarks)) from None
        except (ShelfError, OSError) as error:
            raise NoRevision(str(error)) from None

    def history(self) -> tuple[Active, ...]:
        """What served when, newest first; nothing where no shelf was ever kept."""
        if not shelf_path(self._settings).is_dir():
            return ()
        return tuple(reversed(self._shelf().history()))

    def of_rule(self, file: str) -> tuple[RuleChange, ...]:
        """The revisions in which a rule's file changed, newest first, among those kept."""
        changes: list[RuleChange] = []
        before: str | None = None
        seen: str | None = None
        for entry in self._distinct():
            digest = self._digests(entry.revision).get(file)
            if digest is not None and digest != seen:
                changes.append(RuleChange(entry.at, before, entry.revision))
            before, seen = entry.revision, digest
        return tuple(reversed(changes))

    @property
    def _settings(self) -> Settings:
        return self.services.settings

    @property
    def _serving(self) -> Rulebook:
        return self.services.knowledge.rulebook

    def _shelf(self) -> Shelf:
        return Shelf(shelf_path(self._settings))

    def _draft(self) -> Path:
        if self._settings.rules_draft is None:
            raise NoRevision("No draft directory is set: name it under rules_draft.")
        return self._settings.rules_draft

    def _distinct(self) -> list[Active]:
        """Each kept revision once, where it first served, oldest first."""
        kept: dict[str, Active] = {}
        for entry in reversed(self.history()):
            kept.setdefault(entry.revision, entry)
        if not kept:
            return []
        shelf = self._shelf()
        return [entry for entry in kept.values() if shelf.has(entry.revision)]

    def _digests(self, revision: str) -> dict[str, str]:
        return _digests_of(shelf_path(self._settings), revision)


@lru_cache(maxsize=128)
def _digests_of(shelf: Path, revision: str) -> dict[str, str]:
    """File -> digest; a revision is named by its content, so this never ages."""
    try:
        files: Files = Shelf(shelf).files(revision)
    except ShelfError:
        return {}
    return {name: sha256(content).hexdigest() for name, content in files.items()}
