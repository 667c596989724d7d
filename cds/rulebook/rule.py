"""A rule as typed values: the one form that evaluators, linter, explainer and pages all read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from msgspec import Struct

from cds.clinical.finding import SNOOZE_DAYS, Matter, Severity
from cds.rulebook.facts import Value
from cds.rulebook.remarks import Place


class Status(StrEnum):
    """How far a rule has come; only active rules speak."""

    DRAFT = "draft"
    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"


class Word(StrEnum):
    """The words a condition is made of."""

    IS = "is"
    NOT = "not"
    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"
    ONE_OF = "one_of"
    NOT_ONE_OF = "not_one_of"
    KNOWN = "known"
    SAME_AS = "same_as"


ORDERED = frozenset({Word.BELOW, Word.AT_MOST, Word.ABOVE, Word.AT_LEAST})


class ParamRef(Struct, frozen=True):
    """`$name`: a parameter of the rule."""

    name: str


class JoinRef(Struct, frozen=True):
    """`binding.attribute`: the same code as an earlier fact of the match."""

    binding: str
    attribute: str


Operand = bool | str | ParamRef | JoinRef | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition on one attribute."""

    attribute: str
    word: Word
    operand: Operand
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """`any_of` inside a pattern: alternatives, each a conjunction of comparisons."""

    alternatives: tuple[tuple[Comparison, ...], ...]
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One fact that must exist, or (`binding` None) must not."""

    binding: str | None
    kind: str
    conditions: tuple[Comparison | Choice, ...]
    place: Place = field(compare=False)

    @property
    def negated(self) -> bool:
        """Whether this is a `none`."""
        return self.binding is None

    def comparisons(self) -> Iterator[Comparison]:
        """Every comparison, inside choices too."""
        for condition in self.conditions:
            if isinstance(condition, Comparison):
                yield condition
            else:
                for alternative in condition.alternatives:
                    yield from alternative


@dataclass(frozen=True, slots=True)
class Alternatives:
    """`any_of` at the top: alternatives, each a list of patterns."""

    options: tuple[tuple[Pattern, ...], ...]
    place: Place = field(compare=False)


Condition = Pattern | Alternatives


@dataclass(frozen=True, slots=True)
class Param:
    """A number or code with its unit and where it comes from; may differ by jurisdiction."""

    name: str
    values: Mapping[str, Value | None]
    """By jurisdiction; None: the rule does not exist there."""
    unit: str | None
    source: str | None
    table: str | None
    """Path of the table cell, when the value stands in `tables/`."""
    place: Place = field(compare=False)


class Slot(Struct, frozen=True):
    """`{binding.attribute}` or `{param}` in a text."""

    binding: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.binding}.{self.name}" if self.binding else self.name


@dataclass(frozen=True, slots=True)
class Template:
    """A text with slots, already taken apart; there is nothing left to interpret at run time."""

    parts: tuple[str | Slot, ...]
    place: Place = field(compare=False)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The values the text shows."""
        return tuple(part for part in self.parts if isinstance(part, Slot))

    @property
    def words(self) -> str:
        """The text as the author wrote it."""
        return "".join(p if isinstance(p, str) else f"{{{p}}}" for p in self.parts)


@dataclass(frozen=True, slots=True)
class Snooze:
    """For how many days an answer keeps a rule's finding quiet, where its severity does not say."""

    days: int
    why: str | None
    place: Place = field(compare=False)


class Conclusion(Struct, frozen=True):
    """What a rule says when it fires; a silent one records why nothing is said."""

    matter: Matter
    severity: Severity
    summary: Template
    detail: Template
    subject: Template | None = None
    show: tuple[str, ...] = ()
    suggest: tuple[str, ...] = ()
    override_reasons: tuple[str, ...] = ()
    silent: bool = False
    snooze: Snooze | None = None

    @property
    def quiet_days(self) -> int:
        """Days for which an answer keeps it quiet in the same clinical state."""
        return SNOOZE_DAYS[self.severity] if self.snooze is None else self.snooze.days


class Outcome(StrEnum):
    """What became of a rule in one evaluation."""

    FIRED = "fired"
    SILENT = "silent"
    UNDECIDED = "undecided"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Given:
    """A fact as a test writes it, before what is not written takes its neutral value."""

    kind: str
    values: Mapping[str, Value]
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A small patient and what the rule must do about it."""

    name: str
    given: tuple[Given, ...]
    expect: Outcome
    text: str | None
    """The exact summary, or the `binding.attribute` that is wanting."""
    jurisdiction: str | None
    occasion: str | None
    place: Place = field(compare=False)


class Approval(Struct, frozen=True):
    """Who has signed the rule."""

    name: str
    role: str
    on: date


@dataclass(frozen=True, slots=True)
class Rule:
    """One clinical rule with everything needed to judge it."""

    id: str
    revision: int
    status: Status
    title: str
    owner: str
    effective_from: date
    review_by: date
    evidence_level: str
    evidence_note: str
    sources: tuple[str, ...]
    occasions: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    params: Mapping[str, Param]
    when: tuple[Condition, ...]
    then: Conclusion
    tests: tuple[RuleTest, ...]
    place: Place = field(compare=False)
    row: str | None = None
    approvals: tuple[Approval, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    """Where each top-level key stands, for the linter."""

    @property
    def group(self) -> str:
        """The folder it lives in."""
        return self.id.partition(".")[0]

    @property
    def speaks(self) -> bool:
        """Whether it may put something on a card."""
        return self.status is Status.ACTIVE and not self.then.silent

    def patterns(self) -> Iterator[Pattern]:
        """Every pattern, in alternatives too."""
        for condition in self.when:
            if isinstance(condition, Pattern):
                yield condition
            else:
                for option in condition.options:
                    yield from option
