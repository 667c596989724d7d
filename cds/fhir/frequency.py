"""How often: timing codes and the small controlled set of phrases that mean the same.

Codes are those of HL7 v3 GTSAbbreviation, which R4 binds to Timing.code. The phrases are the ones
order systems print; anything outside them stays unread and becomes a question.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from cds.fhir.meals import MEALS

GTS_SYSTEMS: Final = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation",
        "http://hl7.org/fhir/v3/GTSAbbreviation",
    }
)

_DAY_H: Final = 24.0
_MONTH_H: Final = 730.5  # 365.25 d / 12


class Rate(Struct, frozen=True):
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

_ONE: Final = (
    r"(?:once|one time|1 ?x|1 times?|one|einmal|1 ?mal|une fois|1 fois|una vez|1 vez|1 maal|eenmaal"
    r"|una volta|1 volta)"
)
_TWO: Final = (
    r"(?:twice|two times|2 ?x|2 times|two|zweimal|2 ?mal|deux fois|2 fois|dos veces|2 veces"
    r"|2 maal|tweemaal|due volte|2 volte)"
)
_THREE: Final = r"(?:three times|thrice|3 ?x|3 times|three|dreimal|3 ?mal|3 fois|3 veces|3 maal)"
_FOUR: Final = r"(?:four times|4 ?x|4 times|four)"
_EVERY_DAY: Final = (
    r"(?:täglich|tgl\b\.?|pro tag|am tag|jeden tag|/ ?tag|par jour|chaque jour|tous les jours"
    r"|/ ?j(?:our)?\b|dagelijks|al d[ií]a|por d[ií]a|cada d[ií]a|/ ?d[ií]a"
    r"|per dag|daags|elke dag|al giorno)"
)
_A_DAY: Final = (
    r"(?:\s*-?\s*(?:daily|a day|per day|each day|every day|/ ?d(?:ay)?\b|in 24 h(?:ours)?"
    rf"|{_EVERY_DAY}))"
)
_HOURS: Final = r"\s*(?:h(?:(?:ou)?rs?|ourly|eures|oras)?|std\.?|stunden|uur|ore)\b"
_EACH: Final = r"(?:every|q\.?|alle|toutes les|cada|om de|ogni)"

# Order matters: a longer phrase must be taken before a shorter one inside it. Before each stand
# letters of which every text with the phrase has some: they are sought first, which is faster.
_PHRASES: Final = tuple(
    (tuple(signs.split("|")), re.compile(rf"(?<![\w.]){pattern}(?!\w)"), rate)
    for signs, pattern, rate in (
        ("other|second|2nd|2|two", r"(?:every|each) (?:other|second|2nd|2|two) days?", _every(48)),
        ("alternat", r"(?:on )?alternat(?:e|ing) days", _every(48)),
        (
            "tag|jour|día|dag",
            r"(?:jeden (?:2\.|zweiten) tag|alle (?:2|zwei) tage|un jour sur deux"
            r"|tous les (?:2|deux) jours|cada (?:2|dos) días|om de dag)",
            _every(48),
        ),
        ("od|o.d.", r"(?:qod|q\.o\.d\.|eod)", _every(48)),
        ("48", rf"{_EACH} ?48{_HOURS}", _every(48)),
        ("36", rf"{_EACH} ?36{_HOURS}", _every(36)),
        ("24", rf"{_EACH} ?24{_HOURS}", _daily(1)),
        ("12", rf"{_EACH} ?12{_HOURS}", _every(12)),
        ("8", rf"{_EACH} ?8{_HOURS}", _every(8)),
        ("6", rf"{_EACH} ?6{_HOURS}", _every(6)),
        ("week", rf"{_ONE}(?: a| per| every| each) ?week", _every(168)),
        ("week|qwk", r"(?:once weekly|weekly|every week|each week|qwk|q week)", _every(168)),
        ("tw|2|zw|de|do|du", rf"{_TWO}{_A_DAY}", _daily(2)),
        ("thr|3|drei", rf"{_THREE}{_A_DAY}", _daily(3)),
        ("four|4", rf"{_FOUR}{_A_DAY}", _daily(4)),
        ("on|1|ein|un|een", rf"{_ONE}{_A_DAY}", _daily(1)),
        ("bi|b.i", r"(?:b\.?i\.?d\.?)", _daily(2)),
        ("ti|t.i", r"(?:t\.?i\.?d\.?)", _daily(3)),
        ("qi|q.i", r"(?:q\.?i\.?d\.?)", _daily(4)),
        ("qd|q.d|od|o.d|q day", r"(?:q\.?d\.?|o\.?d\.?|q day|qday)", _daily(1)),
        ("day", r"(?:every|each|per|a) day", _daily(1)),
        ("/", r"/ ?d(?:ay)?", _daily(1)),
        ("daily|nightly", r"(?:daily|nightly)", _daily(1)),
        ("tag|tgl|täg|jour|/j|/ j|día|dia|dag|daa|giorno", _EVERY_DAY, _daily(1)),
    )
)

# A part of the day is one dose a day; two different parts are two doses a day.
_PARTS: Final = tuple(
    (tuple(signs.split("|")), re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), part)
    for signs, pattern, part in (
        (
            "morning|qam|a.m.|mane|breakfast|morgen|früh|matin|déjeuner|mañana|desayuno|ochtend|ontbijt",
            r"(?:(?:in |every |each )?(?:the )?mornings?|qam|a\.m\.|mane|with breakfast"
            r"|(?:zum|beim|mit dem|nach dem) frühstück|(?:au|avec le) petit[- ]déjeuner"
            r"|con el desayuno|bij (?:het )?ontbijt"
            r"|morgens|früh|(?:le )?matin|por la mañana|'s (?:ochtends|morgens))",
            "morning",
        ),
        ("noon|midday|lunch", r"(?:(?:at )?(?:noon|midday)|with lunch)", "noon"),
        (
            "evening|qpm|dinner|supper|abend|soir|avond|noche|cena",
            r"(?:(?:in |every |each )?(?:the )?evenings?|qpm|with (?:dinner|supper)"
            r"|(?:zum|beim|mit dem|nach dem) abend(?:essen|brot)|con la cena|bij het avondeten"
            r"|abends|(?:le )?soir|'s avonds|por la noche)",
            "evening",
        ),
        (
            "bedtime|night|qhs|h.s.|nocte|nacht|coucher|acostarse",
            r"(?:(?:at |every |each )?(?:bedtime|night)|qhs|h\.s\.|nocte|zur nacht|au coucher"
            r"|al acostarse)",
            "bedtime",
        ),
    )
)
_SINGLE: Final = re.compile(r"(?<!\w)(?:once(?: only)?|one[- ]time|stat|single dose)(?!\w)")

_SPELT: Final = re.compile(r"(\d+) ?\((?:one|two|three|four)\)")
"""As orders print a number twice: `1 (one) time each day`."""

_JOINING: Final = frozenset({"", "and", "und", "et", "y", "en"})


def find_rates(written: str) -> tuple[list[Rate], str]:
    """All frequencies stated in a lower-case text, and the text without them."""
    rates: list[Rate] = []
    rest = _SPELT.sub(r"\1", written) if "(" in written else written
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
    if not rates or rest.strip(" .,;-()&") not in _JOINING:
        return None
    first = rates[0]
    return first if all(first.agrees_with(other) for other in rates[1:]) else None
