"""Codes as they stand in the record; meaning is given to them by `rules/terminology`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Code(NamedTuple):
    """A code in a code system; equality is by system and code, never by display.

    A tuple, because codes are looked up in tables hundreds of times for each patient.
    """

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Concept:
    """A coded or merely written concept: all its codes and the words that came with it."""

    codes: tuple[Code, ...] = ()
    text: str | None = None
