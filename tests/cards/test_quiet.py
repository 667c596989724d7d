"""Answered findings rest, changed ones speak, and critical ones are never held back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from cds.cards.quiet import (
    Answer,
    Outcome,
    QuietPolicy,
    Spoken,
    capped,
    merged,
    snoozed_until,
    without_answered,
)
from cds.cards.trace import Matched
from cds.clinical.finding import Matter, Severity
from tests.cards.patients import NOW, fact, finding

DAYS = {Severity.INFO: 14, Severity.WARNING: 7, Severity.CRITICAL: 0}


def said(
    rule: str = "r",
    severity: Severity = Severity.INFO,
    digest: str = "d1",
    matter: Matter = Matter.DOSE,
    subject: str | None = None,
) -> Spoken:
    return Spoken(finding(rule, matter, severity, subject=subject), digest)


def answer(
    *, at: datetime, digest: str = "d1", severity: Severity = Severity.INFO, rule: str = "r"
) -> Answer:
    return Answer(rule, digest, Outcome.OVERRIDDEN, at, severity)


@pytest.mark.parametrize("severity", list(Severity))
def test_an_answer_holds_14_7_and_0_days(severity: Severity) -> None:
    days = timedelta(days=DAYS[severity])
    given = answer(at=NOW, severity=severity)
    item = said(severity=severity)

    just_before = snoozed_until(item, [given], QuietPolicy(), NOW + days - timedelta(seconds=1))
    at_the_end = snoozed_until(item, [given], QuietPolicy(), NOW + days)

    assert just_before == (NOW + days if days else None)
    assert at_the_end is None


def test_without_an_answer_nothing_rests_however_often_it_was_shown() -> None:
    kept, quiet = without_answered([said()], [], QuietPolicy(), NOW)

    assert (len(kept), quiet) == (1, [])


def test_among_limits_of_a_dose_the_organs_of_this_patient_lead() -> None:
    general = said("dosing.a-label-maximum", Severity.WARNING)
    clearance = Matched.of("lab", fact("lab", key="crcl", recent=True), frozenset({"recent"}))
    own = replace(said("dosing.b-kidney", Severity.WARNING), facts=(clearance,))
    graver = said("dosing.c-too-much", Severity.CRITICAL)

    (group,) = merged([general, own, graver])

    assert group == [graver, own, general]


def test_another_state_speaks_at_once() -> None:
    given = answer(at=NOW, digest="yesterday's level")

    assert snoozed_until(said(digest="today's level"), [given], QuietPolicy(), NOW) is None


def test_an_answer_to_a_milder_finding_does_not_cover_a_graver_one() -> None:
    given = answer(at=NOW, severity=Severity.INFO)

    assert snoozed_until(said(severity=Severity.WARNING), [given], QuietPolicy(), NOW) is None


def test_a_rule_may_say_otherwise() -> None:
    policy = QuietPolicy(rule_snooze_days={"r": 90})

    assert snoozed_until(said(), [answer(at=NOW)], policy, NOW) == NOW + timedelta(days=90)


def test_a_clients_clock_ahead_of_ours_does_not_lengthen_the_rest() -> None:
    given = answer(at=NOW + timedelta(days=300))

    assert snoozed_until(said(), [given], QuietPolicy(), NOW) == NOW + timedelta(days=14)


def test_what_is_held_back_is_reported_with_its_reason_and_end() -> None:
    _, quiet = without_answered([said()], [answer(at=NOW)], QuietPolicy(), NOW)

    assert [(q.rule_id, q.reason, q.until) for q in quiet] == [
        ("r", "answered", NOW + timedelta(days=14))
    ]


def test_findings_on_one_matter_and_subject_share_a_card_the_gravest_first() -> None:
    groups = merged(
        [
            said("b", Severity.INFO, matter=Matter.EXPOSURE),
            said("a", Severity.WARNING, matter=Matter.EXPOSURE),
            said("c", Severity.CRITICAL, matter=Matter.INTERACTION, subject="voriconazole"),
            said("d", Severity.WARNING, matter=Matter.INTERACTION, subject="rifampicin"),
        ]
    )

    assert [[item.finding.rule_id for item in group] for group in groups] == [
        ["c"],
        ["a", "b"],
        ["d"],
    ]


def test_the_number_of_cards_and_of_info_cards_is_limited_and_the_rest_reported() -> None:
    items = [said(f"r{i}", Severity.INFO, matter=matter) for i, matter in enumerate(Matter)]

    kept, dropped = capped(merged(items), QuietPolicy(max_cards=5, max_info=2))

    assert len(kept) == 2
    assert len(dropped) == len(items) - 2
    assert {d.reason for d in dropped} == {"over the limit of cards at once"}


def test_a_critical_card_is_shown_beyond_every_limit() -> None:
    items = [said(f"r{i}", Severity.CRITICAL, matter=matter) for i, matter in enumerate(Matter)]

    kept, dropped = capped(merged(items), QuietPolicy(max_cards=1))

    assert (len(kept), dropped) == (len(items), [])
