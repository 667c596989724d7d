"""What can be wrong with a rulebook: numbered remarks with a place, a message and a cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """Whether a remark keeps the rulebook from being used."""

    ERROR = "error"
    WARNING = "warning"


class Place(Struct, frozen=True, order=True):
    """Where something stands: file as the author knows it, line and column from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class RemarkKind(Struct, frozen=True):
    """One number of the linter: what it finds and whether it refuses the rulebook."""

    title: str
    level: Level = Level.ERROR


ERROR, WARNING = Level.ERROR, Level.WARNING

REMARK_KINDS: dict[str, RemarkKind] = {
    # reading the file
    "RB001": RemarkKind("file cannot be read as UTF-8 text of at most 256 KiB"),
    "RB002": RemarkKind("not valid YAML"),
    "RB003": RemarkKind("YAML tag"),
    "RB004": RemarkKind("aliases that blow up, or an unknown anchor"),
    "RB005": RemarkKind("key written twice"),
    "RB006": RemarkKind("nested too deep or too large"),
    # the shape of a file
    "RB101": RemarkKind("unknown key"),
    "RB102": RemarkKind("key missing"),
    "RB103": RemarkKind("wrong type of value"),
    "RB104": RemarkKind("value not allowed here"),
    "RB105": RemarkKind("id and file name disagree"),
    "RB106": RemarkKind("rule id used twice"),
    "RB107": RemarkKind("file that is not part of a rulebook", WARNING),
    "RB108": RemarkKind("new key of a site that looks like one of the rulebook", WARNING),
    # facts and conditions
    "RB201": RemarkKind("unknown kind of fact"),
    "RB202": RemarkKind("unknown attribute"),
    "RB203": RemarkKind("unknown condition word"),
    "RB204": RemarkKind("value of the wrong type for the attribute"),
    "RB205": RemarkKind("unit of the parameter and of the attribute differ"),
    "RB206": RemarkKind("number written into a condition"),
    "RB207": RemarkKind("unknown code"),
    "RB208": RemarkKind("attribute that is shown but never compared"),
    "RB209": RemarkKind("negation over an attribute that may be unknown"),
    "RB210": RemarkKind("join that cannot be made"),
    "RB211": RemarkKind("binding name not usable"),
    "RB212": RemarkKind("too many alternatives or conditions"),
    "RB213": RemarkKind("nothing to match but negations"),
    # parameters, tables, sources
    "RB301": RemarkKind("unknown parameter"),
    "RB302": RemarkKind("parameter never used", WARNING),
    "RB303": RemarkKind("no such place in the tables"),
    "RB304": RemarkKind("unknown source"),
    "RB305": RemarkKind("source missing"),
    "RB306": RemarkKind("table row without sources or verification", WARNING),
    "RB307": RemarkKind("source never used", WARNING),
    "RB308": RemarkKind("unit of the parameter and of the table's field name differ"),
    # texts
    "RB401": RemarkKind("placeholder that cannot be filled"),
    "RB402": RemarkKind("summary longer than a card allows"),
    "RB403": RemarkKind("HTML in a text"),
    "RB404": RemarkKind("braces that do not match"),
    "RB405": RemarkKind("text shows a value that may be unknown", WARNING),
    "RB406": RemarkKind("unknown override reason"),
    "RB407": RemarkKind("snooze longer than the severity allows"),
    # logic
    "RB501": RemarkKind("duplicate rule"),
    "RB502": RemarkKind("shadowed rule", WARNING),
    "RB503": RemarkKind("condition that can never hold"),
    "RB504": RemarkKind("gap in a band table"),
    "RB505": RemarkKind("overlap in a band table"),
    # life cycle
    "RB601": RemarkKind("review date passed", WARNING),
    "RB602": RemarkKind("active before its effective date"),
    "RB603": RemarkKind("review before effective date"),
    # tests
    "RB701": RemarkKind("no test in which the rule fires"),
    "RB702": RemarkKind("no test in which the rule is silent"),
    "RB703": RemarkKind("no test exactly at a boundary"),
    "RB704": RemarkKind("no test in which the rule is undecided"),
    "RB705": RemarkKind("test that fails"),
    "RB706": RemarkKind("test that cannot be run"),
    # reloading
    "RB801": RemarkKind("rulebook with which the service does not work"),
}


class Remark(Struct, frozen=True):
    """One thing about one place in the rulebook, and what to do about it."""

    place: Place
    code: str
    message: str
    cure: str = ""
    level: Level = Level.ERROR

    def __str__(self) -> str:
        cure = f" - {self.cure}" if self.cure else ""
        return f"{self.place}: {self.code} {self.level}: {self.message}{cure}"


class RulebookError(Exception):
    """The rulebook cannot be used; `remarks` holds everything that is wrong, in file order."""

    def __init__(self, remarks: Iterable[Remark]) -> None:
        self.remarks = tuple(remarks)
        super().__init__("\n".join(str(remark) for remark in self.remarks))


class Remarks:
    """A growing list of remarks; readers go on after an error so that one run names them all."""

    def __init__(self) -> None:
        self._found: list[Remark] = []

    def add(
        self, code: str, place: Place, message: str, cure: str = "", *, level: Level | None = None
    ) -> None:
        """Note one remark; its level is that of its kind unless `level` softens it."""
        self._found.append(Remark(place, code, message, cure, level or REMARK_KINDS[code].level))

    def extend(self, remarks: Iterable[Remark]) -> None:
        """Take over remarks made elsewhere."""
        self._found.extend(remarks)

    def __iter__(self) -> Iterator[Remark]:
        return iter(sorted(dict.fromkeys(self._found), key=lambda r: (r.place, r.code, r.message)))

    def __len__(self) -> int:
        return len(self._found)

    @property
    def errors(self) -> tuple[Remark, ...]:
        """Only what refuses the rulebook."""
        return tuple(remark for remark in self if remark.level is Level.ERROR)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Name the closest known word, or list what is known."""
    words = sorted(set(known))
    close = difflib.get_close_matches(str(word), words, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if not words:
        return ""
    listed = ", ".join(words[:12]) + (", ..." if len(words) > 12 else "")
    return f"known: {listed}"
