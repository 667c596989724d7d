"""Putting values into words that are safe in every client.

A card's detail is Markdown, and clients exist that render raw HTML inside it. Text that came from
the patient's record must therefore never act as markup: not as HTML, not as a Markdown link or
image, and not as an address that a client turns into a link by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cds.cards.wire import SUMMARY_LIMIT
from cds.clinical import probability

_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)
_MARKDOWN = r"\`*_{}[]#|~!"
"""The backslash first: it is what the others are escaped with."""
_WWW = re.compile(r"\bwww\.", re.IGNORECASE)
_SCHEME_COLON = re.compile(
    r":(?:(?<=\bmailto:)|(?<=\bxmpp:)|(?<=\bjavascript:)|(?<=\bdata:))", re.IGNORECASE
)
"""Begins with the colon, which is found fast, and looks back for the scheme."""
_BARE_BRACKET = re.compile(r"(?<!\\)([\[\]])")
_HARMLESS = re.compile(r"[A-Za-z0-9.,;()/%=+-]+(?: [A-Za-z0-9.,;()/%=+-]+)*", re.ASCII)
"""Most texts: words and numbers with single spaces between them, of which nothing is escaped."""
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_ELLIPSIS = "…"


def plain(text: str) -> str:
    """Return text from the record so that Markdown and HTML show it exactly, on one line."""
    if _HARMLESS.fullmatch(text) and "www." not in text.lower():
        return text
    return _escaped(text)


def _escaped(text: str) -> str:
    line = _on_one_line(text)
    for sign in _MARKDOWN:
        if sign in line:
            line = line.replace(sign, f"\\{sign}")
    return _no_autolink(_no_html(line))


def authored(text: str) -> str:
    """Return a rule's Markdown, into which values were filled, without HTML, links or images.

    A rule needs none of them (its sources carry the links), while a name from the record that was
    filled in may try to bring them along. Emphasis, lists and paragraphs stay.
    """
    written = _without_control(text)
    written = written.replace(r"\<", "<").replace(r"\>", ">")  # an entity takes no backslash
    if "[" in written or "]" in written:
        written = _BARE_BRACKET.sub(r"\\\1", written)
    return _capital(_no_autolink(_no_html(written)).strip())


def one_line(text: str) -> str:
    """Return plain text (no Markdown) on one line, in which nothing opens a tag."""
    return _TAG_START.sub("‹", _on_one_line(text))


def summary(text: str) -> str:
    """Return one line of plain text that fits a card's summary."""
    line = _capital(one_line(text))
    if len(line) <= SUMMARY_LIMIT:
        return line
    cut = line[: SUMMARY_LIMIT - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space else cut).rstrip(" ,;:") + _ELLIPSIS


def number(value: float, decimals: int = 0) -> str:
    """Return a number as a clinician writes it; never an exponent, never minus zero."""
    text = "%.*f" % (decimals, value)  # noqa: UP031 - a format with a varying width is slower
    return text.lstrip("-") if text[0] == "-" and not text.strip("-0.") else text


def dose(value: float) -> str:
    """Return a dose without needless decimals: 400, 127.5."""
    return number(value, 0) if value == round(value) else number(value, 1)


def percent(value: float) -> str:
    """Return a model's probability for Markdown."""
    return _no_html(probability.percent(value))


def interval(hours: float) -> str:
    """Return a dosing interval in words."""
    names = {24.0: "once daily", 12.0: "twice daily", 8.0: "three times daily"}
    return names.get(round(hours, 2), f"every {dose(hours)} h")


def listing(items: Iterable[str]) -> str:
    """Join words as a sentence does: a, b and c."""
    words = list(items)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(text: str) -> str:
    """Return the text with a capital at its head and a full stop at its end."""
    text = text.strip()
    if not text:
        return text
    text = _capital(text)
    return text if text[-1] in ".!?:" else f"{text}."


def _capital(text: str) -> str:
    """A sentence may begin with the name of a medicine, which rules write small."""
    return text[:1].upper() + text[1:]


def _no_html(text: str) -> str:
    """Escape what opens a tag or an entity; entities written by the author stay readable."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _on_one_line(text: str) -> str:
    return " ".join(_without_control(text).split())


def _without_control(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub("", text)


def _no_autolink(text: str) -> str:
    """Break addresses that GitHub-flavoured Markdown would turn into links by itself."""
    text = text.replace("://", "&#58;//").replace("@", "&#64;")
    if "ww." in text.lower():
        text = _WWW.sub("www&#46;", text)
    return _SCHEME_COLON.sub("&#58;", text)
