"""Free-text dosages: a small grammar that reads the plain ones and refuses the rest.

Used in two ways. A dosage that is only text is read if every word of it is understood. A dosage
that is structured is compared with its text, because the person who dispenses reads the text.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from cds.fhir.frequency import Rate, find_rates
from cds.fhir.meals import MEALS, food_of
from cds.fhir.vocabulary import words

_COUNT_WORDS: Final = {"one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "half": 0.5, "½": 0.5}
_HALF: Final = re.compile(r"(?<![\w/.,])1/2(?![\w/.,])")
_AND_A_HALF: Final = re.compile(
    r"(?<![\w/.,-])(\d+|one|two|three)(?:(?: and|-)? ?½| and (?:a )?half)(?![\w-])"
)
_CEILING: Final = re.compile(
    r"\b(?:max(?:imum|\.)?(?: daily)?(?: dose)?(?: of)?|(?:do )?not (?:to )?exceed"
    r"|not more than):? "
    r"\d+(?:\.\d+)? ?(?:mg|g|tab(?:let)?s?)\b"
    r"(?: ?(?:(?:per|a|each|every) day|daily|/ ?d(?:ay)?\b|in 24 h(?:ours)?))?"
)
_TABLETS: Final = r"(?:(\d+(?:\.\d+)?)\s*(?:x|×|\*)\s*)?(\d+(?:\.\d+)?)\s*mg\b"
_TABLETS_OF: Final = re.compile(_TABLETS)
# "1 x 400 mg + 2 x 100 mg", also a single "2 x 200 mg": one dose made of tablets.
_SUM: Final = re.compile(
    rf"(?<![\w.,]){_TABLETS}(?:\s*(?:\+|plus)\s*{_TABLETS})+"
    r"|(?<![\w.,])\d+(?:\.\d+)?\s*(?:x|×|\*)\s*\d+(?:\.\d+)?\s*mg\b"
)
_MG: Final = re.compile(r"(?<![\w.,])(\d+(?:\.\d+)?)\s*(mg|milligrams?|g|grams?)\b(?!\s*/\s*\w)")
_MG_PER: Final = re.compile(r"(?<![\w.,])\d+(?:\.\d+)?\s*mg\s*/\s*(?:m2|m²|kg|ml)")
_ML: Final = re.compile(r"(?<![\w.,])(\d+(?:\.\d+)?)\s*ml\b")
_UNITS: Final = (
    r"(?:film-coated\s+)?(?:tab(?:let)?s?|cap(?:sule)?s?|(?:film)?tabletten?|tabl?\.|tbl\.?|kapseln?"
    r"|comprimés?|cp[rs]?|gélules?|comprimidos?|cápsulas?|compress[ae])(?:\(s\))?(?!\w)"
)
_COUNT: Final = re.compile(
    r"(?<![\w.,])(\d+(?:\.\d+)?|½|one|two|three|four|half)\s*(?:x\s*)?(?:of\s+)?(?:oral\s+|a\s+)?"
    + _UNITS
)
# "1-0-1" or "1-0-0-1": tablets in the morning, at noon, in the evening (and at night), as German
# prescriptions write them.
_SCHEME: Final = re.compile(
    r"(?<![\w.,/-])([0-9]|½)\s?-\s?([0-9]|½)\s?-\s?([0-9]|½)(?:\s?-\s?([0-9]|½))?(?![\w.,/-])"
)
# What is handed over and how the tablet is treated say nothing about the dose.
_ASIDE: Final = re.compile(
    rf"(?:#|\b(?:disp(?:ense)?|qty|quantity)\b:?)\s*\d+\s*(?:{_UNITS})?"
    r"|\b\d+ refills?(?:\(s\))?(?!\w)|\brefills?: ?\d+"
    r"|\bdo not (?:crush|chew|cut|split|break)(?:,? (?:or |and )?(?:crush|chew|cut|split|break))*\b"
)
# Words by which a text adds to or changes a plain repeating dose.
_CHANGES: Final = re.compile(
    r"\b(?:prn|as needed|when (?:needed|required)|if needed|cycles?"
    r"|days? \d+ ?(?:-|–|to|through) ?\d+"
    r"|taper\w*|titrat\w*|increas\w*|decreas\w*|reduc\w*|escalat\w*|except|skip\w*|then"
    r"|weeks? (?:on|off)|days? (?:on|off)|weekends?|weekdays?|loading"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b"
)
_COMMA_NUMBER: Final = re.compile(r"\d,\d")
_HARMLESS: Final = words(
    "take takes give swallow by mouth oral orally po p.o the a an with of and each large full "
    "glass water food meal meals tablet tablets tab tabs cap caps capsule capsules dose total "
    "whole at to be taken per in for refills 0 same time route "
    "nehmen einnehmen mit einem großen glas wasser und je jeweils "
    "prendre avec un grand verre d eau et par voie orale "
    "tomar con un vaso grande de agua y vía oral "
    "innemen met een groot glas en"
)


class TextDosage(Struct, frozen=True):
    """What a dosage text states."""

    amounts_mg: tuple[float, ...]
    counts: tuple[float, ...]
    volumes_ml: tuple[float, ...]
    rates: tuple[Rate, ...]
    with_food: bool | None
    changes: str | None
    """The words that say the dose is not simply repeated, if any."""
    understood: bool
    """Whether every word was understood; only then may the text stand alone."""

    @property
    def rate(self) -> Rate | None:
        """The one frequency the text states."""
        if not self.rates or not all(self.rates[0].agrees_with(rate) for rate in self.rates):
            return None
        return self.rates[0]


def read_text(written: str) -> TextDosage:
    """Read a dosage text; never raises, whatever is not understood is said by `understood`."""
    said = _decimal(" ".join(written.lower().split()))
    changed = _CHANGES.search(said)
    comma = _COMMA_NUMBER.search(said) is not None  # 1,250 is a thousand here and one there
    rest = _ASIDE.sub(" ", _CEILING.sub(" ", said))
    relative = _MG_PER.search(rest) is not None
    sums = tuple(_summed(found.group(0)) for found in _SUM.finditer(rest))
    rest = _SUM.sub(" ", rest)
    amounts = sums + tuple(
        float(value) * (1000.0 if unit.startswith("g") else 1.0)
        for value, unit in _MG.findall(rest)
    )
    rest = _MG.sub(" ", rest)
    counts, schemes, rest = _scheme(rest)
    counts += tuple(_number(found) for found in _COUNT.findall(rest))
    rest = _COUNT.sub(" ", rest)
    volumes = tuple(float(value) for value in _ML.findall(rest))
    rest = _ML.sub(" ", rest)
    food = food_of(rest)
    rates, rest = find_rates(MEALS.sub(" ", rest))
    leftover = [word for word in re.split(r"[^\w.&-]+", rest) if word.strip(".-&")]
    known = all(word.strip(".-") in _HARMLESS for word in leftover)
    return TextDosage(
        tuple(dict.fromkeys(amounts)),
        tuple(dict.fromkeys(counts)),
        tuple(dict.fromkeys(volumes)),
        (*schemes, *rates),
        food,
        changed.group(0) if changed else None,
        understood=known and not changed and not comma and not relative,
    )


def _scheme(said: str) -> tuple[tuple[float, ...], tuple[Rate, ...], str]:
    """Counts and frequency of a scheme like `1-0-1`; unequal parts stay two different counts."""
    found = _SCHEME.search(said)
    if found is None:
        return (), (), said
    taken = [count for part in found.groups() if part and (count := _number(part))]
    rate = (Rate(len(taken), 24.0),) if taken else ()
    return tuple(taken), rate, said[: found.start()] + " " + said[found.end() :]


def _decimal(said: str) -> str:
    """A text with its halves as decimals: `1 1/2`, `1½`, `one and a half`; a half alone is `½`."""
    return _AND_A_HALF.sub(lambda found: f"{int(_number(found[1]))}.5", _HALF.sub("½", said))


def _number(written: str) -> float:
    return _COUNT_WORDS[written] if written in _COUNT_WORDS else float(written)


def _summed(tablets: str) -> float:
    """mg of one dose written as tablets added up."""
    return sum(float(count or 1) * float(mg) for count, mg in _TABLETS_OF.findall(tablets))
