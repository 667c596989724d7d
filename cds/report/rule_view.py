"""The rules as people read them: by group, by search, and each one whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from msgspec import Struct

from cds.clinical.finding import SourceCitation
from cds.report import words
from cds.rulebook import Outcome, Rule, Rulebook, Status, catalogue
from cds.rulebook.page import quiet_words
from cds.rulebook.read_tests import read_tests
from cds.rulebook.remarks import Remarks
from cds.rulebook.rule import RuleTest
from cds.rulebook.shape import Entries
from cds.rulebook.source import parse
from cds.rulebook.words import condition_lines

_EVIDENCE = {
    "A": "randomised trials or label",
    "B": "cohort studies",
    "C": "expert opinion or derived",
    "P": "proposal of this product",
}


class RuleGroup(Struct, frozen=True):
    """The rules of one folder."""

    name: str
    rules: tuple[Rule, ...]


class Search(Struct, frozen=True):
    """What the reader looks for."""

    text: str = ""
    group: str = ""
    status: str = ""
    source: str = ""

    @property
    def asks(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.text or self.group or self.status or self.source)

    def finds(self, rule: Rule, rulebook: Rulebook) -> bool:
        """Whether a rule has every word, the group, the status and the source asked for."""
        if self.group and rule.group != self.group:
            return False
        if self.status and rule.status != self.status:
            return False
        if self.source and self.source not in rule.sources:
            return False
        then = rule.then
        conditions = (line for _, line in condition_lines(rule))
        cited = (rulebook.sources[key].citation for key in rule.sources)
        said = (rule.id, rule.row or "", rule.title, then.summary.words, then.detail.words)
        whole = " ".join((*said, *conditions, *rule.sources, *cited)).lower()
        return all(word in whole for word in self.text.lower().split())


class ParamRow(Struct, frozen=True):
    """One number of a rule, by jurisdiction, and where it comes from."""

    name: str
    values: Mapping[str, str]
    origin: str


class RuleView(Struct, frozen=True):
    """One rule whole."""

    rule: Rule
    conditions: tuple[tuple[int, str], ...]
    params: tuple[ParamRow, ...]
    sources: tuple[SourceCitation, ...]
    tests: tuple[RuleTest, ...]
    evidence: str
    quiet: str
    """For how long an answer silences it."""
    overdue: bool
    """The date by which it was to be reviewed has passed."""
    text: str
    """The file, word for word."""


def groups(rulebook: Rulebook, search: Search) -> tuple[RuleGroup, ...]:
    """Return the rules that are looked for, by group."""
    found: dict[str, list[Rule]] = {}
    for rule in rulebook.rules:
        if search.finds(rule, rulebook):
            found.setdefault(rule.group, []).append(rule)
    return tuple(RuleGroup(name, tuple(rules)) for name, rules in found.items())


def group_names(rulebook: Rulebook) -> tuple[str, ...]:
    """Return every group there is."""
    return tuple(dict.fromkeys(rule.group for rule in rulebook.rules))


def source_names(rulebook: Rulebook) -> tuple[str, ...]:
    """Return every source that some rule cites."""
    return tuple(sorted({key for rule in rulebook.rules for key in rule.sources}))


def unverified(rulebook: Rulebook, rule: Rule) -> int:
    """Return how many of a rule's sources nobody has checked at the source yet."""
    return sum(not rulebook.sources[key].verified for key in rule.sources)


def statuses() -> tuple[str, ...]:
    """Return every status a rule can have."""
    return tuple(str(status) for status in Status)


def rule_view(rulebook: Rulebook, rule_id: str, today: date) -> RuleView:
    """Return one rule; KeyError if there is none."""
    rule = rulebook.rule(rule_id)
    text = _file_of(rulebook, rule)
    return RuleView(
        rule=rule,
        conditions=tuple(condition_lines(rule)),
        params=tuple(
            ParamRow(
                param.name,
                {where: _shown(value, param.unit) for where, value in param.values.items()},
                f"table {param.table}" if param.table else str(param.source or ""),
            )
            for param in rule.params.values()
        ),
        sources=tuple(rulebook.sources[key] for key in rule.sources),
        tests=rule.tests or _tests(text, rule),
        evidence=f"{rule.evidence_level}: {_EVIDENCE[rule.evidence_level]}",
        quiet=quiet_words(rule.then),
        overdue=rule.review_by < today,
        text=text.decode("utf-8"),
    )


def expected(test: RuleTest) -> str:
    """Return what a test expects, in words."""
    word = "fires" if test.expect is Outcome.FIRED else str(test.expect)
    return f"{word}: {test.text}" if test.text else word


def file_name(rulebook: Rulebook, rule: Rule) -> str:
    """Return the rule's file below the directory of its rulebook."""
    return rule.place.file.removeprefix(f"{rulebook.content.root}/")


def _file_of(rulebook: Rulebook, rule: Rule) -> bytes:
    return rulebook.content.files[file_name(rulebook, rule)]


def _tests(text: bytes, rule: Rule) -> tuple[RuleTest, ...]:
    """The tests of one rule: a serving process reads the rules without them, to start faster."""
    remarks = Remarks()
    entries = Entries(parse(text, rule.place.file), remarks, "rule")
    return read_tests(entries.nodes("tests", required=False), catalogue(), remarks)


def _shown(value: object, unit: str | None) -> str:
    if value is None:
        return "the rule does not exist here"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return words.spoken(str(value))
    return f"{value:g}{words.THIN}{unit}" if unit and unit != "1" else f"{value:g}"
