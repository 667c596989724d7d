"""The meaning of codes: which drug is monitored and what a coded medicine, result or condition is.

The content stands in `rules/drug.yaml` and `rules/terminology/`; these types carry it to the
readers, so that no reader holds a code of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import Struct

from cds.clinical.codes import Code, Concept

T = TypeVar("T")

_PAST = ("history", "antécédent", "antécédents", "antecedentes")
_DENIALS = (
    *("not", "excluded", "exclude", "suspected", "vs", "denies", "denied", "family", "no longer"),
    *("absent", "r/o", "rule out", "ruled out", "possible", "possibly", "screening"),
    *("risk of", "risk for", "at risk"),
    *(
        "nicht",
        "ausgeschlossen",
        "ausschluss",
        "familienanamnese",
        "verdacht",
        "v.a.",
        "v. a.",
        "fraglich",
    ),
    *("exclu", "exclue", "suspicion", "sospecha", "descartado", "descartada", "posible"),
    *("niet", "verdenking", "uitgesloten", "mogelijk"),
    *_PAST,
)
"""Words that turn a name into something else than a diagnosis made."""
_LASTING_DENIALS = tuple(word for word in _DENIALS if word not in _PAST)
"""A history of an operation is the state it left behind."""
_DENY_THE_REST = (
    *("no", "none", "without", "kein", "keine", "keinen", "ohne", "sans", "sin", "geen"),
    *("zonder", "pas de", "pas d", "absence de", "absence d"),
)
"""Words that deny what follows them: `HES without FIP1L1-PDGFRA` is a HES."""
_PAST_FOLLOWS = re.compile(r"(?<!\w)(?:z\. ?n\.|zustand nach)(?!\w)[^,;()|]*")
"""Words for `status post`: what follows them, to the end of its clause, is past."""
_OF_ANOTHER = re.compile(
    r"(?<!\w)(?:"
    r"(?:not|nicht|niet) (?:yet |having )?(?:achieved |in )?"
    r"(?:a |an |complete |major |deep |molecular )*"
    r"(?:remission|remissie|response|mmr|mr[45](?:\.[05])?)"
    r"|risk (?:of|for) (?:tumou?r |disease )?(?:recurrence|relapse|progression|metastas[ei]s)"
    r")(?!\w)"
)
"""What denies or doubts a remission or the future, not the disease: `not having achieved remission`
is part of official ICD-10-CM names, `high risk of recurrence` of many tumours' entries."""
WORDS_APART = " | "
"""Between the words that came with a concept: its text and the display of each code."""


class Product(Struct, frozen=True):
    """A coded product of the monitored drug: strength in mg of base per unit (tablet, capsule)."""

    code: Code
    strength_mg: float
    form: str


class LevelCode(Struct, frozen=True):
    """A coded concentration test; `hours_post_dose` when the code itself says when to sample."""

    code: Code
    hours_post_dose: float | None = None


class Drug(Struct, frozen=True):
    """The monitored drug as `rules/drug.yaml` defines it. Masses in g/mol, strengths in mg base."""

    name: str
    names: frozenset[str]
    """Lower-case generic and brand names under which free text may mention it."""
    molar_mass: float
    salt_molar_mass: float
    salt_names: frozenset[str]
    ingredient_codes: frozenset[Code]
    products: Mapping[Code, Product]
    strengths_mg: tuple[float, ...]
    solution_mg_ml: float | None
    level_codes: Mapping[Code, LevelCode]
    metabolite_names: frozenset[str] = frozenset()
    """Lower-case names of the active metabolite; a level that names it is of another analyte."""
    first_given_year: int | None = None
    """The year in which the drug was first given to people; no earlier date of it can be true."""

    @property
    def base_per_salt(self) -> float:
        """mg of base in 1 mg of salt."""
        return self.molar_mass / self.salt_molar_mass

    def level_of(self, codes: Iterable[Code]) -> LevelCode | None:
        """The first code that is a level of the drug."""
        return _first(codes, self.level_codes)


class OwnUnit(Struct, frozen=True):
    """A unit that means so much of the canonical one for one result, and nothing for others."""

    is_: float
    least: float = 0.0
    """Smaller numbers, in this unit, may mean something else and are asked about."""


class LabDefinition(Struct, frozen=True):
    """A result the rulebook understands: canonical UCUM unit, and molar mass where mol converts."""

    key: str
    unit: str
    molar_mass: float | None = None
    coded_values: Mapping[Code, str] = {}
    """For coded results: code -> key (`positive`, `negative`, `pregnant`, ...)."""
    said: Mapping[str, str] = {}
    """For coded results: lower-case words that mean a key (`reactive` -> `positive`)."""
    name: str = ""
    """How a card calls it."""
    plausible: tuple[float, float] | None = None
    """Least and most, in `unit`, that a person can have; beyond them is a slip."""
    also: Mapping[str, OwnUnit] = {}
    """UCUM unit -> what it means for this result alone."""
    bounds: Mapping[str, float] = {}
    """Words without spaces, in lower case, that state at most so much of `unit` (`mr4.5`)."""
    as_text: bool = False
    """Whether a number that was written as text is read."""
    graver: int = 0
    """1 if the higher of two values is the graver one, -1 if the lower is, 0 if neither."""


class Frequency(Struct, frozen=True):
    """So many doses in so many hours."""

    doses: int
    hours: float


class ConditionName(Struct, frozen=True):
    """What a condition's name means: its keys, unless one of some words stands beside it."""

    keys: tuple[str, ...]
    unless: tuple[str, ...] = ()
    lasting: bool = False
    """Whether a history of it is as good as having it: an organ that was removed."""


@dataclass(frozen=True, slots=True)
class Terminology:
    """Look-ups from codes and names to the keys that rules use."""

    medicines: Mapping[Code, tuple[str, ...]]
    """Code -> ingredient keys (a combination product has several)."""
    medicine_names: Mapping[str, tuple[str, ...]]
    """Lower-case ingredient or brand name -> ingredient keys, for uncoded medicines."""
    labs: Mapping[Code, LabDefinition]
    conditions: Mapping[Code, tuple[str, ...]]
    """Code -> condition keys; a code may mean several (`cml-cp` is also `cml`)."""
    condition_prefixes: Mapping[Code, tuple[str, ...]]
    """Code whose children share its meaning (ICD-10 categories) -> condition keys."""
    genes: Mapping[str, str]
    """Lower-case result text -> gene key (`cyp2c8*4`, `t315i`, ...)."""
    condition_names: Mapping[str, ConditionName] = field(default_factory=dict)
    """Lower-case name of a condition -> what it means, for conditions without a known code."""
    condition_details: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Lower-case words that refine a condition (`blast crisis`) -> (key refined, keys meant)."""
    ingredient_names: Mapping[str, str] = field(default_factory=dict)
    """Ingredient key -> how a card calls it."""
    frequencies: Mapping[Code, Frequency] = field(default_factory=dict)
    """Timing code -> what it says without words."""
    labs_by_key: Mapping[str, LabDefinition] = field(init=False)
    """What the codes of `labs` mean, each meaning once."""
    _categories: Mapping[Code, list[tuple[str, tuple[str, ...]]]] = field(init=False, repr=False)
    """The prefixes of each code system by their first letter, in their order."""

    def __post_init__(self) -> None:
        by_key = {definition.key: definition for definition in self.labs.values()}
        object.__setattr__(self, "labs_by_key", by_key)
        categories: dict[Code, list[tuple[str, tuple[str, ...]]]] = {}
        for (system, prefix), keys in self.condition_prefixes.items():
            categories.setdefault(Code(system, prefix[:1]), []).append((prefix, keys))
        object.__setattr__(self, "_categories", categories)

    def ingredients_of(self, concept: Concept) -> tuple[str, ...]:
        """Ingredient keys by code first, otherwise by the words of the text."""
        found = [key for code in concept.codes for key in self.medicines.get(code, ())]
        if not found and concept.text:
            words = concept.text.lower()
            for name, keys in self.medicine_names.items():
                # Here and below: most of the many names stand nowhere, and a look costs less than
                # a call.
                if name in words and _mentions(words, name):
                    found.extend(keys)
        return tuple(dict.fromkeys(found))

    def conditions_of(self, concept: Concept) -> tuple[str, ...]:
        """Condition keys by code or enclosing category, else by name; then refined by its words.

        No code tells the phase of a leukaemia or the setting of a tumour, so the words of the
        record do. Words that deny something are not read at all.
        """
        found: list[str] = []
        for code in concept.codes:
            found.extend(self.conditions.get(code, ()))
            for prefix, keys in self._categories.get(Code(code.system, code.code[:1]), ()):
                if code.code.startswith(prefix):
                    found.extend(keys)
        words_or_past = (concept.text or "").lower()
        words = _affirmed(_PAST_FOLLOWS.sub(" ", words_or_past), _DENIALS)
        if not found and words_or_past:
            found.extend(self._named(words, _affirmed(words_or_past, _LASTING_DENIALS)))
        for detail, (refined, keys) in self.condition_details.items():
            if detail in words and refined in found and _mentions(words, detail):
                found.extend(keys)
        return tuple(dict.fromkeys(found))

    def _named(self, words: str, words_or_past: str) -> Iterator[str]:
        """Keys of the conditions that affirmed words name; `words_or_past` may tell the past."""
        for name, meaning in self.condition_names.items():
            said = words_or_past if meaning.lasting else words
            if name not in said or not _mentions(said, name):
                continue
            if not any(_mentions(said, w) for w in meaning.unless):
                yield from meaning.keys

    def lab_of(self, codes: Iterable[Code]) -> LabDefinition | None:
        """The definition of the first code that the rulebook knows."""
        return _first(codes, self.labs)


def _first(codes: Iterable[Code], meanings: Mapping[Code, T]) -> T | None:
    for code in codes:
        meaning = meanings.get(code)
        if meaning is not None:
            return meaning
    return None


def _affirmed(text: str, denials: tuple[str, ...]) -> str:
    """Those of the words of a concept, in lower case, that are neither denied nor doubted."""
    parts = (_OF_ANOTHER.sub("", part) for part in text.split(WORDS_APART))
    return WORDS_APART.join(
        _before_denial(part)
        for part in parts
        if not any(_mentions(part, denial) for denial in [d for d in denials if d in part])
    )


def _before_denial(part: str) -> str:
    """The words before one that denies the rest; none where it denies them (`Pregnant: no`)."""
    said = [word for word in _DENY_THE_REST if word in part]
    places = [place for word in said if (place := _place_of(part, word)) >= 0]
    if not places:
        return part
    first = min(places)
    follows = part[first:].partition(" ")[2]
    return part[:first] if any(sign.isalnum() for sign in follows) else ""


def _mentions(words: str, name: str) -> bool:
    """Whether `name` stands in `words` as a whole word."""
    return _place_of(words, name) >= 0


def _place_of(words: str, name: str) -> int:
    """Where `name` first stands in `words` as a whole word; below zero if nowhere."""
    start = words.find(name)
    while start >= 0:
        end = start + len(name)
        before = words[start - 1] if start else " "
        after = words[end] if end < len(words) else " "
        if not before.isalnum() and not after.isalnum():
            return start
        start = words.find(name, start + 1)
    return -1
