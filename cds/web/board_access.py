"""Who may look at the safety board and at what an edit would change: one place that says so.

Figures concern rules, not patients, but they are counted over all patients of a client; comments
are free text in which users may have named one.
"""

from __future__ import annotations

from msgspec import Struct

from cds.web.errors import Refusal, refuse
from cds.web.signin import Doorkeeper, Visitor

_NOT_ALL = (
    "This is counted over all patients. It is shown to those whom the client's settings name under "
    "`smart.worklist_users`; `imatinib-tdm feedback figures` prints the same figures."
)


class BoardReader(Struct, frozen=True):
    """What one reader may see."""

    name: str
    """For the log."""
    client: str | None
    """Only this client's decisions; None is everything."""
    comments: bool
    """Whether they may read what users wrote, and the inputs of recent decisions."""


def board_reader(door: Doorkeeper, *, form: bool = False) -> BoardReader:
    """Return who reads, or refuse; with `form`, who sent a form of ours."""
    return _reader(door.admit_form() if form else door.admit())


def board_reader_or_none(door: Doorkeeper) -> BoardReader | None:
    """The same for parts of a page that others may see without them."""
    try:
        return _reader(door.admit())
    except Refusal:
        return None


def _reader(visitor: Visitor) -> BoardReader:
    if not visitor.sees_all_patients:
        raise refuse(403, "not-all-patients", _NOT_ALL)
    return BoardReader(visitor.client or "loopback", visitor.client, comments=True)
