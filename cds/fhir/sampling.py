"""How long after the last dose a level was sampled: every claim, who makes it, and disagreement.

Sources, most trusted first: a documented administration, the laboratory's request form, a
statement, a comment, the test code itself, and the clock times of the order (an assumption).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from cds.clinical.level import TimingClaim
from cds.clinical.moment import Moment
from cds.clinical.problem import Problem
from cds.clinical.regimen import DrugOrder, OrderStatus, Regimen, TakenDose
from cds.clinical.units import UnitError, convert
from cds.fhir.elements import (
    Element,
    concept,
    element,
    elements,
    local_reference,
    notes,
    number,
    reference_of,
    referred,
    text,
)
from cds.fhir.last_dose import hours_before, last_dose_moments
from cds.fhir.problems import ReadError, problem
from cds.fhir.times import clock_hours, last_clock_time_before, moment

_TRUST: Final = ("administration", "lab-form", "statement", "comment", "code", "schedule")
_AGREE_H: Final = 1.0
"""Claims closer than this agree: charts and sampling are rarely timed better."""
_DOCUMENTED_H: Final = 48.0
"""A documented dose longer ago says nothing about doses taken since and not documented."""
_LONGEST_H: Final = 30 * 24.0
_HELD_H: Final = 3.0
"""A dose is usually held back until a trough is drawn, so a sample this soon after an ordered time
may just as well have been drawn before that dose: the schedule then tells nothing."""
_ON_SCHEDULE_H: Final = 2.0
"""A dose this close to an ordered clock time was taken as ordered."""
_DAY_H: Final = 24.0
MOST_ANSWERS: Final = 20
"""Answers about the last dose that one level may have; a form asks once or twice."""

_HOURS_AFTER: Final = re.compile(
    r"(?<![\w.,:])(\d{1,3}(?:\.\d+)?)\s*-?\s*(?:h|hrs?|hours?|std\.?|stunden|heures?|horas?|uur)\s*"
    r"(?:after|post|since|nach|après|después de|na)[\s-]*(?:the |der |la |de )?"
    r"(?:last |previous |letzte[nr] |dernière |última |laatste )?"
    r"(?:dose|intake|dosing|ingestion|einnahme|gabe|dosis|prise|toma|inname)\b"
)
_FORM_WORDS: Final = re.compile(
    r"last dose|time of dose|dose time|last intake|time since dose|letzte (?:einnahme|gabe|dosis)"
    r"|zeitpunkt der einnahme|dernière prise|última toma|laatste inname"
)


def timing_claims(
    observation: Element,
    sampled: Moment | None,
    taken: Sequence[TakenDose],
    orders: Sequence[DrugOrder],
    members: Iterable[Element],
    code_hours: float | None,
    zone: ZoneInfo,
) -> tuple[tuple[TimingClaim, ...], list[Problem]]:
    """Every claim about the hours since the last dose, and what is wrong with them.

    `members` are answers about the last dose among the Observations this one refers to (hasMember,
    derivedFrom, same request).
    """
    reference = reference_of(observation)
    answers = [*filter(asks_about_dose, elements(observation, "component")), *members]
    claims = list(_comment_claims(observation, sampled, zone, reference))
    if code_hours is not None:
        claims.append(TimingClaim(code_hours, "code", reference))
    if sampled is not None and sampled.has_clock_time:
        linked = {
            local_reference(target)
            for part in elements(observation, "partOf")
            if (target := referred(part))
        }
        claims.extend(_documented_claims(sampled, taken, linked))
        if len(answers) <= MOST_ANSWERS:
            claims.extend(_form_claims(observation, answers, sampled, zone))
    problems = [_after_sample(claim, reference) for claim in claims if claim.hours < 0]
    if len(answers) > MOST_ANSWERS:
        message = f"More than {MOST_ANSWERS} answers about the last dose; none of them was read."
        problems.append(problem("level-timing-disagrees", message, reference))
    documented = [claim for claim in claims if 0 <= claim.hours <= _LONGEST_H]
    problems += _disagreements(documented, reference)
    scheduled, doubts = _scheduled(sampled, orders, documented, zone, reference)
    usable = [*documented, *scheduled]
    usable.sort(key=lambda claim: (_TRUST.index(claim.basis), claim.hours, claim.reference or ""))
    return tuple(dict.fromkeys(usable)), problems + doubts


def asks_about_dose(part: Element) -> bool:
    """Whether a component or an Observation is the answer to a question about the last dose."""
    return bool(_FORM_WORDS.search((concept(element(part, "code")).text or "").lower()))


def may_answer(part: Element) -> bool:
    """Whether it is one, or cannot be told; what is wrong is said where the level is read."""
    try:
        return asks_about_dose(part)
    except ReadError:
        return True


def _documented_claims(
    sampled: Moment, taken: Sequence[TakenDose], linked: set[str]
) -> Iterable[TimingClaim]:
    """Claims from doses documented one by one, each source for itself."""
    for basis in ("administration", "statement"):
        events = [dose for dose in taken if dose.basis == basis and dose.at.has_clock_time]
        named = [dose for dose in events if dose.reference in linked and dose.taken]
        if named:
            for dose in named:
                yield TimingClaim(_hours(dose.at, sampled), basis, dose.reference)
            continue
        before = [dose for dose in events if dose.at.at <= sampled.at]
        if not before or _hours(max(before, key=_at).at, sampled) > _DOCUMENTED_H:
            continue
        doses = [dose for dose in before if dose.taken]
        if doses:
            last = max(doses, key=_at)
            yield TimingClaim(_hours(last.at, sampled), basis, last.reference)


def _form_claims(
    observation: Element, answers: Iterable[Element], sampled: Moment, zone: ZoneInfo
) -> Iterable[TimingClaim]:
    """Last dose as asked on the request form: a component or a member Observation."""
    for part in answers:
        reference = str(part.get("id") or observation.get("id") or "")
        reference = f"Observation/{reference}" if reference else "Observation"
        at = moment(part, "valueDateTime", zone)
        clock = text(part, "valueTime")
        quantity = element(part, "valueQuantity")
        if at is not None and at.has_clock_time:
            yield TimingClaim(_hours(at, sampled), "lab-form", reference)
        elif clock is not None:
            last = last_clock_time_before(clock_hours(clock), sampled.at, zone)
            yield TimingClaim(_hours(Moment(last), sampled), "lab-form", reference)
        elif quantity is not None:
            hours = _quantity_hours(quantity)
            if hours is not None:
                yield TimingClaim(hours, "lab-form", reference)


def _quantity_hours(quantity: Element) -> float | None:
    value, unit = number(quantity, "value"), text(quantity, "code") or text(quantity, "unit")
    if value is None or unit is None:
        return None
    try:
        return round(convert(value, unit, "h"), 4)
    except UnitError:
        return None  # a form field in a unit that is no time states no time


def _comment_claims(
    observation: Element, sampled: Moment | None, zone: ZoneInfo, reference: str
) -> Iterable[TimingClaim]:
    """What a documented comment says plainly; anything less plain is not read."""
    for note in notes(observation):
        words = " ".join(note.lower().split())
        for hours in (*map(float, _HOURS_AFTER.findall(words)), *hours_before(words)):
            yield TimingClaim(hours, "comment", reference)
        if sampled is None or not sampled.has_clock_time:
            continue
        for last in last_dose_moments(words, sampled, zone):
            yield TimingClaim(_hours(last, sampled), "comment", reference)


def _scheduled(
    sampled: Moment | None,
    orders: Sequence[DrugOrder],
    documented: Sequence[TimingClaim],
    zone: ZoneInfo,
    reference: str,
) -> tuple[list[TimingClaim], list[Problem]]:
    """What the ordered clock times claim, and whether the documented last dose kept to them."""
    if sampled is None or not sampled.has_clock_time:
        return [], []
    claims = list(_schedule_claims(sampled, orders, zone))
    if not claims:
        return [], []
    if documented:
        kept = any(_on_schedule(one, claim) for one in documented for claim in claims)
        message = f"The last dose was not at the ordered time: {_listed([*documented, *claims])}."
        doubts = [] if kept else [problem("level-schedule-disagrees", message, reference)]
        return [claim for claim in claims if claim.hours >= _HELD_H], doubts
    latest = min(claim.hours for claim in claims)
    if latest < _HELD_H:
        message = (
            f"The sample was drawn {latest:.1f} h after an ordered dose time; "
            "was it drawn before or after that dose?"
        )
        return [], [problem("level-schedule-ambiguous", message, reference)]
    return claims, []


def _on_schedule(documented: TimingClaim, scheduled: TimingClaim) -> bool:
    """Whether a documented dose was at the ordered clock time of the same or an earlier day."""
    apart = abs(documented.hours - scheduled.hours) % _DAY_H
    return min(apart, _DAY_H - apart) <= _ON_SCHEDULE_H


def _schedule_claims(
    sampled: Moment, orders: Sequence[DrugOrder], zone: ZoneInfo
) -> Iterable[TimingClaim]:
    """The last ordered clock time before the sample, for orders in force at that time."""
    for order in orders:
        if order.status in {OrderStatus.CANCELLED, OrderStatus.UNKNOWN} or order.is_draft:
            continue
        for regimen in order.regimens:
            if (
                not regimen.clock_known
                or regimen.cycle_h != _DAY_H
                or not _covers(regimen, sampled)
            ):
                continue
            last = max(
                last_clock_time_before(dose.offset_h, sampled.at, zone) for dose in regimen.doses
            )
            yield TimingClaim(_hours(Moment(last), sampled), "schedule", order.reference)


def _covers(regimen: Regimen, sampled: Moment) -> bool:
    begun = regimen.starts is None or regimen.starts.at <= sampled.at
    return begun and (regimen.ends is None or sampled.at < regimen.ends.at)


def _disagreements(documented: Sequence[TimingClaim], reference: str) -> list[Problem]:
    if not documented or _spread(documented) <= _AGREE_H:
        return []
    by_trust = sorted(documented, key=lambda claim: (_TRUST.index(claim.basis), claim.hours))
    message = f"Sources disagree on the time since the last dose: {_listed(by_trust)}."
    return [problem("level-timing-disagrees", message, reference)]


def _spread(claims: Sequence[TimingClaim]) -> float:
    hours = [claim.hours for claim in claims]
    return max(hours) - min(hours)


def _listed(claims: Sequence[TimingClaim]) -> str:
    return ", ".join(f"{claim.hours:.1f} h ({claim.basis})" for claim in claims)


def _after_sample(claim: TimingClaim, reference: str) -> Problem:
    message = f"The last dose stated by {claim.basis} is {-claim.hours:.1f} h after the sample."
    return problem("last-dose-after-sample", message, reference)


def _hours(dose: Moment, sampled: Moment) -> float:
    return round(dose.hours_until(sampled), 4)


def _at(dose: TakenDose) -> datetime:
    return dose.at.at
