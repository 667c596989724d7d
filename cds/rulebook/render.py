"""Fill the slots of a text with the values of the matched facts.

Only what the template reader recognised is filled; a value is never interpreted again. Text that
came from the record loses its line breaks and control characters, and in Markdown its special
characters are escaped: afterwards nobody could tell it from the author's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cds.clinical.probability import edge
from cds.rulebook.facts import Attribute, AttributeType, Catalogue, Fact, Value
from cds.rulebook.rule import Template

UNKNOWN = "unknown"
MAX_SHOWN = 200
_FINE_DECIMALS = 3
_INDISTINCT = 1.5e-4

_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


class Renderer:
    """Knows how many decimals a value is shown with."""

    def __init__(self, catalogue: Catalogue, lab_decimals: Mapping[str, int]) -> None:
        self._catalogue, self._lab_decimals = catalogue, lab_decimals

    def fill(
        self,
        template: Template,
        facts: Mapping[str, Fact],
        params: Mapping[str, Value],
        *,
        markdown: bool = False,
    ) -> str:
        """The finished text."""
        parts = []
        for part in template.parts:
            if isinstance(part, str):
                parts.append(part)
            elif part.binding is None:
                parts.append(show_number(params[part.name]))
            else:
                parts.append(self._shown(facts[part.binding], part.name, params, markdown))
        return "".join(parts)

    def _shown(self, fact: Fact, name: str, params: Mapping[str, Value], markdown: bool) -> str:
        attribute = self._catalogue.attribute(fact.kind, name)
        value = fact.values.get(name)
        if value is None:
            return UNKNOWN
        if attribute.type is AttributeType.TEXT:
            return plain_text(str(value), markdown=markdown)
        if attribute.probability and isinstance(value, float) and (near := edge(value)):
            return near
        if attribute.type is AttributeType.NUMBER and isinstance(value, float):
            return _rounded(value, self._decimals(fact, attribute), params)
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value)

    def _decimals(self, fact: Fact, attribute: Attribute) -> int:
        if fact.kind == "lab" and attribute.name == "value":
            return self._lab_decimals.get(str(fact.values["key"]), attribute.decimals)
        return attribute.decimals


def plain_text(text: str, *, markdown: bool) -> str:
    """Text of the record as one line of plain words, at most 200 characters."""
    line = _CONTROL.sub(" ", text).strip()
    if len(line) > MAX_SHOWN:
        line = line[: MAX_SHOWN - 3] + "..."
    return _MARKDOWN.sub(r"\\\1", line) if markdown else line


def show_number(value: Value) -> str:
    """A parameter: as few decimals as it has."""
    if isinstance(value, float):
        text = f"{value:.4f}".rstrip("0").rstrip(".")
        return text if text != "-0" else "0"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rounded(value: float, decimals: int, params: Mapping[str, Value]) -> str:
    """Round for the reader, but never onto a limit that the value does not equal.

    999.6 ng/mL shown as 1000 beside 'below 1000' would read as a contradiction. What cannot be told
    from a limit but is not equal to it, such as a result reported as `>10`, is said as that.
    """
    limits = {float(p) for p in params.values() if isinstance(p, int | float)}
    for limit in limits:
        if 0 < abs(value - limit) < _INDISTINCT:
            return f"{'>' if value > limit else '<'}{show_number(limit)}"
    while decimals < 4 and value not in limits and round(value, decimals) in limits:
        decimals += 1
    while decimals < 4 and value and not round(value, decimals):
        decimals += 1  # 0.4 mg is not 0 mg
    text = f"{value:.{decimals}f}"
    # A share measured over five powers of ten needs its decimals only where they are not zero.
    return text.rstrip("0").rstrip(".") if decimals >= _FINE_DECIMALS else text
