"""The closed catalogue of facts, and the facts themselves.

A rule can speak only of what stands in `facts.yaml`. A fact is typed by the catalogue and never
coerced in silence; numbers are rounded to four decimals on entry, so that both evaluators compare
the very same number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from cds.rulebook.source import Node, parse

DECIMALS_KEPT = 4
MAX_TEXT = 512
_LIMIT = 1e15
_NUMBERS = (int, float)
_SCALE, _EXACT_BELOW, _NO_TIE = 10.0**DECIMALS_KEPT, 1e6, 0.4999
"""Python rounds decimals by way of text, three times as slow; below this size multiplying says the
same unless a number stands next to the middle of two."""
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""What text in a fact may not hold: the end of a C string, and half a character.

Neither is printable, so a text that is need not be searched."""

Value = bool | int | float | str


class FactError(ValueError):
    """A fact does not follow the catalogue."""


class AttributeType(StrEnum):
    """How an attribute is written and compared."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CODE = "code"
    TEXT = "text"


_NUMBER, _BOOLEAN, _INTEGER = AttributeType.NUMBER, AttributeType.BOOLEAN, AttributeType.INTEGER


class Attribute(Struct, frozen=True):
    """One word about a kind of fact."""

    name: str
    type: AttributeType
    meaning: str
    unit: str | None = None
    values: tuple[str, ...] = ()
    """The closed set of a code; empty when any key of `terms` may stand here."""
    terms: str | None = None
    """The file of keys an open code comes from: medicines, labs, conditions, genes."""
    always: bool = False
    decimals: int = 0
    decides: bool = True
    probability: bool = False
    """Whether it is a model's probability in percent, which is never written as 0 or 100."""
    default: Value | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is compared by size."""
        return self.type in (AttributeType.NUMBER, AttributeType.INTEGER)

    @property
    def comparable(self) -> bool:
        """Whether a rule may compare it; free text is only shown, or asked whether it is known."""
        return self.decides and self.type is not AttributeType.TEXT

    def accept(self, value: object) -> Value:
        """Return the value as both evaluators see it, or raise FactError."""
        kind = self.type
        if kind is _NUMBER:
            if isinstance(value, _NUMBERS) and not isinstance(value, bool):
                return quantise(value)
        elif kind is _BOOLEAN:
            if value is True or value is False:
                return value
        elif kind is _INTEGER:
            if isinstance(value, int) and not isinstance(value, bool) and is_usable(value):
                return value
        elif isinstance(value, str):
            return str(value) if value in self.values else self._accept_words(str(value))
        raise FactError(f"{self.name}: {value!r} is not {_article(self.type)}")

    def _accept_words(self, value: str) -> str:
        if len(value) > MAX_TEXT or (not value.isprintable() and _UNUSABLE.search(value)):
            raise FactError(f"{self.name}: text too long or not valid Unicode")
        if self.values:
            raise FactError(f"{self.name}: '{value}' is not one of {', '.join(self.values)}")
        return value

    def neutral(self) -> Value:
        """What a test that does not mention this attribute means, if it is always known."""
        if self.default is not None:
            return self.default
        match self.type:
            case AttributeType.BOOLEAN:
                return False
            case AttributeType.INTEGER:
                return 0
            case AttributeType.NUMBER:
                return 0.0
            case _:
                return self.values[0] if self.values else "-"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fact: `one` per evaluation, or any number."""

    name: str
    meaning: str
    one: bool
    attributes: Mapping[str, Attribute]
    always: tuple[str, ...] = field(init=False)
    """The names of attributes that every fact of the kind has."""

    def __post_init__(self) -> None:
        always = tuple(name for name, one in self.attributes.items() if one.always)
        object.__setattr__(self, "always", always)


class Catalogue(Struct, frozen=True):
    """Every kind of fact there is."""

    kinds: Mapping[str, Kind]

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.kinds.values())

    def attribute(self, kind: str, name: str) -> Attribute:
        """The definition of an attribute known to exist."""
        return self.kinds[kind].attributes[name]


class Fact(Struct, frozen=True):
    """Something known about the patient; an attribute that is absent is unknown."""

    kind: str
    values: Mapping[str, Value]

    def __post_init__(self) -> None:
        kind = catalogue().kinds.get(self.kind)
        if kind is None:
            raise FactError(f"unknown kind of fact '{self.kind}'")
        accepted: dict[str, Value] = {}
        for name, value in self.values.items():
            attribute = kind.attributes.get(name)
            if attribute is None:
                raise FactError(f"{self.kind} has no attribute '{name}'")
            accepted[name] = attribute.accept(value)
        for name in kind.always:
            if name not in accepted:
                raise FactError(f"{self.kind}.{name} must always be known")
        force_setattr(self, "values", accepted)

    @property
    def reference(self) -> str | None:
        """The resource this fact comes from."""
        found = self.values.get("reference")
        return found if isinstance(found, str) else None


def is_usable(value: float) -> bool:
    """Whether a number can be that of a fact."""
    return -_LIMIT < value < _LIMIT  # what is no number is not between any two


def shortened(words: str) -> str:
    """Words of a record as those of a fact: without what no text may hold, not without end."""
    if not words.isprintable():
        words = _UNUSABLE.sub("", words)
    return words if len(words) <= MAX_TEXT else f"{words[: MAX_TEXT - 1]}\N{HORIZONTAL ELLIPSIS}"


def quantise(value: float) -> float:
    """Round to four decimals; refuse what is not finite. (Smaller numbers crash durable-rules.)"""
    if not -_LIMIT < value < _LIMIT:
        raise FactError(f"{value!r} is not a usable number")
    number = float(value)
    if number.is_integer():  # many are whole
        return number + 0.0  # no negative zero
    if -_EXACT_BELOW < number < _EXACT_BELOW:
        scaled = number * _SCALE
        whole = round(scaled)
        if -_NO_TIE < scaled - whole < _NO_TIE:
            return whole / _SCALE
    return round(number, DECIMALS_KEPT) + 0.0


@cache
def catalogue() -> Catalogue:
    """The catalogue shipped with this package."""
    path = Path(__file__).with_name("facts.yaml")
    return read_catalogue(parse(path.read_bytes(), path.name))


def read_catalogue(root: Node) -> Catalogue:
    """Build the catalogue from its file; a mistake in it is a programming error and raises."""
    kinds = {}
    for name, node in (root.mapping or {}).items():
        entry = node.mapping or {}
        attributes = {
            str(word): _attribute(str(word), definition)
            for word, definition in (entry["attributes"].mapping or {}).items()
        }
        one = "one" in entry and entry["one"].scalar is True
        kinds[str(name)] = Kind(str(name), str(entry["meaning"].scalar), one, attributes)
    return Catalogue(kinds)


def _attribute(name: str, node: Node) -> Attribute:
    entry = {key: value.plain() for key, value in (node.mapping or {}).items()}
    known = {"type", "unit", "values", "terms", "always", "decimals", "decides", "default"}
    if unknown := set(entry) - known - {"meaning", "probability"}:
        raise FactError(f"{node.place}: unknown keys {unknown}")
    values = entry.get("values") or []
    unit, terms, decimals = entry.get("unit"), entry.get("terms"), entry.get("decimals", 0)
    if not isinstance(values, list) or not isinstance(decimals, int):
        raise FactError(f"{node.place}: values must be a list and decimals an integer")
    default = entry.get("default")
    attribute = Attribute(
        name=name,
        type=AttributeType(str(entry["type"])),
        meaning=str(entry["meaning"]),
        unit=None if unit is None else str(unit),
        values=tuple(str(value) for value in values),
        terms=None if terms is None else str(terms),
        always=entry.get("always") is True,
        decimals=decimals,
        decides=entry.get("decides", True) is True,
        probability=entry.get("probability") is True,
    )
    if default is None:
        return attribute
    return replace(attribute, default=attribute.accept(default))


def _article(kind: AttributeType) -> str:
    return f"an {kind}" if kind is AttributeType.INTEGER else f"a {kind}"
