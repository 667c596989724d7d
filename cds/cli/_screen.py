"""How wide the terminal is, and whether it shows colour."""

from __future__ import annotations

import os
import shutil
import sys

from cds.cards.terminal import Screen

_WIDEST = 110


def screen() -> Screen:
    """Return the screen of this process; colour only on a terminal and never with NO_COLOR."""
    columns = shutil.get_terminal_size((100, 24)).columns
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Screen(width=min(columns, _WIDEST), colour=colour)
