"""FHIR Timing -> when doses fall inside a repeating cycle.

What the specification leaves open is either a stated assumption (two doses a day are spaced
evenly) or a question (a range, a frequency without a period, code and repeat in conflict).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from cds.clinical.codes import Code
from cds.clinical.terminology import Frequency
from cds.fhir.bounds import bounded
from cds.fhir.elements import Element, code_of, element, elements, text, texts
from cds.fhir.frequency import GTS_RATES, GTS_SYSTEMS, Rate, find_rates, rate_of_phrase
from cds.fhir.problems import ReadError
from cds.fhir.repeat import schedule_in
from cds.fhir.schedule import Schedule, schedule_of, timing_conflict
from cds.fhir.times import read_moment

_DAY_H: Final = 24.0


def read_timing(
    timing: Element, zone: ZoneInfo, frequencies: Mapping[Code, Frequency]
) -> Schedule | None:
    """The schedule a Timing states, or None if it states none (only bounds, or nothing).

    `frequencies` are the codes that say it without words (see `rules/terminology`).

    Raises ReadError when the statement is contradictory, incomplete or a range.
    """
    repeat = element(timing, "repeat") or {}
    events = tuple(read_moment(written, zone) for written in texts(timing, "event"))
    repeated = schedule_in(repeat)
    coded = _coded_rate(element(timing, "code"), repeated, frequencies)
    if events:
        if coded or repeated:
            raise timing_conflict("The order lists single dates and a repeating schedule.")
        return bounded(Schedule((0.0,), _DAY_H, single=True, events=events), repeat, zone)
    if coded and repeated and not coded.agrees_with(repeated.rate):
        raise timing_conflict(
            f"The timing code says {_said(coded)}, the structured timing {_said(repeated.rate)}."
        )
    found = repeated or (schedule_of(coded) if coded else None)
    return bounded(found, repeat, zone) if found else None


def read_bounds(timing: Element, zone: ZoneInfo) -> Schedule:
    """Only the bounds and count of a Timing, for a schedule that stands in the text."""
    return bounded(Schedule((), _DAY_H), element(timing, "repeat") or {}, zone)


def _coded_rate(
    code: Element | None, repeated: Schedule | None, frequencies: Mapping[Code, Frequency]
) -> Rate | None:
    """The rate of Timing.code: all its codings and its text must agree.

    A code that cannot be read is a question only if nothing else says how often.
    """
    if code is None:
        return None
    found: list[Rate] = []
    unread: list[str] = []
    for coding in elements(code, "coding"):
        value = text(coding, "code")
        words = text(coding, "display")
        rate = GTS_RATES.get(value or "") if text(coding, "system") in GTS_SYSTEMS else None
        if rate is not None:
            found.append(rate)
            continue
        known = frequencies.get(code_of(coding)) if value else None
        if known is not None:
            found.append(Rate(known.doses, known.hours))
            value = None  # read; words beside it must agree
        _phrase(words or value, found, unread)  # `BID` means the same in every system
    _phrase(text(code, "text"), found, unread)
    stated = [*found, *(rate for words in unread for rate in find_rates(words.lower())[0])]
    if stated and not all(stated[0].agrees_with(other) for other in stated[1:]):
        raise timing_conflict("Codes and text of the timing code state different frequencies.")
    if found:
        return found[0]
    if repeated is None:
        shown = next(iter(unread), None) or "a code without words"
        raise ReadError("timing-unknown", f"The timing {shown[:60]!r} is not known.", "timing.code")
    return stated[0] if stated else None


def _phrase(written: str | None, found: list[Rate], unread: list[str]) -> None:
    if written:
        rate = rate_of_phrase(written)
        if rate:
            found.append(rate)
        else:
            unread.append(written)


def _said(rate: Rate) -> str:
    if rate.single:
        return "a single dose"
    return f"{rate.doses} dose(s) in {rate.cycle_h:g} h"
