"""What the terminal shows: how wide it is, whether in colour, how far long work has come."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

from cds.cards.terminal import Screen

_WIDEST = 110
Item = TypeVar("Item")


def screen() -> Screen:
    """Return the screen of this process; colour only on a terminal and never with NO_COLOR."""
    columns = shutil.get_terminal_size((100, 24)).columns
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return Screen(width=min(columns, _WIDEST), colour=colour)


def progress(items: Sequence[Item], label: str) -> Iterator[Item]:
    """Go through items and show on a terminal how far it is; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(items, label=label, file=sys.stderr) as bar:
        yield from bar


def progress_of(items: Iterable[Item], length: int, label: str) -> Iterator[Item]:
    """The same for items that come one by one, of which `length` are expected."""
    if not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(items, length, label, file=sys.stderr, show_pos=True) as bar:
        yield from bar


@contextmanager
def working(label: str) -> Iterator[None]:
    """Say on a terminal what takes its time, and take it back when it is done."""
    shown = sys.stderr.isatty()
    if shown:
        click.echo(f"{label} ...", err=True, nl=False)
    try:
        yield
    finally:
        if shown:
            click.echo("\r" + " " * (len(label) + 4) + "\r", err=True, nl=False)


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as 1 error and 2 errors."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
