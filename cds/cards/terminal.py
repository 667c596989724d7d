"""Cards as a person reads them in a terminal: indicator, summary, tables, offers, and why."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct

from cds.screen_text import undriving

_ANSI = {"critical": "1;97;41", "warning": "1;30;43", "info": "1;97;44", "bold": "1", "dim": "2"}
_LINK = re.compile(r"(?<!\\)\[((?:\\.|[^\]\\])+)\]\((\S+?)\)")
_EMPHASIS = re.compile(r"(?<!\\)(\*\*|`)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_TABLE_RULE = re.compile(r"\|[\s:|-]+\|")
_LIST_ITEM = re.compile(r"(\s*(?:[-*]|\d+\.)\s+)")


class Screen(Struct, frozen=True):
    """Where the cards are shown: how wide, and whether it can show colour."""

    width: int = 100
    colour: bool = False

    def paint(self, text: str, style: str) -> str:
        """Return the text in a colour, where there is any."""
        return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if self.colour else text


def render_response(response: Mapping[str, Any], screen: Screen) -> str:
    """Return the cards of one CDS Hooks response, or the statement that there are none."""
    cards = response.get("cards", [])
    if not cards:
        return screen.paint("no cards: nothing to say", "dim")
    return "\n\n".join(render_card(card, screen) for card in cards)


def render_card(card: Mapping[str, Any], screen: Screen) -> str:
    """Return one card, from its JSON as it went over the wire."""
    indicator = str(card["indicator"])
    badge = screen.paint(f" {indicator.upper()} ", indicator)
    lines = [f"{badge} {screen.paint(undriving(str(card['summary'])), 'bold')}"]
    lines += _indented(render_markdown(str(card.get("detail", "")), screen))
    lines += _offers(card, screen)
    reasons = [undriving(str(reason["display"])) for reason in card.get("overrideReasons", [])]
    if reasons:
        lines += _indented(_wrapped(f"Reasons not to: {'; '.join(reasons)}", screen))
    lines += [
        f"  {undriving(link['label'])}: {undriving(link['url'])}" for link in card.get("links", [])
    ]
    return "\n".join(lines)


def render_markdown(markdown: str, screen: Screen) -> list[str]:
    """Return the Markdown that cards use as lines of text; tables are set in columns."""
    lines: list[str] = []
    for is_table, group in groupby(markdown.splitlines(), key=lambda line: line.startswith("|")):
        if is_table:
            lines += _table(list(group))
            continue
        for paragraph in _paragraphs(group):
            lines += _wrapped(_inline(paragraph), screen) if paragraph else [""]
    return lines


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Join lines as Markdown does: until a blank line, a list item or a hard break."""
    held = ""
    for line in lines:
        starts_item = _LIST_ITEM.match(line) is not None
        if held and (not line.strip() or starts_item):
            yield held
            held = ""
        if not line.strip():
            yield ""
            continue
        held = f"{held} {line.strip()}" if held else line.rstrip()
        if line.endswith("  "):
            yield held
            held = ""
    if held:
        yield held


def _offers(card: Mapping[str, Any], screen: Screen) -> Iterator[str]:
    for suggestion in card.get("suggestions", []):
        mark = " (recommended)" if suggestion.get("isRecommended") else ""
        yield screen.paint(f"  -> {undriving(str(suggestion['label']))}{mark}", "bold")
        for action in suggestion.get("actions", []):
            resource = action.get("resource", {})
            what = action.get("resourceId") or "/".join(
                str(part) for part in (resource.get("resourceType"), resource.get("id")) if part
            )
            yield f"       {undriving(str(action['type']))} {undriving(what)}"


def _table(rows: Sequence[str]) -> list[str]:
    """Set the rows of a Markdown table in columns, numbers to the right."""
    cells = [
        [_inline(cell.strip()) for cell in re.split(r"(?<!\\)\|", row.strip())[1:-1]]
        for row in rows
        if not _TABLE_RULE.fullmatch(row.strip())
    ]
    rule = next((row for row in rows if _TABLE_RULE.fullmatch(row.strip())), "")
    right = [part.strip().endswith(":") for part in rule.strip().strip("|").split("|")]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    set_rows = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return [*set_rows[:1], "  ".join("-" * width for width in widths), *set_rows[1:]]


def _inline(text: str) -> str:
    """Take the Markdown out of one line."""
    text = _EMPHASIS.sub("", _LINK.sub(r"\1 <\2>", text))
    return undriving(html.unescape(_ESCAPED.sub(r"\1", text)))


def _wrapped(text: str, screen: Screen) -> list[str]:
    item = _LIST_ITEM.match(text)
    hang = " " * len(item.group(1)) if item else ""
    return textwrap.wrap(
        text,
        max(screen.width - 2, 40),
        subsequent_indent=hang,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
