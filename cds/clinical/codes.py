"""Codes as they stand in the record; meaning is given to them by `rules/terminology`."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct


class Code(NamedTuple):
    """A code in a code system; equality is by system and code, never by display.

    A tuple, because codes are looked up in tables hundreds of times for each patient.
    """

    system: str
    code: str


class Concept(Struct, frozen=True):
    """A coded or merely written concept: all its codes and the words that came with it."""

    codes: tuple[Code, ...] = ()
    text: str | None = None
