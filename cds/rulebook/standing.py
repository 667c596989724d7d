"""What serves and how the directory stands to it, as anyone can work out from the shelf."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from msgspec import Struct

from cds.rulebook.accept import accept
from cds.rulebook.content import read_directory, revision_of
from cds.rulebook.remarks import Remark, RulebookError
from cds.rulebook.rulebook import load_files
from cds.rulebook.shelf import Active, Shelf


class Standing(Struct, frozen=True):
    """The revision that serves, the one in the directory, and what keeps that from serving."""

    active: Active | None
    directory: str | None
    """Revision of the directory; None: it cannot be read."""
    remarks: tuple[Remark, ...]

    def words(self) -> tuple[str, ...]:
        """The standing as lines for people."""
        if self.active is None:
            lines = ["nothing has served yet: a server takes the directory when it starts"]
        else:
            serves = f"{self.active.revision[:12]} serves since {self.active.at}"
            lines = [f"{serves} ({self.active.why})"]
        here = "" if self.directory is None else f" ({self.directory[:12]})"
        if self.remarks:
            lines.append(f"the directory{here} is refused; what served goes on serving:")
            lines += [f"  {remark}" for remark in self.remarks]
        elif self.active is not None and self.directory == self.active.revision:
            lines.append("the directory holds the same")
        elif self.active is not None and self.directory == self.active.instead_of:
            lines.append(f"the directory{here} is set aside until it is edited again")
        else:
            lines.append(f"the directory{here} passes: a running server takes it within seconds")
        return tuple(lines)


def standing(shelf: Shelf, directory: Path, today: date) -> Standing:
    """Look at the shelf and the directory, and check an edit as a server would.

    Raises ShelfError if the shelf cannot be read.
    """
    active = shelf.active()
    try:
        files = read_directory(directory)
    except RulebookError as error:
        return Standing(active, None, error.remarks)
    revision = revision_of(files)
    if active is not None and revision in (active.revision, active.instead_of):
        return Standing(active, revision, ())
    try:
        serving = None if active is None else load_files(shelf.files(active.revision))
        accept(files, root=directory.name, today=today, serving=serving)
    except RulebookError as error:
        return Standing(active, revision, error.remarks)
    return Standing(active, revision, ())
