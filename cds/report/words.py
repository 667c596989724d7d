"""Values in the words of the ward: numbers with units, regimens, tablets, times.

Nothing here is HTML: the templates escape every text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from cds.assess.assessment import Assessment, DoseOption
from cds.clinical.moment import Moment, Precision
from cds.clinical.probability import percent as percent

THIN = "\u202f"
"""The narrow space that groups thousands and keeps a number beside its unit."""

_INTERVALS = {24.0: "once daily", 12.0: "twice daily", 8.0: "three times daily"}
_BASIS = {
    "administration": "by the administration record",
    "statement": "by the patient's statement",
    "comment": "by the comment on the result",
    "lab-form": "by the laboratory's form",
    "code": "by the test's code",
    "schedule": "assumed from the order's clock times",
}
_SPACES = re.compile(r"[ \t\r\n]+")  # the narrow space is not one of these
_DATES = {Precision.DAY: "%-d %b %Y", Precision.MONTH: "%b %Y", Precision.YEAR: "%Y"}


def number(value: float, decimals: int = 0) -> str:
    """Return a number as a clinician writes it; never an exponent, never minus zero."""
    text = f"{value:,.{decimals}f}".replace(",", THIN)
    return text.lstrip("-") if not text.strip(f"-0.{THIN}") else text


def short(value: float) -> str:
    """Return a number with no needless decimals: 400, 127.5, 0.609."""
    text = f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return text.removesuffix(".0")


def concentration(value: float) -> str:
    """Return a concentration with its unit."""
    return f"{number(value)}{THIN}ng/mL"


def interval(hours: float) -> str:
    """Return a dosing interval in words."""
    return _INTERVALS.get(round(hours, 2), f"every {short(hours)} h")


def regimen(option: DoseOption) -> str:
    """Return a regimen as it is said: 600 mg once daily."""
    return f"{short(option.amount_mg)}{THIN}mg {interval(option.interval_h)}"


def tablets(option: DoseOption) -> str:
    """Return what to take each time: 1 × 400 mg + 2 × 100 mg."""
    if not option.tablets:
        return "cannot be made of tablets"
    return " + ".join(f"{short(n)} × {short(mg)}{THIN}mg" for mg, n in option.tablets)


def basis(name: str | None) -> str:
    """Return where the time since the last dose comes from."""
    return _BASIS.get(name or "", "source not stated")


def zone_of(assessment: Assessment) -> ZoneInfo:
    """Return the zone in which the site reads clocks."""
    return ZoneInfo(assessment.setting.time_zone)


def day(at: datetime, zone: ZoneInfo) -> str:
    """Return a date: 18 Nov 2026."""
    return at.astimezone(zone).strftime("%-d %b %Y")


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Return a date with its time: 18 Nov 2026, 08:05."""
    return at.astimezone(zone).strftime("%-d %b %Y, %H:%M")


def moment(when: Moment | None, zone: ZoneInfo) -> str:
    """Return a moment of the record no finer than it was recorded."""
    if when is None:
        return "not on record"
    if when.precision is Precision.INSTANT:
        return clock(when.at, zone) + (" (zone assumed)" if when.zone_assumed else "")
    return when.at.astimezone(zone).strftime(_DATES[when.precision])


def ordinal(value: float) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th ... of a percentile, kept between 1 and 99."""
    whole = min(max(round(value), 1), 99)
    ending = "th" if whole // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{ending}"


def listing(items: Iterable[str]) -> str:
    """Join words as a sentence does: a, b and c."""
    said = list(items)
    return " and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else "".join(said)


def sentence(text: str) -> str:
    """Return the text with a capital at its head and a full stop at its end."""
    text = _SPACES.sub(" ", text).strip().replace(" %", f"{THIN}%")
    if not text:
        return text
    text = text[:1].upper() + text[1:]
    return text if text[-1] in ".!?:" else f"{text}."


_LABS = {
    "bcr_abl_is": "BCR::ABL1 (international scale)",
    "alt": "ALT",
    "ast": "AST",
    "anc": "neutrophils",
    "agp": "alpha-1-acid glycoprotein",
    "crp": "C-reactive protein",
    "hbsag": "hepatitis B surface antigen",
    "bsa": "body surface",
}


def lab_name(key: str) -> str:
    """Return a kind of result as a laboratory prints it."""
    return _LABS.get(key, spoken(key))


def lab_unit(unit: str) -> str:
    """Return a UCUM unit as it is printed; nothing for a pure number."""
    return "" if unit == "1" else re.sub(r"^u(?=[a-zA-Z])", "µ", unit)


def spoken(key: str) -> str:
    """Return a key in words: st-johns-wort, weight_kg."""
    return key.replace("_", " ").replace("-", " ")
