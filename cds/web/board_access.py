"""Who may look at the safety board: the one place where a sign-in is asked for it.

Figures concern rules, not patients; comments are free text in which users may have named one.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request

from cds.web.auth import Gate
from cds.web.errors import refuse


@dataclass(frozen=True, slots=True)
class BoardReader:
    """What one reader may see."""

    name: str
    client: str | None
    """Only this client's decisions; None is everything."""
    comments: bool
    """Whether they may read what users wrote, and the inputs of recent decisions."""


def board_reader_or_none(gate: Gate, request: Request, path: str) -> BoardReader | None:
    """The same for parts of a page that others may see without them."""
    return board_reader(gate, request, path) if gate.open_loopback else None


def board_reader(gate: Gate, request: Request, path: str) -> BoardReader:
    """Return who reads, or refuse: without registered clients whoever sits at this machine."""
    if not gate.open_loopback:
        raise refuse(403, "sign-in", "Figures are read with `imatinib-tdm feedback figures`.")
    caller = gate.admit(request, path)
    return BoardReader(caller.id, None, comments=True)
