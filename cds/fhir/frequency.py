"""How often: timing codes and the small controlled set of phrases that mean the same.

Codes are those of HL7 v3 GTSAbbreviation, which R4 binds to Timing.code. The phrases are the ones
order systems print; anything outside them stays unread and becomes a question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

GTS_SYSTEMS: Final = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation",
        "http://hl7.org/fhir/v3/GTSAbbreviation",
    }
)

_DAY_H: Final = 24.0
_MONTH_H: Final = 730.5  # 365.25 d / 12


@dataclass(frozen=True, slots=True)
class Rate:
    """`doses` in each cycle of `cycle_h` hours; `single` means one dose and no more."""

    doses: int
    cycle_h: float
    single: bool = False

    def agrees_with(self, other: Rate) -> bool:
        """Whether both give the same number of doses a day."""
        if self.single or other.single:
            return self.single == other.single
        return abs(self.doses * other.cycle_h - other.doses * self.cycle_h) < 1e-6 * self.cycle_h


ONCE: Final = Rate(1, _DAY_H, single=True)


def _daily(doses: int) -> Rate:
    return Rate(doses, _DAY_H)


def _every(hours: float) -> Rate:
    return Rate(1, hours)


GTS_RATES: Final = MappingProxyType(
    {
        "QD": _daily(1),
        "AM": _daily(1),
        "PM": _daily(1),
        "BED": _daily(1),
        "BID": _daily(2),
        "TID": _daily(3),
        "QID": _daily(4),
        "Q1H": _every(1),
        "Q2H": _every(2),
        "Q3H": _every(3),
        "Q4H": _every(4),
        "Q6H": _every(6),
        "Q8H": _every(8),
        "QOD": _every(48),
        "WK": _every(168),
        "MO": _every(_MONTH_H),
    }
)

_ONE: Final = r"(?:once|one time|1 ?x|1 times?|one)"
_TWO: Final = r"(?:twice|two times|2 ?x|2 times|two)"
_THREE: Final = r"(?:three times|thrice|3 ?x|3 times|three)"
_FOUR: Final = r"(?:four times|4 ?x|4 times|four)"
_A_DAY: Final = (
    r"(?:\s*-?\s*(?:daily|a day|per day|each day|every day|/ ?d(?:ay)?\b|in 24 h(?:ours)?))"
)
_HOURS: Final = r"\s*h(?:(?:ou)?rs?|ourly)?\b"

# Order matters: a longer phrase must be taken before a shorter one inside it. Before each stand
# letters of which every text with the phrase has some: they are sought first, which is faster.
_PHRASES: Final = tuple(
    (tuple(signs.split("|")), re.compile(rf"(?<![\w.]){pattern}(?!\w)"), rate)
    for signs, pattern, rate in (
        ("other|second|2nd|2|two", r"(?:every|each) (?:other|second|2nd|2|two) days?", _every(48)),
        ("alternat", r"(?:on )?alternat(?:e|ing) days", _every(48)),
        ("od|o.d.", r"(?:qod|q\.o\.d\.|eod)", _every(48)),
        ("48", rf"(?:every|q\.?) ?48{_HOURS}", _every(48)),
        ("36", rf"(?:every|q\.?) ?36{_HOURS}", _every(36)),
        ("24", rf"(?:every|q\.?) ?24{_HOURS}", _daily(1)),
        ("12", rf"(?:every|q\.?) ?12{_HOURS}", _every(12)),
        ("8", rf"(?:every|q\.?) ?8{_HOURS}", _every(8)),
        ("6", rf"(?:every|q\.?) ?6{_HOURS}", _every(6)),
        ("week", rf"{_ONE}(?: a| per| every| each) ?week", _every(168)),
        ("week|qwk", r"(?:once weekly|weekly|every week|each week|qwk|q week)", _every(168)),
        ("tw|2", rf"{_TWO}{_A_DAY}", _daily(2)),
        ("thr|3", rf"{_THREE}{_A_DAY}", _daily(3)),
        ("four|4", rf"{_FOUR}{_A_DAY}", _daily(4)),
        ("on|1", rf"{_ONE}{_A_DAY}", _daily(1)),
        ("bi|b.i", r"(?:b\.?i\.?d\.?)", _daily(2)),
        ("ti|t.i", r"(?:t\.?i\.?d\.?)", _daily(3)),
        ("qi|q.i", r"(?:q\.?i\.?d\.?)", _daily(4)),
        ("qd|q.d|od|o.d|q day", r"(?:q\.?d\.?|o\.?d\.?|q day|qday)", _daily(1)),
        ("day", r"(?:every|each|per|a) day", _daily(1)),
        ("/", r"/ ?d(?:ay)?", _daily(1)),
        ("daily|nightly", r"(?:daily|nightly)", _daily(1)),
    )
)

# A part of the day is one dose a day; two different parts are two doses a day.
_PARTS: Final = tuple(
    (tuple(signs.split("|")), re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), part)
    for signs, pattern, part in (
        (
            "morning|qam|a.m.|breakfast",
            r"(?:(?:in |every |each )?(?:the )?mornings?|qam|a\.m\.|with breakfast)",
            "morning",
        ),
        ("noon|midday|lunch", r"(?:(?:at )?(?:noon|midday)|with lunch)", "noon"),
        (
            "evening|qpm|dinner|supper",
            r"(?:(?:in |every |each )?(?:the )?evenings?|qpm|with (?:dinner|supper))",
            "evening",
        ),
        (
            "bedtime|night|qhs|h.s.",
            r"(?:(?:at |every |each )?(?:bedtime|night)|qhs|h\.s\.)",
            "bedtime",
        ),
    )
)
_SINGLE: Final = re.compile(r"(?<!\w)(?:once(?: only)?|one[- ]time|stat|single dose)(?!\w)")

MEALS: Final = re.compile(r"(?:with|after|before|at) (?:a |the )?(?:meals?|food)(?!\w)")


def find_rates(written: str) -> tuple[list[Rate], str]:
    """All frequencies stated in a lower-case text, and the text without them."""
    rates: list[Rate] = []
    rest = written
    for signs, pattern, rate in _PHRASES:
        if any(map(rest.__contains__, signs)):
            rest, times = pattern.subn(" ", rest)
            rates.extend([rate] * min(times, 1))
    parts = set()
    for signs, pattern, part in _PARTS:
        if any(map(rest.__contains__, signs)):
            rest, times = pattern.subn(" ", rest)
            if times:
                parts.add(part)
    if parts:
        rates.append(_daily(len(parts)))
    if not rates:
        rest, times = _SINGLE.subn(" ", rest)
        if times:
            rates.append(ONCE)
    return rates, rest


def rate_of_phrase(written: str) -> Rate | None:
    """The frequency a phrase states, if it states exactly one and nothing else."""
    rates, rest = find_rates(MEALS.sub(" ", " ".join(written.lower().split())))
    if not rates or rest.strip(" .,;-()&") not in {"", "and"}:
        return None
    first = rates[0]
    return first if all(first.agrees_with(other) for other in rates[1:]) else None
